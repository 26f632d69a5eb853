// A model's weights in a file of their own while it is not known yet which of them a package needs.

import { closeSync, ftruncateSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import type { WeightSink } from '../load.js';
import type { WeightPeaks } from '../precision.js';
import { InvalidModelError } from '../errors.js';

export class WeightSpool implements WeightSink {
  readonly #path: string;
  readonly #file: number;
  readonly #peaks: WeightPeaks | undefined;
  readonly #places = new Map<number, { at: number; bytes: number; written: number }>();
  #end = 0;

  constructor(path: string, peaks?: WeightPeaks) {
    this.#path = path;
    this.#file = openSync(path, 'w+');
    this.#peaks = peaks;
  }

  write(
    { weight, bytes, offset }: Parameters<WeightSink['write']>[0],
    part: Uint8Array,
  ): undefined {
    let place = this.#places.get(weight);
    if (!place) {
      place = { at: this.#end, bytes, written: 0 };
      this.#places.set(weight, place);
      this.#end += bytes;
    }
    this.#peaks?.add(weight, offset, part);
    writeAll(this.#file, part, place.at + offset);
    place.written += part.length;
  }

  /** A weight's bytes in pieces of at most 1 MiB, each valid until the next. */
  *read(weight: number, name: string, expected: number): Generator<Uint8Array> {
    const place = this.#places.get(weight) ?? { at: 0, bytes: 0, written: 0 };
    if (place.written !== expected) {
      throw new InvalidModelError(
        `weight '${name}': the model has ${place.written} of its ${expected} bytes`,
      );
    }
    const piece = new Uint8Array(1 << 20);
    for (let done = 0; done < expected;) {
      const length = Math.min(piece.length, expected - done);
      const read = readSync(this.#file, piece, 0, length, place.at + done);
      if (read === 0) throw new InvalidModelError(`weight '${name}': it ends early`);
      yield piece.subarray(0, read);
      done += read;
    }
  }

  close(): void {
    ftruncateSync(this.#file, 0);
    closeSync(this.#file);
    rmSync(this.#path, { force: true });
  }
}

function writeAll(file: number, bytes: Uint8Array, position: number): void {
  for (let at = 0; at < bytes.length;) {
    at += writeSync(file, bytes, at, bytes.length - at, position + at);
  }
}
