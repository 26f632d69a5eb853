// The differential tester: random operators and small graphs on all engines. See
// docs/differential.md.
//   node tests/differential/run.mjs [--seed S] [--cases N] [--graphs M] [--only OP] [--index I]
//     [--devices ort,native,wasm,webgpu] [--gpu-share 1/N] [--save FOLDER] [--budget TRIES]
//     [--native BINARY] [--verbose]

import { fork } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { vulkanDriver } from '../../tools/lib/vulkan.mjs';
import { bundleSupport, root, work } from './support.mjs';

const { values: args } = parseArgs({
  options: {
    seed: { type: 'string' },
    cases: { type: 'string', default: '3000' },
    graphs: { type: 'string', default: '300' },
    only: { type: 'string' },
    index: { type: 'string' },
    graph: { type: 'boolean', default: false },
    devices: { type: 'string', default: 'ort,native,wasm,webgpu' },
    'gpu-share': { type: 'string', default: '1' },
    save: { type: 'string', default: join(work, 'failures') },
    budget: { type: 'string', default: '80' },
    native: { type: 'string', default: join(root, 'build/debug/quern_native') },
    verbose: { type: 'boolean', default: false },
  },
});

const seed = Number(args.seed ?? Math.floor(Math.random() * 1e6));
const items = [];
if (args.index !== undefined) {
  items.push({ kind: args.graph ? 'graph' : 'case', index: Number(args.index) });
} else {
  for (let index = 0; index < Number(args.cases); ++index) items.push({ kind: 'case', index });
  for (let index = 0; index < Number(args.graphs); ++index) items.push({ kind: 'graph', index });
}
const options = {
  seed,
  devices: args.devices.split(','),
  binary: args.native,
  save: args.save,
  gpuOneIn: Number(args['gpu-share'].split('/').at(-1)),
  only: args.only,
  budget: Number(args.budget),
};
if (options.devices.includes('native') && !existsSync(options.binary)) {
  console.error(`${options.binary} is not there: --native BINARY says where it is`);
  process.exit(2);
}
mkdirSync(work, { recursive: true });
const driver = vulkanDriver();
if (driver) process.env.VK_ICD_FILENAMES = driver;
await bundleSupport();
console.log(`seed ${seed}: ${items.length} cases`);

const start = Date.now();
const totals = { same: 0, alone: 0, invalid: 0, failed: 0 };
const runs = {};
const byOperator = new Map();
const failures = [];
let withOrt = 0;
let ortCrashes = 0;

function record({ done, title, verdict, engines, text, ort, reduced }) {
  ++totals[verdict.status];
  if (verdict.reference === 'ort') ++withOrt;
  for (const engine of engines) runs[engine] = (runs[engine] ?? 0) + 1;
  const counts = byOperator.get(title) ?? { same: 0, alone: 0, invalid: 0, failed: 0 };
  ++counts[verdict.status];
  byOperator.set(title, counts);
  const where = `--seed ${seed}${args.only ? ` --only ${args.only}` : ''}${done.kind === 'graph' ? ' --graph' : ''} --index ${done.index}`;
  if (args.verbose && verdict.status !== 'same') {
    console.log(
      `${verdict.status} ${where}: ${text}\n  ort: ${ort}\n  ${verdict.reasons?.join('\n  ') ?? ''}`,
    );
  }
  if (verdict.status !== 'failed') return;
  failures.push(title);
  console.log(`FAIL ${title} (${where}; reference ${verdict.reference})`);
  console.log(`  ${reduced?.text ?? text}`);
  for (const { engine, message } of reduced?.failures ?? verdict.failures) {
    console.log(`  ${engine}: ${message.slice(0, 400)}`);
  }
  if (ort) console.log(`  ort: ${ort}`);
  if (reduced) console.log(`  saved in ${reduced.folder}`);
}

const same = (a, b) => a.kind === b.kind && a.index === b.index;

/** Runs items in a process; where it dies, another goes on, first without ONNX Runtime. */
function worker(own) {
  return new Promise((finished) => {
    const child = fork(join(root, 'tests/differential/worker.mjs'), [JSON.stringify(options)], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const left = [...own];
    let current;
    let complete = false;
    child.on('message', (message) => {
      if (message.begin) current = message.begin;
      if (message.done) {
        left.splice(
          left.findIndex((item) => same(item, message.done)),
          1,
        );
        record(message);
      }
      if (message.broken) console.log(message.broken);
      if (message.finished) {
        complete = true;
        child.disconnect();
      }
    });
    child.on('exit', (code, signal) => {
      if (complete || left.length === 0) return finished();
      const lost = left.find((item) => current && same(item, current)) ?? left[0];
      const others = left.filter((item) => item !== lost);
      if (!lost.withoutOrt) {
        // ONNX Runtime's crashes are not ours.
        ++ortCrashes;
        return finished(worker([{ ...lost, withoutOrt: true }, ...others]));
      }
      const failure = { engine: 'process', message: `ended: ${signal ?? code}` };
      record({
        done: lost,
        title: lost.kind,
        verdict: { status: 'failed', reference: 'none', failures: [failure] },
        engines: [],
        text: '',
      });
      finished(worker(others));
    });
    child.send(own);
  });
}

const workers = Math.min(availableParallelism(), 8, items.length);
await Promise.all(
  Array.from({ length: workers }, (_, w) => worker(items.filter((_item, i) => i % workers === w))),
);

const seconds = Math.round((Date.now() - start) / 1000);
const quiet = [...byOperator].filter(([, counts]) => counts.same + counts.failed === 0);
if (quiet.length > 0) console.log(`never compared: ${quiet.map(([name]) => name).join(', ')}`);
console.log(
  `runs: ${Object.entries(runs)
    .map(([engine, n]) => `${engine} ${n}`)
    .join(', ')}; ` + `${withOrt} compared with ONNX Runtime, which crashed in ${ortCrashes}`,
);
console.log(
  `seed ${seed}: ${totals.same} agree, ${totals.failed} differ, ${totals.invalid} refused by all, ` +
    `${byOperator.size} operators, ${seconds} s`,
);
process.exit(failures.length === 0 ? 0 : 1);
