// Chromium for tests, with WebGPU on its software GPU. Node only.

import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { chromium, type Browser, type Page } from 'playwright-core';
import { softwareToggles } from '../../tools/lib/vulkan.mjs';
import { blankPage, startServer, type ServerOptions, type TestServer } from './server.js';

export const quietFlags = [
  '--no-sandbox',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** WebGPU on the software GPU. */
export const webgpuFlags = [
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  ...softwareToggles.map((toggle) => `--${toggle}`),
  '--enable-features=Vulkan',
];

export interface BrowserOptions extends ServerOptions {
  /** WebGPU on SwiftShader; true where not given. Without it a page has no adapter. */
  webgpu?: boolean;
  /** More flags for Chromium. */
  flags?: readonly string[];
}

/** A browser and a server for it. Close it when done. */
export class TestBrowser {
  readonly browser: Browser;
  readonly server: TestServer;

  private constructor(browser: Browser, server: TestServer) {
    this.browser = browser;
    this.server = server;
  }

  static async start(options: BrowserOptions = {}): Promise<TestBrowser> {
    const server = await startServer(options);
    const gpuFlags = options.webgpu === false ? ['--disable-gpu'] : webgpuFlags;
    try {
      const browser = await chromium.launch({
        executablePath: chromiumPath(),
        args: [...quietFlags, ...gpuFlags, ...(options.flags ?? [])],
      });
      return new TestBrowser(browser, server);
    } catch (error) {
      await server.close();
      throw error;
    }
  }

  /** Opens a page of the server, an empty one where no path is given, in a context of its own. */
  async open(path: string = blankPage): Promise<TestPage> {
    const context = await this.browser.newContext();
    const page = await context.newPage();
    const opened = new TestPage(page, this.server);
    await page.goto(this.server.url + path);
    return opened;
  }

  async close(): Promise<void> {
    await this.browser.close();
    await this.server.close();
  }
}

/** Chromium's executable: $CHROMIUM, or the first of its usual names on the PATH. */
export function chromiumPath(): string {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  const names = ['chromium', 'chromium-browser', 'google-chrome'];
  const folders = (process.env.PATH ?? '').split(delimiter);
  const paths = names.flatMap((name) => folders.map((folder) => join(folder, name)));
  const found = paths.find((path) => existsSync(path));
  if (!found) throw new Error('no Chromium: install chromium, or name it in $CHROMIUM');
  return found;
}

/** Of Chromium's traces; times in microseconds. */
interface TraceEvent {
  name: string;
  ph: string;
  pid: number;
  tid: number;
  ts: number;
  dur?: number;
  /** Of the processor. */
  tdur?: number;
}

let moduleCount = 0;

/** A page under test, with what it complained about. */
export class TestPage {
  readonly page: Page;
  /** Console errors and uncaught exceptions, blocked scripts among them. */
  readonly errors: string[] = [];
  /** Everything on the console, as "type: text". */
  readonly messages: string[] = [];
  readonly #server: TestServer;

  constructor(page: Page, server: TestServer) {
    this.page = page;
    this.#server = server;
    page.on('console', (message) => {
      this.messages.push(`${message.type()}: ${message.text()}`);
      if (message.type() === 'error') this.errors.push(message.text());
    });
    page.on('pageerror', (error) => this.errors.push(String(error)));
  }

  /**
   * Runs a module in the page: `source` exports a default function, which gets `argument` and whose
   * result, awaited, comes back. It is served as a file, so a strict policy lets it pass, and it
   * can import what the server has. Argument and result are copied.
   */
  async evaluateModule<Result>(source: string, argument?: unknown): Promise<Result> {
    const path = `/test-module-${++moduleCount}.js`;
    this.#server.routes.set(path, () => ({ type: 'text/javascript', body: source }));
    try {
      // As text, since the test runner would rewrite an import() in code.
      const module = await this.page.evaluateHandle<{ default: (argument: unknown) => Result }>(
        `import('${path}')`,
      );
      return await module.evaluate(async ({ default: run }, argument) => {
        // In a task of its own: what DevTools calls directly may eval in spite of the policy.
        await new Promise((resolve) => setTimeout(resolve));
        return run(argument);
      }, argument);
    } finally {
      this.#server.routes.delete(path);
    }
  }

  /**
   * Runs `act`; of the main thread's tasks that lie in what the page marks by
   * performance.measure('span', ...), all or in part, what each takes of the processor, in ms. How
   * long they take in all would grow with what else the machine has to do.
   */
  async processorTimes<T>(act: () => Promise<T>): Promise<{ result: T; times: number[] }> {
    const browser = this.page.context().browser()!;
    const categories = ['disabled-by-default-devtools.timeline', 'blink.user_timing'];
    await browser.startTracing(this.page, { categories });
    let trace: Buffer;
    let result: T;
    try {
      result = await act();
    } finally {
      trace = await browser.stopTracing();
    }
    const { traceEvents } = JSON.parse(trace.toString()) as { traceEvents: TraceEvent[] };
    const marks = traceEvents.filter(({ name }) => name === 'span').sort((a, b) => a.ts - b.ts);
    const tasks = traceEvents.filter(
      ({ name, pid, tid }) => name === 'RunTask' && pid === marks[0]?.pid && tid === marks[0]?.tid,
    );
    const times = tasks
      .filter(({ ts, dur = 0 }) =>
        marks.some(
          ({ ph, ts: start }, i) => ph === 'b' && ts < marks[i + 1]!.ts && ts + dur > start,
        ),
      )
      .map(({ tdur = 0 }) => tdur / 1000);
    return { result, times };
  }

  async close(): Promise<void> {
    await this.page.context().close();
  }
}
