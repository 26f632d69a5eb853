// Measures engines side by side on one model: all loaded, then run in turns, then without reading
// back, then loaded again. The same in Node and in pages.

import { Missing } from './engines/missing.mjs';
import { gpuBytes, made, submissions } from './meter.mjs';
import { countOf, floorOf, gpuTime, median, record } from './record.mjs';
import { relativeError, spread } from './statistics.mjs';

async function timed(run) {
  const start = performance.now();
  const result = await run();
  return [result, performance.now() - start];
}

const textOf = (error) => String(error?.message ?? error);

/** WebAssembly memories that came up while an engine was loaded, by engine. */
const memoriesOf = new WeakMap();

/**
 * Loads an engine and makes the first run: a row, and the engine where it is to go on. `hostPeak`:
 * runs something and tells the ArrayBuffers that came up.
 */
async function begin(key, maker, model, hostPeak) {
  const row = { key, engine: maker.name };
  const before = made.memories.length;
  try {
    const [[engine, arrayBytes], load] = await timed(() => hostPeak(() => maker.create(model)));
    row.load = load;
    const [outputs, first] = await timed(() => engine.run());
    row.first = first;
    const memories = [...(memoriesOf.get(maker) ?? []), ...made.memories.slice(before)];
    memoriesOf.set(maker, memories);
    const wasm = memories.reduce((sum, { buffer }) => sum + buffer.byteLength, 0);
    row.hostBytes = arrayBytes() + (engine.hostBytes?.() ?? wasm);
    if (engine.detail) row.detail = engine.detail;
    if (engine.phases) row.phases = { ...engine.phases };
    return { row, engine, outputs };
  } catch (error) {
    if (error instanceof Missing) row.missing = error.message;
    else row.failed = textOf(error);
    return { row };
  }
}

/** Programs of empty kernels that ask of WebGPU what this engine's runs do. */
async function floorFor(engine) {
  const read = await record(() => engine.run());
  const left = await record(() => engine.launch());
  await engine.idle();
  const run = await floorOf(engine.device, read);
  const launch = await floorOf(engine.device, left);
  return {
    row: {
      key: 'floor',
      engine: 'floor of Quern WebGPU',
      dispatches: countOf(read, 'dispatch'),
      pipelineSwitches: countOf(read, 'pipeline'),
      groupSwitches: countOf(read, 'group'),
    },
    engine: {
      device: engine.device,
      run,
      launch,
      idle: () => engine.device.queue.onSubmittedWorkDone(),
      flight: 4,
      isFloor: true,
      close() {},
    },
  };
}

/** Runs without reading back, several under way: milliseconds a run. */
async function pipelined({ launch, idle, flight = 1 }, budget) {
  for (let i = 0; i < 3; i++) await launch();
  await idle();
  const [, one] = await timed(async () => (await launch(), await idle()));
  const count = Math.max(4, Math.min(200, Math.ceil(budget / one)));
  const [, time] = await timed(async () => {
    const under = new Set();
    for (let i = 0; i < count; i++) {
      const run = launch().finally(() => under.delete(run));
      under.add(run);
      if (under.size >= flight) await Promise.race(under);
    }
    await Promise.all(under);
    await idle();
  });
  return time / count;
}

async function withoutReading({ engine, row }, budget) {
  row.pipelined = await pipelined(engine, budget);
  if (!engine.isFloor) {
    const gpu = [];
    for (let i = 0; i < 5; i++) gpu.push(await gpuTime(engine.device, () => engine.launch()));
    if (gpu[0] !== null) row.gpu = median(gpu);
  }
  Object.assign(row, await submissions(() => engine.launch(), 9));
  await engine.idle();
  if (!engine.isFloor) row.gpuBytes = gpuBytes(engine.device);
}

/** Loads and first runs once the libraries are there, in turns: medians. */
async function loadAgain(entries, makers, model, count) {
  const times = new Map(entries.map((entry) => [entry, []]));
  for (let i = 0; i < count; i++) {
    for (const entry of entries) {
      if (entry.row.failed || entry.engine.isFloor) continue;
      try {
        const [engine, load] = await timed(() => makers[entry.name].create(model));
        const [, first] = await timed(() => engine.run());
        times.get(entry).push({ load, first });
        await engine.close();
      } catch (error) {
        entry.row.failed = `load again: ${textOf(error)}`;
      }
    }
  }
  for (const [{ row }, list] of times) {
    if (list.length === 0) continue;
    const of = (get) => median(list.map(get));
    row.again = {
      load: of(({ load }) => load),
      first: of(({ first }) => first),
      both: of(({ load, first }) => load + first),
    };
  }
}

const noPeak = async (run) => [await run(), () => 0];

/**
 * `makers`: engines by name, in the order of rows. `budget`: milliseconds for runs in turns.
 * `again`: further loads. `update` gets the result so far, `progress` a line of text.
 */
export async function measure(model, makers, options) {
  const { runs, budget, again = 0, hostPeak = noPeak, floor = true } = options;
  const { progress = () => {}, update = () => {} } = options;
  const begun = [];
  const result = { name: model.name, title: model.title, nodes: model.nodes, rows: [] };
  const add = (entry) => {
    begun.push(entry);
    result.rows.push(entry.row);
    update(result);
  };
  for (const [name, maker] of Object.entries(makers)) {
    progress(`${model.name}: ${maker.name}`);
    add({ name, ...(await begin(name, maker, model, hostPeak)) });
  }
  const outputsOf = (name) => begun.find((entry) => entry.name === name)?.outputs;
  const reference =
    model.expected ??
    outputsOf('ort-node') ??
    outputsOf('ort-wasm') ??
    begun.find(({ outputs }) => outputs)?.outputs;
  for (const { row, outputs } of begun) if (outputs) row.error = relativeError(reference, outputs);

  /** Failures end an engine's row, not the bench. */
  const attempt = async (entry, what, work) => {
    if (entry.row.failed) return;
    try {
      await work(entry);
    } catch (error) {
      entry.row.failed = `${what}: ${textOf(error)}`;
    }
  };
  const ours = begun.find(({ name, engine }) => name === 'quern' && engine);
  if (floor && ours) {
    await attempt(ours, 'floor', async () => add(await floorFor(ours.engine)));
  }

  const live = begun.filter(({ engine }) => engine).map((entry) => ({ ...entry, times: [] }));
  const end = performance.now() + budget;
  for (let i = -2; i < runs && (i < 3 || performance.now() < end); i++) {
    progress(`${model.name}: run ${i}`);
    for (const entry of live) {
      await attempt(entry, 'run', async ({ engine, times }) => {
        const [, time] = await timed(() => engine.run());
        if (i >= 0) times.push(time);
      });
    }
  }
  for (const entry of live) entry.row.run = spread(entry.times);
  update(result);
  for (const entry of live) {
    if (!entry.engine.device) continue;
    progress(`${model.name}: ${entry.row.engine} without reading back`);
    await attempt(entry, 'without reading back', () => withoutReading(entry, budget / 4));
    update(result);
  }
  progress(`${model.name}: loading again`);
  await loadAgain(live, makers, model, again);
  for (const { engine, row } of live) {
    try {
      await engine.close();
    } catch (error) {
      row.failed ??= `close: ${textOf(error)}`;
    }
  }
  update(result);
  return result;
}
