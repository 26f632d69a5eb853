// Makes the fixtures of the model tests anew: node tests/models/make-fixtures.mjs
// Wants chromium (or $CHROMIUM) and espeak-ng. The tests themselves read the committed files only.

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const folder = fileURLToPath(new URL('fixtures', import.meta.url));
mkdirSync(folder, { recursive: true });
await drawTextLines();
speak('Grind the model into kernels, then run it.');

/** Two lines of text, 64 pixels high, the second upside down. */
async function drawTextLines() {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--force-color-profile=srgb', '--disable-lcd-text'],
  });
  const page = await browser.newPage({ viewport: { width: 400, height: 100 } });
  const lines = [
    { name: 'text-upright.png', text: 'Quern, 27 models', turn: 0 },
    { name: 'text-upside-down.png', text: 'Ground by hand', turn: 180 },
  ];
  for (const { name, text, turn } of lines) {
    await page.setContent(
      `<body style="margin:0"><span style="display:inline-block; font:40px/64px 'DejaVu Sans';
      padding:0 12px; color:#203040; background:#f4efe4; transform:rotate(${turn}deg)">${text}`,
    );
    writeFileSync(join(folder, name), await page.locator('span').screenshot());
  }
  await browser.close();
}

/** Two seconds of speech as 16-bit mono at 16 kHz, a quarter of a second of silence in front. */
function speak(text) {
  const scratch = mkdtempSync(join(tmpdir(), 'speech-'));
  const spoken = join(scratch, 'spoken.wav');
  execFileSync('espeak-ng', ['-v', 'en', '-s', '190', '-w', spoken, text]);
  const wav = readFileSync(spoken);
  rmSync(scratch, { recursive: true });

  const rate = wav.readUInt32LE(24);
  const samples = Float32Array.from({ length: (wav.length - 44) >> 1 }, (_, i) =>
    wav.readInt16LE(44 + i * 2),
  );
  const target = 16000;
  const speech = resample(samples, rate, target);
  const out = new Int16Array(2 * target);
  const silence = target / 4;
  out.set(speech.subarray(0, out.length - silence).map(Math.round), silence);
  writeFileSync(join(folder, 'speech-16khz.wav'), wavFile(out, target));
}

/** Band-limited resampling to a lower rate: a Hann-windowed sinc, 16 zero crossings each side. */
function resample(samples, from, to) {
  const ratio = to / from;
  const reach = 16 / ratio;
  return Float32Array.from({ length: Math.floor(samples.length * ratio) }, (_, i) => {
    const centre = i / ratio;
    let sum = 0;
    for (let j = Math.max(0, Math.ceil(centre - reach)); j <= centre + reach; j++) {
      const x = (j - centre) * ratio;
      const sinc = x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
      const window = 0.5 + 0.5 * Math.cos((Math.PI * (j - centre)) / reach);
      sum += (samples[j] ?? 0) * sinc * window * ratio;
    }
    return Math.max(-32768, Math.min(32767, sum));
  });
}

function wavFile(samples, rate) {
  const header = Buffer.alloc(44);
  header.write('RIFF', 0);
  header.writeUInt32LE(36 + samples.byteLength, 4);
  header.write('WAVEfmt ', 8);
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20); // PCM
  header.writeUInt16LE(1, 22); // mono
  header.writeUInt32LE(rate, 24);
  header.writeUInt32LE(rate * 2, 28);
  header.writeUInt16LE(2, 32);
  header.writeUInt16LE(16, 34);
  header.write('data', 36);
  header.writeUInt32LE(samples.byteLength, 40);
  return Buffer.concat([header, Buffer.from(samples.buffer)]);
}
