// The text reader on Quern: three models, loaded once, that read any number of pictures.

import {
  load,
  type LoadOptions,
  type Model,
  type ModelReport,
  type ModelSource,
  type Progress,
} from 'quern';

import { alphabetOf } from './ctc.js';
import type { Network } from './network.js';
import type { Picture } from './picture.js';
import { readText, stages, type Reading, type ReadOptions, type Stage } from './read-text.js';

export interface ReaderOptions extends Pick<LoadOptions, 'device' | 'threads' | 'signal'> {
  onProgress?(stage: Stage, progress: Progress): void;
}

export class TextReader {
  readonly #models: Record<Stage, Model>;
  readonly #networks: Record<Stage, Network>;
  readonly #alphabet: readonly string[];

  private constructor(models: Record<Stage, Model>, dictionary: string) {
    this.#models = models;
    this.#networks = byStage((stage) => networkOf(models[stage]));
    this.#alphabet = alphabetOf(dictionary);
  }

  /** Loads all models side by side; on a GPU they share the device. */
  static async load(
    sources: Record<Stage, ModelSource>,
    dictionary: string,
    options: ReaderOptions = {},
  ): Promise<TextReader> {
    const loads = stages.map((stage) =>
      load(sources[stage], {
        ...options,
        onProgress: (progress) => options.onProgress?.(stage, progress),
      }),
    );
    try {
      const [detection, direction, recognition] = await Promise.all(loads);
      return new TextReader(
        { detection: detection!, direction: direction!, recognition: recognition! },
        dictionary,
      );
    } catch (error) {
      for (const loading of loads) loading.then((model) => model.dispose()).catch(() => {});
      throw error;
    }
  }

  read(picture: Picture, options?: ReadOptions): Promise<Reading> {
    return readText(picture, this.#networks, this.#alphabet, options);
  }

  reports(): Record<Stage, ModelReport> {
    return byStage((stage) => this.#models[stage].report());
  }

  dispose(): void {
    for (const stage of stages) this.#models[stage].dispose();
  }
}

function byStage<T>(valueOf: (stage: Stage) => T): Record<Stage, T> {
  return {
    detection: valueOf('detection'),
    direction: valueOf('direction'),
    recognition: valueOf('recognition'),
  };
}

function networkOf(model: Model): Network {
  const [input, output] = [model.inputs[0]!.name, model.outputs[0]!.name];
  return async (tensor) => {
    const { [output]: result } = await model.run({ [input]: tensor });
    return { data: result!.data as Float32Array, dims: result!.dims };
  };
}
