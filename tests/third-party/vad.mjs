// Voice activity in speech with @ricky0123/vad-web, as its own examples do.

import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { options, print } from './print.mjs';

const require = createRequire(import.meta.url);
const { NonRealTimeVAD } = require('@ricky0123/vad-web');

const wav = await readFile(new URL('../models/fixtures/speech-16khz.wav', import.meta.url));
const samples = Float32Array.from(
  new Int16Array(wav.buffer, wav.byteOffset + 44, (wav.length - 44) >> 1),
  (v) => v / 32768,
);
const model = join(require.resolve('@ricky0123/vad-web'), '../silero_vad_legacy.onnx');
const vad = await NonRealTimeVAD.new({
  modelURL: model,
  modelFetcher: async (path) => {
    const { buffer, byteOffset, byteLength } = await readFile(path);
    return buffer.slice(byteOffset, byteOffset + byteLength);
  },
  ortConfig: (ort) => (ort.env.logLevel = 'error'),
  ...options,
});
const found = [];
for await (const { audio, start, end } of vad.run(samples, 16000)) {
  found.push({ samples: audio.length, start, end });
}
print(require('onnxruntime-web'), found);
