// Text embeddings and text generation with @huggingface/transformers, on two small networks of the
// zoo under a made-up tokenizer. argv[3]: the zoo; argv[4]: a folder for the models.

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { env, pipeline } from '@huggingface/transformers';
import * as ort from 'onnxruntime-node';
import { options, print } from './print.mjs';
import { renameValues } from './rename.mjs';

const [, , , zoo, folder] = process.argv;
env.allowRemoteModels = false;
env.localModelPath = folder;

await save('embeddings', 'hf_bert', { out0: 'last_hidden_state' }, bertConfig());
const names = Object.fromEntries(
  ['0_key', '0_value', '1_key', '1_value'].flatMap((part, i) => {
    const dotted = part.replace('_', '.');
    return [
      [`past_${part}`, `past_key_values.${dotted}`],
      [`out${i + 1}`, `present.${dotted}`],
    ];
  }),
);
await save('generation', 'hf_gpt2_step', { ...names, out0: 'logits' }, gptConfig());

const embed = await pipeline('feature-extraction', 'embeddings', { dtype: 'fp32', ...options });
const embeddings = await embed(['w5 w7 w11 w13', 'w17 w19'], { pooling: 'mean', normalize: true });
const generate = await pipeline('text-generation', 'generation', { dtype: 'fp32', ...options });
// Without the penalty, so small a network says one word over and over.
const settings = { max_new_tokens: 12, do_sample: false, repetition_penalty: 1.5 };
const texts = [];
for (const text of ['w3 w1 w4 w1 w5', 'w27']) {
  const [{ generated_text }] = await generate(text, settings);
  texts.push(generated_text);
}
print(ort, { dims: embeddings.dims, embeddings: embeddings.data, texts });
await embed.dispose();
await generate.dispose();

async function save(name, model, renamed, config) {
  await mkdir(join(folder, name, 'onnx'), { recursive: true });
  const bytes = await readFile(join(zoo, model, 'model.onnx'));
  await writeFile(join(folder, name, 'onnx', 'model.onnx'), renameValues(bytes, renamed));
  const files = {
    config,
    generation_config: { eos_token_id: 299, pad_token_id: 0 },
    tokenizer: tokenizer(),
    tokenizer_config: { tokenizer_class: 'PreTrainedTokenizerFast', pad_token: 'w0' },
  };
  for (const [file, content] of Object.entries(files)) {
    await writeFile(join(folder, name, `${file}.json`), JSON.stringify(content));
  }
}

/** 300 words, w0 to w299, divided by spaces. */
function tokenizer() {
  const vocab = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`w${i}`, i]));
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [{ id: 0, content: 'w0', special: true }],
    normalizer: null,
    pre_tokenizer: { type: 'WhitespaceSplit' },
    post_processor: null,
    decoder: null,
    model: { type: 'WordLevel', vocab, unk_token: 'w0' },
  };
}

function bertConfig() {
  return { model_type: 'bert', architectures: ['BertModel'], hidden_size: 64, vocab_size: 300 };
}

function gptConfig() {
  const sizes = { n_layer: 2, n_head: 4, n_embd: 64, vocab_size: 300 };
  return { model_type: 'gpt2', architectures: ['GPT2LMHeadModel'], ...sizes };
}
