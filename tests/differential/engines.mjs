// Runs built cases on every engine. An answer is { outputs } by name, or { error, lacks }: `lacks`
// where the engine says that it does not have this, rather than that it is wrong.

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

import { writeFolder } from './model.mjs';
import { loadSupport, root, work } from './support.mjs';

const { defaultLimitsDevice, openDawn, readTensor, Reference } = await loadSupport();

const textOf = (error) => String(error?.message ?? error);

/** All cases in few processes; one that dies costs its case alone. */
export function runNative(binary, built, passes) {
  const folders = built.map((one, i) => join(work, `native-${process.pid}`, `case_${i}`));
  built.forEach((one, i) => {
    if (passes || !existsSync(folders[i]) || one.fresh) writeFolder(folders[i], one);
  });
  const save = passes ? 'with' : 'without';
  const answers = new Map();
  let left = [...folders];
  while (left.length > 0) {
    const options = ['--save', save, ...(passes ? [] : ['--no-passes'])];
    const { stdout, signal } = spawnSync(binary, ['run', ...left, ...options], {
      encoding: 'utf8',
      maxBuffer: 1 << 26,
      timeout: 120_000,
    });
    for (const line of stdout.split('\n')) {
      const match = /^(done|none|FAIL) {2}(\S+) {2}(.*)$/.exec(line);
      if (!match) continue;
      const [, status, name, message] = match;
      answers.set(name, status === 'done' ? {} : { error: message, lacks: status === 'none' });
    }
    left = left.filter((folder) => !answers.has(basename(folder)));
    if (left.length > 0) {
      answers.set(basename(left[0]), { error: `the process ended: ${signal}`, crashed: true });
      left.shift();
    }
  }
  return built.map(({ outputNames }, i) => {
    const answer = answers.get(basename(folders[i]));
    if (answer.error !== undefined) return answer;
    const outputs = {};
    outputNames.forEach((name, o) => {
      const file = join(folders[i], 'test_data_set_0', `${save}_${o}.pb`);
      outputs[name] = { ...readTensor(readFileSync(file)), name };
    });
    return { outputs };
  });
}

const ortLacks =
  /not.?implemented|could not find an implementation|onnxruntime-node (takes|gives)|not supported|unsupported|is not a registered|under development|No opset import|unimplemented/i;

export async function runOrt({ model, inputs }) {
  let session;
  try {
    session = await Reference.load(model);
    return { outputs: await session.run(inputs) };
  } catch (error) {
    const message = textOf(error);
    return { error: message, lacks: ortLacks.test(message) };
  } finally {
    await session?.release();
  }
}

/** The runtime as users have it, on WebAssembly or WebGPU. */
export class Quern {
  #runtime;
  #devices = {};
  #base;

  constructor() {
    this.#base = join(root, 'build/wasm-core/trap');
    if (!existsSync(join(this.#base, 'quern-core.js'))) this.#base = undefined;
  }

  async run(kind, { model, inputs, outputNames }, passes) {
    this.#runtime ??= await import(join(root, 'runtime/dist/node.js'));
    const options = { passes, warm: false, threads: 1, device: 'wasm' };
    if (kind === 'webgpu') {
      options.device = await this.#device(passes);
      if (this.#base) options.wasmBase = this.#base;
    }
    let loaded;
    try {
      const { Tensor } = this.#runtime;
      loaded = await this.#runtime.load(model, options);
      const feeds = Object.entries(inputs).map(([name, { dtype, dims, data }]) => [
        name,
        new Tensor(dtype, dims, data),
      ]);
      const results = await loaded.run(Object.fromEntries(feeds));
      const outputs = {};
      for (const name of outputNames) {
        const { dtype, dims, data } = results[name];
        outputs[name] = { name, dtype, dims: [...dims], data };
      }
      return { outputs };
    } catch (error) {
      return { error: textOf(error), lacks: error?.code === 'unsupported' };
    } finally {
      loaded?.dispose();
    }
  }

  /** With passes a device with all that the adapter has, without them one with default limits. */
  #device(passes) {
    const name = passes ? 'full' : 'default';
    this.#devices[name] ??= passes
      ? openDawn().then(({ device }) => device)
      : defaultLimitsDevice();
    return this.#devices[name];
  }
}
