// Profiles of the onnxruntime API: one run more, timed dispatch by dispatch.

import { textOf } from '../errors.js';
import type { Model, RunOptions } from '../model.js';
import type { Tensor } from '../tensor.js';
import type { Value } from '../value.js';
import { env, warn, type Env } from './env.js';

export class Profiler {
  readonly #model: Model;
  #active: boolean;
  #runs: number[] = [];
  #feeds: Record<string, Tensor> | undefined;

  constructor(model: Model, active: boolean) {
    this.#model = model;
    this.#active = active;
  }

  start(): void {
    this.#active = true;
    this.#runs = [];
  }

  /** Tells of the runs since start(), and profiles the last one's feeds once more. */
  end(): void {
    if (!this.#active) return;
    this.#active = false;
    const { length } = this.#runs;
    const mean = this.#runs.reduce((sum, time) => sum + time, 0) / (length || 1);
    console.info(`quern/ort: ${length} runs profiled, ${mean.toFixed(2)} ms each`);
    if (this.#feeds) void this.#dispatches(this.#feeds);
    this.#feeds = undefined;
  }

  async run<V extends Value>(
    feeds: Record<string, Tensor>,
    options: RunOptions,
  ): Promise<Record<string, V>> {
    const start = performance.now();
    const results = await this.#model.run<V>(feeds, options);
    if (this.#active) {
      this.#runs.push(performance.now() - start);
      this.#feeds = feeds;
    }
    const { profiling, profilingMode } = env.webgpu;
    if ((profiling.mode ?? profilingMode) === 'default' && this.#model.report().runs === 1) {
      await this.#dispatches(feeds);
    }
    return results;
  }

  async #dispatches(feeds: Record<string, Tensor>): Promise<void> {
    if (this.#model.device !== 'webgpu') return;
    const ondata = env.webgpu.profiling.ondata ?? print;
    try {
      const { dispatches, nodes } = await this.#model.profile(feeds, { runs: 1 });
      const byId = new Map(nodes.map((node) => [node.id, node]));
      for (const { node, kernel, start, end } of dispatches) {
        ondata({
          version: 1,
          inputsMetadata: [],
          outputsMetadata: [],
          kernelId: node,
          kernelType: byId.get(node)?.op ?? '',
          kernelName: byId.get(node)?.name ?? '',
          programName: kernel,
          startTime: start * 1000,
          endTime: end * 1000,
        });
      }
    } catch (error) {
      warn(`no profile: ${textOf(error)}`);
    }
  }
}

function print(data: Env.WebGpuProfilingData): void {
  const { kernelId, kernelType, kernelName, programName, startTime, endTime } = data;
  const time = Math.round(endTime - startTime);
  console.log(
    `[profiling] kernel "${kernelId}|${kernelType}|${kernelName}|${programName}" ${time} ns`,
  );
}
