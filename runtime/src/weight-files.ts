// Weights in files, and their way to where they go: what lies together is read in one go.

import { breathe } from './async.js';
import type { WeightInfo } from './backend.js';
import { InvalidModelError } from './errors.js';
import { rereadable, type OpenedModel } from './model-files.js';
import type { Chunk, Source } from './sources.js';

/** Some of a weight's bytes. */
export interface Piece {
  weight: number;
  /** Of its bytes, the first one. */
  offset: number;
  length: number;
  /** In its file, '' for the model's own. */
  file: string;
  at: number;
}

/** Reading so many bytes costs less than to begin anew behind them. */
const gapLimit = 64 << 10;

/** Pieces of one file in the order they lie, without large gaps. */
interface Run {
  file: string;
  at: number;
  end: number;
  pieces: Piece[];
}

function* runsOf(pieces: readonly Piece[]): Generator<Run> {
  let run: Run | undefined;
  for (const piece of pieces) {
    const { file, at, length } = piece;
    const follows = run?.file === file && at >= run.end && at - run.end <= gapLimit;
    if (run && !follows) yield run;
    if (!run || !follows) run = { file, at, end: at, pieces: [] };
    run.pieces.push(piece);
    run.end = at + length;
  }
  if (run) yield run;
}

/** What of the weights in other files has to be read: all of those that are used. */
export function externalPieces(infos: readonly WeightInfo[]): Piece[] {
  return infos.flatMap(({ file, used, offset, bytes }, weight) =>
    file !== '' && used ? [{ weight, offset: 0, length: bytes, file, at: offset }] : [],
  );
}

/**
 * Reads pieces and hands their bytes on, those of a weight in order. `loadOnly` weights come first:
 * they are freed before the first run, and share buffers with their like.
 */
export async function readPieces(
  model: OpenedModel,
  infos: readonly WeightInfo[],
  pieces: readonly Piece[],
  take: (piece: Piece, offset: number, bytes: Chunk) => Promise<void> | undefined,
  {
    signal,
    onBytes = () => {},
  }: { signal?: AbortSignal | undefined; onBytes?: (loaded: number, total: number) => void } = {},
): Promise<void> {
  const late = ({ weight }: Piece): number => Number(!infos[weight]!.loadOnly);
  const sorted = [...pieces].sort(
    (a, b) => late(a) - late(b) || Number(a.file > b.file) - Number(a.file < b.file) || a.at - b.at,
  );
  const total = pieces.reduce((sum, { length }) => sum + length, 0);
  const sources = new Map<string, Source>([['', model.main]]);
  let loaded = 0;
  for (const { file, at: start, end, pieces: inRun } of runsOf(sorted)) {
    let source = sources.get(file);
    if (!source) {
      source = await rereadable(await model.external(file), signal);
      sources.set(file, source);
    }
    let next = 0;
    let at = start;
    for await (const chunk of source.range!(start, end - start, signal)) {
      const chunkEnd = at + chunk.length;
      // Pieces that lie in the chunk, the last one perhaps not whole.
      for (; next < inRun.length; next++) {
        const piece = inRun[next]!;
        const from = Math.max(at, piece.at);
        const to = Math.min(chunkEnd, piece.at + piece.length);
        if (to > from) {
          await take(piece, piece.offset + from - piece.at, chunk.subarray(from - at, to - at));
          loaded += to - from;
        }
        if (piece.at + piece.length > chunkEnd) break;
      }
      at = chunkEnd;
      onBytes(loaded, total);
      await breathe();
      signal?.throwIfAborted();
    }
    if (at < end) {
      const { weight, length, at: began } = inRun[next]!;
      throw new InvalidModelError(
        `weight '${infos[weight]!.name}': ${file} ends early, ${length} bytes at ${began} were expected`,
      );
    }
  }
}
