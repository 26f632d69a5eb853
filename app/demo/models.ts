// The models as the build packs them, and how far their loading is.

import type { DeviceChoice, Progress } from 'quern';

import dictionary from 'ocr-models/ppocr_keys_v1.txt?url';
import detection from 'ocr-models/ch_PP-OCRv4_det_infer.onnx?url';
import direction from 'ocr-models/ch_ppocr_mobile_v2.0_cls_infer.onnx?url';
import recognition from 'ocr-models/ch_PP-OCRv4_rec_infer.onnx?url';

import { stages, type Stage } from '../ocr/read-text.js';
import { TextReader } from '../ocr/text-reader.js';

export interface LoadedReader {
  reader: TextReader;
  /** Milliseconds for all models, dictionary included. */
  loadTime: number;
}

/** `onProgress` gets words and a share from 0 to 1, unknown at first. */
export async function loadReader(
  device: DeviceChoice,
  signal: AbortSignal,
  onProgress: (words: string, share: number | undefined) => void,
): Promise<LoadedReader> {
  const begun = performance.now();
  const seen: Partial<Record<Stage, Partial<Record<Progress['phase'], Progress>>>> = {};
  const sum = (phase: Progress['phase'], key: 'loaded' | 'total'): number =>
    stages.reduce((total, stage) => total + (seen[stage]?.[phase]?.[key] ?? 0), 0);

  onProgress('', undefined);
  const response = await fetch(dictionary, { signal });
  if (!response.ok) throw new Error(`the dictionary gives status ${response.status}`);
  const reader = await TextReader.load(
    { detection, direction, recognition },
    await response.text(),
    {
      device,
      signal,
      onProgress(stage, progress) {
        (seen[stage] ??= {})[progress.phase] = progress;
        const [done, all] = [sum('download', 'loaded'), sum('download', 'total')];
        const programs = sum('compile', 'total');
        if (all === 0) {
          onProgress(`${megabytes(done)} MB`, undefined); // the server tells no sizes
        } else if (done < all || programs === 0) {
          onProgress(`${megabytes(done)} of ${megabytes(all)} MB`, done / all);
        } else {
          const compiled = sum('compile', 'loaded');
          onProgress(`${compiled} of ${programs} GPU programs`, compiled / programs);
        }
      },
    },
  );
  return { reader, loadTime: performance.now() - begun };
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}
