// The page: loads the models at once, reads what it is given, says what happens.

import page from '../pictures/page.png';
import receipt from '../pictures/receipt.png';
import sign from '../pictures/sign.png';

import type { Reading, Stage } from '../ocr/read-text.js';
import { deviceAndReason, duration } from '../ocr/summary.js';
import { byId, make } from './elements.js';
import { loadReader, type LoadedReader } from './models.js';
import { onFileGiven, openPicture, type OpenedPicture } from './open-picture.js';
import { clearResults, linkLinesAndBoxes, showLines, showPlaces, showTimes } from './results.js';
import { showBoxes, showPicture } from './stage.js';

type Device = 'auto' | 'webgpu' | 'wasm';

const samples = { Receipt: receipt, 'English page': page, 'Chinese sign': sign };
const stageWords: Record<Stage, string> = {
  detection: 'Finding lines of text',
  direction: 'Looking which way up they are',
  recognition: 'Reading the lines',
};

const message = byId('message', HTMLSpanElement);
const detail = byId('detail', HTMLSpanElement);
const progress = byId('progress', HTMLProgressElement);
const error = byId('error', HTMLParagraphElement);
const copy = byId('copy', HTMLButtonElement);
const again = byId('again', HTMLButtonElement);

/** The models on the chosen device; another choice aborts their loading. */
let models: Promise<LoadedReader> | undefined;
let loading = new AbortController();
let picture: OpenedPicture | undefined;
/** What was read in this picture on this device; another of either aborts the reading. */
let readings: Reading[] = [];
let reading = new AbortController();
/** Pictures asked for, numbered; the one shown. */
let asked = 0;
let shown = 0;
const complaints = { models: '', picture: '' };

/** Says what goes on. Without a share the bar moves on its own, null hides it. */
function say(words: string, more = '', share?: number | null): void {
  // Only a change is read out.
  if (message.textContent !== words) message.textContent = words;
  detail.textContent = more;
  progress.hidden = share === null;
  if (typeof share === 'number') progress.value = share;
  else progress.removeAttribute('value');
}

/** Says what is wrong with the models or the picture; nothing is, once it is ''. */
function complain(about: 'models' | 'picture', what: string): void {
  complaints[about] = what;
  error.textContent = Object.values(complaints).filter(Boolean).join(' ');
  error.hidden = error.textContent === '';
}

function wordsOf(reason: unknown): string {
  return (reason instanceof Error ? reason.message : String(reason)).replace(/^webgpu: /, '');
}

function loadModels(device: Device): void {
  loading.abort();
  models?.then(({ reader }) => reader.dispose()).catch(() => {});
  complain('models', '');
  const { signal } = (loading = new AbortController());
  models = loadReader(device, signal, (more, share) => {
    if (!signal.aborted) say('Loading the models', more, share);
  });
  models.then(
    ({ reader }) => {
      if (signal.aborted) return;
      say('The models are loaded', '', null);
      showPlaces(reader.reports());
    },
    (reason: unknown) => {
      if (signal.aborted) return;
      say('The models are not loaded', '', null);
      complain(
        'models',
        device === 'webgpu'
          ? `WebGPU can’t be used: ${wordsOf(reason)}. Choose Automatic or WebAssembly.`
          : `The models can’t be loaded: ${wordsOf(reason)}.`,
      );
    },
  );
  readAnew();
}

function readAnew(): void {
  reading.abort();
  reading = new AbortController();
  readings = [];
  complain('picture', '');
  clearResults();
  showBoxes([]);
  void readOnce();
}

/** Reads the picture once and shows what came of it. */
async function readOnce(): Promise<void> {
  const { signal } = reading;
  copy.disabled = again.disabled = true;
  const loaded = await models?.catch(() => undefined); // loadModels says why
  if (!loaded || !picture || signal.aborted) return;
  const { reader, loadTime } = loaded;
  try {
    const onStage = (stage: Stage): void => {
      if (!signal.aborted) say(stageWords[stage]);
    };
    const result = await reader.read(picture.pixels, { signal, onStage });
    if (signal.aborted) return;
    readings.push(result);
    const { lines, times } = result;
    const reports = reader.reports();
    showLines(lines);
    showBoxes(lines);
    showTimes(reports, loadTime, readings);
    showPlaces(reports);
    const count = lines.length === 1 ? 'One line' : `${lines.length} lines`;
    say(`${count} in ${duration(times.total)} on ${deviceAndReason(reports).device}`, '', null);
    again.disabled = false;
    copy.disabled = lines.length === 0;
  } catch (reason) {
    if (signal.aborted) return;
    say('The picture is not read', '', null);
    complain('picture', `Reading failed: ${wordsOf(reason)}.`);
  }
}

/** Takes a file of the user's or a sample; of several the one asked for last is shown. */
async function take(file: Blob | Promise<Blob>, name: string): Promise<void> {
  const own = ++asked;
  try {
    const opened = await openPicture(await file, name);
    if (own < shown) return;
    shown = own;
    if (picture) URL.revokeObjectURL(picture.url);
    picture = opened;
    showPicture(opened);
    readAnew();
  } catch (reason) {
    if (own > shown) complain('picture', wordsOf(reason)); // what is shown stays
  }
}

async function fetched(url: string): Promise<Blob> {
  return (await fetch(url)).blob();
}

for (const [name, url] of Object.entries(samples)) {
  const image = make('img', { src: url, alt: '', width: 48, height: 48 });
  const button = make('button', { type: 'button' }, image, name);
  button.addEventListener('click', () => void take(fetched(url), name));
  byId('samples', HTMLDivElement).append(button);
}

const input = byId('file', HTMLInputElement);
input.addEventListener('change', () => {
  const file = input.files?.[0];
  input.value = ''; // the same file may be chosen again
  if (file) void take(file, file.name);
});
onFileGiven((file) => void take(file, file.name));

again.addEventListener('click', () => void readOnce());
copy.addEventListener('click', () => void copyText());

async function copyText(): Promise<void> {
  const lines = readings.at(-1)?.lines ?? [];
  try {
    await navigator.clipboard.writeText(lines.map(({ text }) => text).join('\n'));
    copy.textContent = 'Copied';
    setTimeout(() => (copy.textContent = 'Copy'), 1500);
  } catch {
    complain('picture', 'The browser does not let this page write to the clipboard.');
  }
}

const over = byId('over', HTMLInputElement);
over.addEventListener('change', () => {
  byId('stage', HTMLDivElement).classList.toggle('boxes-only', !over.checked);
});
linkLinesAndBoxes();

// ?device=wasm in the address chooses beforehand.
const radios = document.querySelectorAll<HTMLInputElement>('input[name=device]');
const wanted = new URLSearchParams(location.search).get('device');
for (const radio of radios) {
  radio.checked = radio.value === (wanted ?? 'auto');
  radio.addEventListener('change', () => loadModels(radio.value as Device));
}
const checked = [...radios].find((radio) => radio.checked) ?? radios[0]!;
checked.checked = true;
loadModels(checked.value as Device);
void take(fetched(receipt), 'Receipt');
