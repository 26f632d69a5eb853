// The packed package in small projects as users have them: bundled, served and run in Chromium, or
// run in Node and Deno.

import { execFile } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { chromiumPath, quietFlags, TestBrowser, webgpuFlags } from '../support/browser.js';
import { node, tensor, value, writeModel } from '../support/onnx.js';
import { repoRoot } from '../support/paths.js';
import { startServer, type ServerOptions } from '../support/server.js';

const run = promisify(execFile);
const here = join(repoRoot, 'tests', 'consumers');
/** Apart from the repository's node_modules as far as `quern` goes. */
const root = join(repoRoot, 'build', 'consumers');
const modelPath = join(root, 'model.onnx');
const model = writeModel({
  graph: {
    nodes: [node('Mul', ['x', 'a'], ['ax']), node('Add', ['ax', 'b'], ['y'])],
    initializers: [tensor('a', 'f32', [1], [2]), tensor('b', 'f32', [1], [10])],
    inputs: [value('x', 'f32', [3])],
    outputs: [value('y', 'f32', [3])],
  },
});
const y = [12, 14, 16];

beforeAll(async () => {
  rmSync(root, { recursive: true, force: true });
  const installed = join(root, 'node_modules', 'quern');
  mkdirSync(installed, { recursive: true });
  writeFileSync(modelPath, model);
  await run('npm', ['pack', '--silent', '--pack-destination', root], {
    cwd: join(repoRoot, 'runtime'),
  });
  const packed = readdirSync(root).find((name) => name.endsWith('.tgz'))!;
  await run('tar', ['xzf', packed, '-C', installed, '--strip-components=1'], { cwd: root });
  cpSync(join(here, 'projects'), root, { recursive: true });
});

const serving: ServerOptions = {
  routes: {
    '/model.onnx': () => ({ body: model }),
    '/page.html': () => ({
      type: 'text/html',
      body: '<!doctype html><title>page</title><script type="module" src="/main.js"></script>',
    }),
  },
};

interface Result {
  device?: string;
  core?: string;
  threads?: number;
  y: number[];
  again?: number[];
}

/** What globalThis.result() gives in a page; nothing may be wrong on the console. */
async function resultIn(browser: TestBrowser, path: string): Promise<Result> {
  const page = await browser.open(path);
  try {
    await page.page.waitForFunction('globalThis.result !== undefined');
    const result = await page.page.evaluate<Result>('globalThis.result()');
    expect(page.errors).toEqual([]);
    return result;
  } finally {
    await page.close();
  }
}

async function withServer<T>(
  options: ServerOptions,
  act: (browser: TestBrowser) => Promise<T>,
): Promise<T> {
  const browser = await TestBrowser.start({ ...serving, ...options });
  try {
    return await act(browser);
  } finally {
    await browser.close();
  }
}

async function bundle(bundler: string, project: string): Promise<string> {
  const out = join(root, 'out', `${project}-${bundler}`);
  await run(process.execPath, [join(here, 'build.mjs'), bundler, join(root, project), out]);
  return out;
}

/** The page's script with the addresses of modules in place of their names: no import map needed. */
function unbundled(quern: string): string {
  return readFileSync(join(root, 'page', 'main.js'), 'utf8')
    .replace("'quern'", `'${quern}/dist/index.js'`)
    .replace("'quern/ort'", `'${quern}/dist/ort.js'`);
}

describe('a page', () => {
  test.each(['vite', 'webpack', 'esbuild', 'rollup'])('bundled by %s', async (bundler) => {
    const out = await bundle(bundler, 'page');
    await withServer({ root: out, csp: true, isolated: true }, async (browser) => {
      const expected = { device: 'wasm', core: 'worker', threads: 2, y, again: y };
      expect(await resultIn(browser, '/page.html')).toEqual(expected);
      if (bundler !== 'vite') return;
      const onGpu = await resultIn(browser, '/page.html?device=webgpu');
      expect(onGpu).toEqual({ ...expected, device: 'webgpu', threads: 1 });
    });
  });

  test.each(['vite', 'webpack'])('with a worker of its own, bundled by %s', async (bundler) => {
    const out = await bundle(bundler, 'worker');
    await withServer({ root: out, csp: true }, async (browser) => {
      const result = await resultIn(browser, '/page.html');
      expect(result).toEqual({ device: 'wasm', core: 'inline', y });
    });
  });

  test('with a service worker', async () => {
    const out = await bundle('rollup-single', 'service-worker');
    await withServer({ root: out, csp: true }, async (browser) => {
      const result = await resultIn(browser, '/page.html');
      expect(result).toEqual({ device: 'wasm', core: 'inline', y });
    });
  });

  test('without a bundler, from another origin', async () => {
    const cdn = await startServer({ root, cors: true });
    const main = { type: 'text/javascript', body: unbundled(`${cdn.url}/node_modules/quern`) };
    const routes = { ...serving.routes, '/main.js': () => main };
    try {
      for (const isolated of [false, true]) {
        await withServer({ routes, isolated }, async (browser) => {
          const threads = isolated ? 2 : 1;
          const expected = { device: 'wasm', core: 'worker', threads, y, again: y };
          expect(await resultIn(browser, '/page.html')).toEqual(expected);
        });
      }
    } finally {
      await cdn.close();
    }
  });

  // What an extension of Manifest V3 may have at most.
  const extensionPolicy = "script-src 'self' 'wasm-unsafe-eval'; object-src 'self'";

  test('without a bundler, under the policy of an extension', async () => {
    const main = { type: 'text/javascript', body: unbundled('/node_modules/quern') };
    const routes = { ...serving.routes, '/main.js': () => main };
    await withServer({ root, routes, csp: extensionPolicy }, async (browser) => {
      const expected = { device: 'wasm', core: 'worker', threads: 1, y, again: y };
      expect(await resultIn(browser, '/page.html')).toEqual(expected);
    });
  });
});

