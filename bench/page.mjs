// Engines side by side in Chromium, as bench.mjs does it in Node: one browser a model, in its page
// all engines, their runs interleaved, results compared with onnxruntime-web's on WebAssembly.
//   node bench/page.mjs [RUNTIME] [--models NAME,...] [--engines NAME,...] [--runs N]
//     [--budget SECONDS] [--again N] [--threads N] [--limit SECONDS] [--packages FOLDER]
//     [--software] [--flag FLAG]... [--verbose] [--json FILE]
// RUNTIME: the folder with dist/ and wasm/ (runtime/). $CHROMIUM: the browser.

import { availableParallelism } from 'node:os';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { installed } from './lib/engines/missing.mjs';
import { knownModels } from './lib/models.mjs';
import { packageRoots, rootOf } from './lib/packages.mjs';
import { modelTable } from './lib/statistics.mjs';
import { verdictLine, verdicts } from './lib/verdicts.mjs';
import { startChromium } from './page/chromium.mjs';
import { serve } from './page/server.mjs';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    models: { type: 'string' },
    engines: { type: 'string' },
    packages: { type: 'string' },
    runs: { type: 'string', default: '30' },
    budget: { type: 'string', default: '20' },
    again: { type: 'string', default: '3' },
    threads: { type: 'string', default: String(Math.min(4, availableParallelism())) },
    limit: { type: 'string', default: '300' },
    software: { type: 'boolean' },
    verbose: { type: 'boolean' },
    flag: { type: 'string', multiple: true, default: [] },
    json: { type: 'string' },
  },
});
const path = (inside) => fileURLToPath(new URL(inside, import.meta.url));
const roots = packageRoots(options.packages);
const names = options.models?.split(',');
for (const name of names ?? []) {
  if (knownModels.some((known) => known.name === name)) continue;
  throw new Error(`no model '${name}', only ${knownModels.map((known) => known.name).join(', ')}`);
}

const server = await serve(
  { bench: [path('.')], runtime: [positionals[0] ?? path('../runtime')], packages: roots },
  path('page/index.html'),
);
const playwright = installed(rootOf(roots, 'playwright-core'), 'playwright-core');
const has = Object.fromEntries(
  ['onnxruntime-web', '@litertjs/core', '@tensorflow/tfjs-backend-webgpu'].map((name) => [
    name,
    rootOf(roots, name) !== undefined,
  ]),
);

/** The result of one model, of a browser that ends with it. */
async function measureModel({ name, title, file, tflite, inputs }) {
  const browser = await startChromium(playwright, {
    flags: options.flag,
    ...(options.software ? { isSoftware: true } : {}),
  });
  let latest = { name, title, nodes: 0, rows: [] };
  let timer;
  try {
    const page = await browser.newPage();
    page.on('console', (message) => {
      const text = message.text();
      if (message.type() === 'debug') {
        if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
      } else if (options.verbose) process.stderr.write(`${message.type()}: ${text}\n`);
    });
    page.on('pageerror', (error) => process.stderr.write(`page: ${String(error)}\n`));
    await page.exposeFunction('benchUpdate', (result) => (latest = result));
    await page.goto(server.url);
    // As text: the module's address is the page's.
    const module = await page.evaluateHandle(`import('/bench/page/page.js')`);
    const environment = await module.evaluate(({ wake }) => wake());
    environment.browser = browser.version();
    const every = await module.evaluate(({ engineNames }) => engineNames);
    const engines = options.engines?.split(',') ?? every;
    for (const engine of engines) {
      if (!every.includes(engine))
        throw new Error(`no engine '${engine}', only ${every.join(', ')}`);
    }
    const result = module.evaluate(({ run }, argument) => run(argument), {
      model: {
        name,
        title,
        source: `${server.url}/packages/${file}`,
        tflite: tflite && `${server.url}/packages/${tflite}`,
        texts: inputs,
      },
      engines,
      has,
      threads: Number(options.threads),
      runs: Number(options.runs),
      budget: 1000 * Number(options.budget),
      again: Number(options.again),
    });
    const late = new Promise((_, reject) => {
      const fail = () => reject(new Error(`not done in ${options.limit} s`));
      timer = setTimeout(fail, 1000 * Number(options.limit));
    });
    try {
      return { environment, ...(await Promise.race([result, late])) };
    } catch (error) {
      result.catch(() => {}); // of the browser that is closed
      return { environment, ...latest, failed: String(error?.message ?? error) };
    }
  } finally {
    clearTimeout(timer);
    await browser.close();
  }
}

const results = [];
let failures = 0;
for (const known of knownModels) {
  if (names && !names.includes(known.name)) continue;
  if (!rootOf(roots, known.file)) {
    console.log(`${known.title}: left out, ${known.file} is not installed\n`);
    continue;
  }
  const result = await measureModel(known);
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  const { environment } = result;
  if (results.length === 0) {
    const { adapter, isFallback, browser, cores, isolated } = environment;
    console.log(
      `${adapter}${isFallback ? ' (a fallback adapter)' : ''}, Chromium ${browser}, ${cores} cores` +
        `${isolated ? '' : ', not isolated'}; milliseconds; pipelined: a run without reading back\n`,
    );
  }
  result.verdicts = verdicts(result);
  results.push(result);
  console.log(`${modelTable(result)}\n${verdictLine(result.verdicts)}\n`);
  if (result.failed) {
    failures++;
    console.error(`${result.title}: ${result.failed}\n`);
  }
  if (options.json) writeFileSync(options.json, JSON.stringify({ results }, null, 1));
}
server.close();
process.exit(failures > 0 ? 1 : 0);
