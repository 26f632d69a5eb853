// Single operators on the GPU: time of their dispatches by GPU timestamps, without uploads and
// reading back, beside what the device reaches in the same run by a copy and by multiply-adds in registers.
//   node bench/kernels.mjs RUNTIME [--only TEXT] [--runs N] [--json FILE] [--small] [--list]
//     [--tune] [--products MxKxN,...]
// RUNTIME: the folder with dist/ and wasm/. --only: names with that text, or several by commas. --tune:
// with the forms of kernels that the tuner finds. --products: of f32 and these sizes, instead of the
// cases.
// Some elements of each output are compared with what they are in f64.

import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

import { modelProto } from '../tests/conformance/contrib/onnx-file.mjs';
import { installDawn } from './lib/dawn.mjs';
import { feedsOf } from './lib/engines/quern.mjs';
import { kernelCases, productCases } from './lib/kernel-cases.mjs';
import { table } from './lib/table.mjs';
import { numberAt, relativeL2 } from './lib/values.mjs';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: 'string', default: '' },
    runs: { type: 'string', default: '10' },
    json: { type: 'string' },
    small: { type: 'boolean', default: false },
    tune: { type: 'boolean', default: false },
    products: { type: 'string', default: '' },
    list: { type: 'boolean', default: false },
  },
});
const wanted = options.only.split(',').map((text) => text.trim());
const cases = options.products
  ? productCases(options.products)
  : kernelCases(options.small).filter(({ name }) => wanted.some((text) => name.includes(text)));
if (options.list) {
  for (const { name } of cases) console.log(name);
  process.exit(0);
}
await installDawn((process.env.DAWN_TOGGLES ?? '').split(' ').filter(Boolean));
const runtime = positionals[0] ?? 'runtime';
const { load, Tensor } = await import(pathToFileURL(resolve(join(runtime, 'dist/node.js'))).href);

const bytesOf = ({ data }) => data.byteLength;
const count = (dims) => dims.reduce((a, b) => a * b, 1);

async function measure({ name, flops = 0, make }) {
  const spec = make();
  const { op, domain, attributes, inputs, weights = {}, output, at, samples = 32 } = spec;
  const [dtype, dims] = output;
  const names = [...Object.keys(inputs), ...Object.keys(weights)];
  const model = await load(
    new Uint8Array(
      modelProto({
        nodes: [{ op, domain, attributes, inputs: names, outputs: ['y'] }],
        inputs,
        initializers: weights,
        outputs: { y: dtype },
        opset: 23,
      }),
    ),
    { device: 'webgpu' },
  );
  try {
    const feeds = feedsOf(Tensor, inputs);
    const tuned = options.tune ? await model.tune(feeds) : undefined;
    const { y } = await model.run(feeds);
    const picked = Array.from({ length: samples }, (_, i) =>
      Math.floor(((i + 0.5) / samples) * count(dims)),
    );
    const error = relativeL2(
      picked.map(at),
      picked.map((i) => numberAt(y.data, i)),
    );
    const profile = await model.profile(feeds, { runs: Number(options.runs) });
    const { gpuTime, ceilings, dispatches } = profile;
    const moved =
      [...Object.values(inputs), ...Object.values(weights)].reduce((n, t) => n + bytesOf(t), 0) +
      y.byteLength;
    const seconds = gpuTime.median / 1e6;
    const [rate, bandwidth] = [flops / seconds, moved / seconds];
    return {
      name,
      ...{ error, microseconds: gpuTime.median, low: gpuTime.low, high: gpuTime.high },
      ...{ flops, bytes: moved, flopsPerSecond: rate, bytesPerSecond: bandwidth },
      ofCopy: bandwidth / ceilings.bytesPerSecond,
      ofFma: rate / ceilings.flopsPerSecond,
      ceilings,
      ...(tuned ? { tuned } : {}),
      kernels: dispatches.map(({ kernel, workgroups, time }) => ({ kernel, workgroups, time })),
    };
  } finally {
    model.dispose();
  }
}

const rows = [];
for (const one of cases) {
  try {
    rows.push(await measure(one));
    const { error, microseconds, tuned } = rows.at(-1);
    for (const { problem, form, time, usual, usualTime, forms } of tuned?.kernels ?? []) {
      const count = Object.keys(forms).length;
      console.error(
        `  ${problem}: ${usual} ${usualTime.toFixed(1)} µs, of ${count} forms ${form} ${time.toFixed(1)} µs`,
      );
    }
    console.error(
      `${one.name}: ${microseconds.toFixed(1)} µs, relative L2 ${error.toExponential(1)}`,
    );
  } catch (error) {
    rows.push({ name: one.name, failed: String(error?.message ?? error) });
    console.error(`${one.name}: ${rows.at(-1).failed}`);
  }
}

const figure = (x, digits = 3) => (x >= 100 ? x.toFixed(0) : x.toPrecision(digits));
const percent = (x) => (x === 0 ? '' : `${(100 * x).toFixed(0)} %`);
const measured = rows.filter(({ failed }) => !failed);
const info = (await navigator.gpu.requestAdapter()).info;
const device = info.description || info.device;
console.log(`\ndevice: ${device}`);
if (measured.length > 0) {
  const best = (key) => Math.max(...measured.map(({ ceilings }) => ceilings[key] ?? 0));
  console.log(
    `ceilings: copy ${figure(best('bytesPerSecond') / 1e9)} GB/s, multiply-add f32 ` +
      `${figure(best('flopsPerSecond') / 1e12)} TFLOP/s, f16 ` +
      `${figure(best('halfFlopsPerSecond') / 1e12)} TFLOP/s, an empty dispatch ` +
      `${figure(measured[0].ceilings.emptyTime)} µs\n`,
  );
}
console.log(
  table(
    ['case', 'µs', 'TFLOP/s', 'of fma', 'GB/s', 'of copy', 'rel. L2', 'kernels'],
    rows.map((row) =>
      row.failed
        ? [row.name, '', '', '', '', '', '', row.failed.slice(0, 160).replaceAll('\n', ' ')]
        : [
            row.name,
            figure(row.microseconds, 4),
            row.flops ? figure(row.flopsPerSecond / 1e12) : '',
            percent(row.ofFma),
            figure(row.bytesPerSecond / 1e9),
            percent(row.ofCopy),
            row.error.toExponential(1),
            row.kernels
              .map(({ kernel, workgroups }) => `${kernel} [${workgroups.join('x')}]`)
              .join(', '),
          ],
    ),
  ),
);
if (options.json) writeFileSync(options.json, JSON.stringify({ device, rows }, null, 1));
process.exit(rows.some(({ failed, error }) => failed || !(error < 0.02)) ? 1 : 0);
