// onnxruntime-node on the CPU: the reference, in f32.

import { createRequire } from 'node:module';
import { join } from 'node:path';

import { Missing } from './missing.mjs';
import { asTensor, results } from './onnxruntime.mjs';

/** `root`: the folder that has the package. */
export function onnxruntimeNode(root) {
  return {
    name: 'onnxruntime-node CPU',
    async create(model) {
      let ort;
      try {
        const require = createRequire(join(root, 'onnxruntime-node/package.json'));
        ort = require(join(root, 'onnxruntime-node'));
      } catch (error) {
        throw new Missing(`onnxruntime-node: ${String(error?.message ?? error).split('\n')[0]}`);
      }
      const session = await ort.InferenceSession.create(model.source, {
        executionProviders: ['cpu'],
        logSeverityLevel: 3,
      });
      const feeds = Object.fromEntries(
        Object.entries(model.inputs).map(([name, input]) => [name, asTensor(ort, input)]),
      );
      return {
        run: async () => results(await session.run(feeds, model.wanted)),
        close: () => session.release(),
      };
    },
  };
}
