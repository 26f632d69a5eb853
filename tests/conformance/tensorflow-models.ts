// Frozen graphs and SavedModels for mutations: those that tests compare with TensorFlow.js.

import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { savedModel } from '../support/saved-model.js';
import { CaseGraph, shapes } from '../support/tfjs-cases.js';
import { branchesOf, control } from '../support/tfjs-control.js';

/** Writes them to a folder; gives the files that name the models. */
export function writeModels(folder: string): string[] {
  const graph = (add: (graph: CaseGraph) => void): CaseGraph => {
    const cases = new CaseGraph();
    add(cases);
    return cases;
  };
  const frozen = (add: (graph: CaseGraph) => void) => ({ 'frozen.pb': graph(add).graphDef() });
  const models = {
    'control.frozen': frozen(control),
    'shapes.frozen': frozen(shapes),
    'case.frozen': frozen((cases) => branchesOf(cases, 'Case', 1)),
    'control.tf2': savedModel(graph(control), 'tf2'),
    'shapes.tf1': savedModel(graph(shapes), 'tf1'),
  };
  return Object.entries(models).map(([model, files]) => {
    for (const [name, bytes] of Object.entries(files)) {
      const path = join(folder, model, name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, bytes);
    }
    return join(folder, model, Object.keys(files)[0]!);
  });
}
