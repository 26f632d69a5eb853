// Reads text with @gutenye/ocr-node, whose engine is onnxruntime-node.

import { fileURLToPath } from 'node:url';
import Ocr from '@gutenye/ocr-node';
import * as ort from 'onnxruntime-node';
import { options, print } from './print.mjs';

const picture = fileURLToPath(new URL('../../app/pictures/sign.png', import.meta.url));
const ocr = await Ocr.create(options);
const lines = await ocr.detect(picture);
print(
  ort,
  lines.map(({ text, mean, box }) => ({ text, mean, box })),
);
