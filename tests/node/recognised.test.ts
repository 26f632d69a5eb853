// What passes find in exported models, locked: attention in every transformer.

import { expect, test } from 'vitest';
import { load } from '../../runtime/src/node.js';
import { modelCases } from '../models/cases.js';
import { dataCases } from '../support/data.js';

/** Passes that are no recogniser. */
const general = /^(batch norm|branch|dead|expanded .*|folded|fused nodes|fusions|identity|merged)$/;

/** Hits of the passes that recognise something, by model; fresh ones are printed. */
const expected: Record<string, Record<string, number>> = {
  hf_bert: {
    attention: 2,
    'joined heads': 2,
    gelu: 2,
  },
  hf_bert_dynamo: {
    attention: 2,
    'joined heads': 2,
  },
  hf_clip: {
    attention: 4,
    'joined heads': 4,
    swish: 4,
  },
  hf_gpt2_step: {
    attention: 2,
    'joined heads': 2,
    gelu: 2,
  },
  hf_llama_step: {
    attention: 2,
    'joined heads': 2,
    'rms norm': 5,
    swish: 2,
  },
  hf_segformer: {
    attention: 4,
    'joined heads': 3,
    'transposes reshaped': 4,
  },
  hf_swin: {
    attention: 4,
    'joined heads': 4,
  },
  hf_t5enc: {
    attention: 2,
    'joined heads': 2,
    'rms norm': 5,
  },
  hf_whisper_encoder: {
    attention: 2,
    'joined heads': 2,
  },
  rnn_stack: {
    'transposes reshaped': 1,
  },
  'silero-vad-legacy': {
    'transposes merged': 2,
  },
  timm_convnext: {
    'transposes merged': 1,
    'transposes moved': 8,
    'transposes reshaped': 2,
  },
  timm_efficientnet: {
    swish: 11,
  },
  timm_vit: {
    attention: 6,
    'joined heads': 6,
  },
  unet_mini: {
    attention: 1,
    'joined heads': 1,
    'group norm': 4,
    swish: 4,
  },
  'ppocr-direction': {
    'hard swish': 18,
  },
  'hf-bert': {
    attention: 2,
    'joined heads': 2,
    gelu: 2,
  },
  'ppocr-detection': {
    'hard swish': 24,
  },
  'ppocr-recognition': {
    attention: 2,
    'joined heads': 2,
    'hard swish': 28,
    'layer norm': 5,
    swish: 7,
  },
  'wakeword-jarvis': {
    'layer norm': 4,
  },
};

test('hits per model', { timeout: 300_000 }, async () => {
  const models = new Map(dataCases('zoo').map(({ name, modelPath }) => [name, modelPath]));
  for (const { name, modelPath } of await modelCases()) models.set(name, modelPath);
  const found: typeof expected = {};
  for (const [name, path] of models) {
    const model = await load(path, { device: 'wasm', threads: 1 });
    const hits = Object.entries(model.report().passes).filter(([pass]) => !general.test(pass));
    if (hits.length > 0) found[name] = Object.fromEntries(hits);
    model.dispose();
  }
  console.log(JSON.stringify(found, null, 2));
  expect(found).toEqual(expected);
});