// Next is 340 MB of packages, and builds for half a minute.
describe.runIf(process.env['QUERN_LONG'])('Next', () => {
  test.each(['webpack', 'turbopack'])('a client component, by %s', async (bundler) => {
    const project = join(root, `next-${bundler}`);
    const installed = join(here, 'next', 'node_modules');
    const isSource = (path: string): boolean => !path.includes('node_modules');
    cpSync(join(here, 'next'), project, { recursive: true, filter: isSource });
    symlinkSync(installed, join(project, 'node_modules'));
    const next = join(installed, 'next', 'dist', 'bin', 'next');
    const env = { ...process.env, NEXT_TELEMETRY_DISABLED: '1', NODE_ENV: 'production' as const };
    await run(process.execPath, [next, 'build', `--${bundler}`], { cwd: project, env });
    // Next's own scripts are inline.
    const csp = "script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval'; worker-src 'self' blob:";
    const options = { root: join(project, 'out'), csp, isolated: true };
    await withServer(options, async (browser) => {
      for (const [device, threads] of [
        ['wasm', 2],
        ['webgpu', 1],
      ] as const) {
        const page = await browser.open(`/index.html?device=${device}`);
        const output = page.page.locator('output', { hasText: /^(?!loading)/ });
        const expected = JSON.stringify({ device, core: 'worker', threads, y });
        expect(await output.textContent()).toBe(expected);
        expect(page.errors).toEqual([]);
        await page.close();
      }
    });
  });
});

describe('a browser extension', () => {
  test('of Manifest V3: its page and its service worker', async () => {
    const out = await bundle('extension', 'extension');
    writeFileSync(join(out, 'model.onnx'), model);
    const server = await startServer({ routes: serving.routes! });
    const context = await chromium.launchPersistentContext('', {
      executablePath: chromiumPath(),
      ignoreDefaultArgs: ['--disable-extensions'],
      args: [
        ...quietFlags,
        ...webgpuFlags,
        `--disable-extensions-except=${out}`,
        `--load-extension=${out}`,
      ],
    });
    try {
      const worker = context.serviceWorkers()[0] ?? (await context.waitForEvent('serviceworker'));
      const page = await context.newPage();
      const errors: string[] = [];
      page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
      page.on('pageerror', (error) => errors.push(String(error)));
      for (const device of ['wasm', 'webgpu']) {
        await page.goto(new URL(`/page.html?device=${device}`, worker.url()).href);
        await expect.poll(() => page.evaluate('typeof result')).toBe('function');
        expect(await page.evaluate('result()')).toEqual({ device, core: 'worker', y });
      }
      const inBackground = `inBackground('${server.url}/model.onnx')`;
      const expected = { device: 'wasm', core: 'inline', y, kept: true };
      expect(await page.evaluate(inBackground)).toEqual(expected);
      expect(errors).toEqual([]);
    } finally {
      await context.close();
      await server.close();
    }
  });
});

describe('without a browser', () => {
  const project = join(root, 'node');
  const parse = ({ stdout }: { stdout: string }): unknown =>
    JSON.parse(stdout.trim().split('\n').at(-1)!);

  test.each(['main.mjs', 'main.cjs'])('Node: %s', async (file) => {
    const result = await run(process.execPath, [join(project, file), modelPath]);
    expect(parse(result)).toEqual({ y, again: y });
  });

  test('Deno', async () => {
    const args = ['deno', 'run', '-A', '--node-modules-dir=manual', 'main.mjs', modelPath];
    expect(parse(await run('npx', args, { cwd: project }))).toEqual({ y, again: y });
  });

  test.each(['bundler', 'nodenext'])('types, resolved as by %s', async (resolution) => {
    const module = resolution === 'bundler' ? 'esnext' : 'nodenext';
    const options = `--noEmit --strict --target es2022 --module ${module} --moduleResolution ${resolution}`;
    const more = '--lib es2023,dom,dom.iterable,esnext.disposable --types @webgpu/types';
    const tsc = join(repoRoot, 'node_modules', 'typescript', 'bin', 'tsc');
    const args = [tsc, ...`${options} ${more}`.split(' '), join(project, 'types.ts')];
    await run(process.execPath, args, { cwd: project });
  });
});

describe('the packed package', () => {
  const bin = (name: string): string => join(here, 'node_modules', '.bin', name);

  test('publint', async () => {
    const { stdout } = await run(bin('publint'), ['--strict', join(root, 'node_modules', 'quern')]);
    expect(stdout).toContain('All good!');
  });

  // Old ways of resolving modules know no `exports`, and CommonJS gets ES modules, as Node 20.19 can.
  test('arethetypeswrong', async () => {
    const packed = readdirSync(root).find((name) => name.endsWith('.tgz'))!;
    const args = ['--profile', 'esm-only', '--exclude-entrypoints', 'wasm/*', 'worker'];
    await run(bin('attw'), [join(root, packed), ...args]);
  });
});

afterAll(() => rmSync(join(root, 'out'), { recursive: true, force: true }));
