// What the recogniser finds in exported models, locked: attention in every transformer.

import { expect, test } from 'vitest';
import { load } from '../../runtime/src/node.js';
import { modelCases } from '../models/cases.js';
import { dataCases } from '../support/data.js';

/** Hits of the passes that recognise something, by model; fresh ones are printed. */
const expected: Record<string, Record<string, number>> = {};

test('hits per model', { timeout: 300_000 }, async () => {
  const models = new Map(dataCases('zoo').map(({ name, modelPath }) => [name, modelPath]));
  for (const { name, modelPath } of await modelCases()) models.set(name, modelPath);
  const found: typeof expected = {};
  for (const [name, path] of models) {
    const model = await load(path, { device: 'wasm', threads: 1 });
    const hits = Object.entries(model.report().passes).filter(
      ([pass, count]) => pass.startsWith('recognise') && count > 0,
    );
    if (hits.length > 0) found[name] = Object.fromEntries(hits);
    model.dispose();
  }
  console.log(JSON.stringify(found, null, 2));
  expect(found).toEqual(expected);
});
