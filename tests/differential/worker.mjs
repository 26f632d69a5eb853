// One process of the tester: draws, runs and judges a share of the cases, and shrinks what fails.

import { join } from 'node:path';

import { Choices, Draw } from './draw.mjs';
import { Quern, runNative, runOrt } from './engines.mjs';
import { drawGraph } from './graphs.mjs';
import { build, writeFolder } from './model.mjs';
import { operators } from './operators/all.mjs';
import { shrinkChoices, shrinkGraph } from './shrink.mjs';
import { judge } from './verdict.mjs';

const options = JSON.parse(process.argv[2]);
const { seed, devices, binary, save, gpuOneIn, only } = options;
const quern = new Quern();
const names = only ? [only] : [...operators.keys()];
const nativeBatch = 40;
/** Of the failures of one operator so many are shrunk: more of them say the same. */
const mostShrunk = 2;
const shrunk = new Map();

/** How item `{ kind, index }` draws its case from choices. */
export function drawing({ kind, index }) {
  if (kind === 'graph') return drawGraph;
  const op = names[index % names.length];
  return (choices) => {
    const operator = operators.get(op);
    const draw = new Draw(choices, op, operator.domain);
    operator.draw(draw);
    return draw.finish();
  };
}

const chosen = (item) =>
  new Choices({ seed: seed * 2 + (item.kind === 'graph' ? 1 : 0), index: item.index });

/** Which engines run an item; the GPU takes a share of them, without passes half of that. */
function enginesFor({ index }) {
  const engines = [];
  if (devices.includes('native')) engines.push('native-plain', 'native');
  if (devices.includes('wasm')) engines.push(index % 2 ? 'wasm' : 'wasm-plain');
  const hash = (Math.imul(index + 1, 0x9e3779b1) ^ Math.imul(seed + 7, 0x85ebca6b)) >>> 8;
  if (devices.includes('webgpu') && hash % gpuOneIn === 0) {
    engines.push('webgpu');
    if (hash % 4 === 0) engines.push('webgpu-plain');
  }
  return engines;
}

/** Answers of all engines but the native ones, which run in batches. */
async function answersOf(built, engines, native = {}, withOrt = true) {
  const answers = { ...native };
  if (withOrt && devices.includes('ort')) answers.ort = await runOrt(built);
  for (const engine of engines) {
    const [kind, plain] = engine.split('-');
    if (kind === 'native') continue;
    answers[engine] = await quern.run(kind, built, plain === undefined);
  }
  return answers;
}

function prepared(one) {
  return { ...build(one), outputNames: one.outputs.map(({ name }) => name) };
}

function native(built, engines) {
  const answers = built.map(() => ({}));
  for (const engine of ['native', 'native-plain'].filter((name) => engines.includes(name))) {
    const got = runNative(binary, built, engine === 'native');
    got.forEach((answer, i) => (answers[i][engine] = answer));
  }
  // The plain one is the reference where ONNX Runtime has none: it comes first.
  return answers.map((own) => Object.fromEntries(Object.entries(own).reverse()));
}

async function judged(one, engines, withOrt) {
  const built = prepared(one);
  const answers = await answersOf(built, engines, native([built], engines)[0], withOrt);
  return { built, answers, verdict: judge(one, answers) };
}

/** Shrinks a failure and saves it; gives the folder and what it holds. */
async function reduce(item, one, verdict) {
  const failing = verdict.failures[0];
  const engines = [...new Set(['native-plain', 'native', failing.engine])];
  const refused = failing.message.startsWith('refuses');
  const fails = async (smaller) => {
    const { verdict: again } = await judged(smaller, engines, !item.withoutOrt);
    return again.failures.some(
      ({ engine, message }) =>
        engine === failing.engine && message.startsWith('refuses') === refused,
    );
  };
  let smallest;
  if (item.kind === 'graph') {
    smallest = await shrinkGraph(one, fails, async (all) => {
      const [{ 'native-plain': answer }] = native([prepared(all)], ['native-plain', 'native']);
      return answer?.outputs;
    });
  } else {
    const choices = chosen(item);
    drawing(item)(choices);
    smallest = (await shrinkChoices(choices.made, drawing(item), fails, options.budget)) ?? one;
  }
  const { built, answers, verdict: last } = await judged(smallest, engines, !item.withoutOrt);
  const wanted = answers[last.reference]?.outputs ?? {};
  const folder = join(save, `${one.title}_${seed}_${item.index}`);
  writeFolder(folder, built, Object.values(wanted));
  return { folder, text: describe(smallest), failures: last.failures };
}

/** A case in a line a node. */
export function describe({ nodes, tensors, opset }) {
  const shown = Object.fromEntries(
    tensors.map(({ name, tensor: { dtype, dims, values }, initializer }) => {
      const contents =
        values && values.length > 0 && values.length <= 8
          ? `=${values.map((v) => (Number.isFinite(v) ? +Number(v).toPrecision(4) : v))}`
          : '';
      return [name, `${name}:${dtype}[${dims}]${initializer ? ' const' : ''}${contents}`];
    }),
  );
  const lines = nodes.map(({ op, inputs, outputs, attributes }) => {
    const list = Object.entries(attributes).map(
      ([name, spec]) => `${name}=${spec.graph ? 'graph' : JSON.stringify(Object.values(spec)[0])}`,
    );
    return `${op}(${inputs.map((name) => shown[name] ?? (name || '-')).join(', ')}) {${list.join(', ')}} -> ${outputs.join(', ')}`;
  });
  return `opset ${opset}: ${lines.join('; ')}`;
}

async function work(items) {
  for (let from = 0; from < items.length; from += nativeBatch) {
    const part = items.slice(from, from + nativeBatch).map((item) => {
      process.send({ begin: item });
      const one = drawing(item)(chosen(item));
      return { item, one, built: prepared(one), engines: enginesFor(item) };
    });
    const natives = native(
      part.map(({ built }) => built),
      devices.includes('native') ? ['native', 'native-plain'] : [],
    );
    for (const [i, { item, one, built, engines }] of part.entries()) {
      process.send({ begin: item });
      const answers = await answersOf(built, engines, natives[i], !item.withoutOrt);
      const verdict = judge(one, answers);
      let reduced;
      const before = shrunk.get(one.title) ?? 0;
      if (verdict.status === 'failed' && options.budget > 0 && before < mostShrunk) {
        shrunk.set(one.title, before + 1);
        reduced = await reduce(item, one, verdict);
      }
      process.send({
        done: item,
        title: one.title,
        verdict,
        engines: Object.keys(answers),
        text: verdict.status === 'same' ? '' : describe(one),
        ort: answers.ort?.error?.slice(0, 300),
        reduced,
      });
    }
  }
}

process.on('message', (items) => {
  work(items).then(
    () => process.send({ finished: true }),
    (error) => {
      process.send({ broken: String(error?.stack ?? error) });
      process.exitCode = 1;
      process.disconnect();
    },
  );
});
