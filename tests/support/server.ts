// A static HTTP server on the loopback interface for browser tests.

import { createReadStream, existsSync, readFileSync, statSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize, sep } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { repoRoot } from './paths.js';

/** A body made as it is sent; a SyntheticModel is one. */
export interface GeneratedBody {
  byteLength: number;
  chunks(start: number, end: number): AsyncIterable<Uint8Array>;
}

export interface Reply {
  status?: number;
  /** MIME type; application/octet-stream where not given. */
  type?: string;
  /** With an etag or last-modified among them, conditional requests are honoured. */
  headers?: Record<string, string>;
  /** A bare stream goes without a length and knows no ranges. */
  body?: string | Uint8Array | GeneratedBody | AsyncIterable<Uint8Array>;
}

export interface SeenRequest {
  method: string;
  path: string;
  headers: Record<string, string | string[] | undefined>;
}

export type Route = (request: SeenRequest) => Reply | Promise<Reply>;

export interface ServerOptions {
  /** The folder to serve; the repository's root where not given. */
  root?: string;
  /** Send the COOP and COEP headers that give a page SharedArrayBuffer. */
  isolated?: boolean;
  /** Send a Content-Security-Policy: a strict one for true. */
  csp?: boolean | string;
  /** Let pages of other origins read everything. */
  cors?: boolean;
  /** Answer Range requests with 206; true where not given. */
  ranges?: boolean;
  /** Replies by path, before files. */
  routes?: Record<string, Route>;
}

export interface TestServer {
  /** http://127.0.0.1:port, without a slash at the end. */
  url: string;
  /** What was asked for so far, in order. */
  requests: SeenRequest[];
  /** Replies by path; routes may be added while the server runs. */
  routes: Map<string, Route>;
  close(): Promise<void>;
}

/** The policy of a strict page that may still compile WebAssembly. */
export const strictPolicy = "script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'";

/** The path of an empty page. */
export const blankPage = '/blank.html';

const mimeTypes: Record<string, string> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.map': 'application/json',
  '.mjs': 'text/javascript; charset=utf-8',
  '.onnx': 'application/octet-stream',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
  '.wav': 'audio/wav',
  '.wgsl': 'text/plain; charset=utf-8',
};

export async function startServer(options: ServerOptions = {}): Promise<TestServer> {
  const root = normalize(options.root ?? repoRoot);
  const requests: SeenRequest[] = [];
  const routes = new Map<string, Route>([
    [blankPage, () => ({ type: mimeTypes['.html']!, body: '<!doctype html><title>test</title>' })],
    ['/favicon.ico', () => ({ status: 204 })],
    ...Object.entries(options.routes ?? {}),
  ]);

  const server = createServer((message, response) => {
    const path = decodeURIComponent(new URL(message.url ?? '/', 'http://localhost').pathname);
    const request = { method: message.method ?? 'GET', path, headers: message.headers };
    requests.push(request);
    respond(request, message, response).catch((error: unknown) => {
      // The reader went away, or the route failed: a test sees it as a failed fetch.
      if (!response.headersSent) response.writeHead(500).end(String(error));
      else response.destroy();
    });
  });

  async function respond(
    request: SeenRequest,
    message: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const route = routes.get(request.path);
    const reply = route ? await route(request) : await fileReply(root, request.path);
    response.setHeader('cache-control', 'no-store');
    response.setHeader('content-type', reply.type ?? 'application/octet-stream');
    if (options.isolated) {
      response.setHeader('cross-origin-opener-policy', 'same-origin');
      response.setHeader('cross-origin-embedder-policy', 'require-corp');
      response.setHeader('cross-origin-resource-policy', 'same-origin');
    }
    if (options.cors) response.setHeader('access-control-allow-origin', '*');
    if (options.csp) {
      const policy = options.csp === true ? strictPolicy : options.csp;
      response.setHeader('content-security-policy', policy);
    }
    for (const [name, header] of Object.entries(reply.headers ?? {})) {
      response.setHeader(name, header);
    }
    await send(reply, message, response, options.ranges ?? true);
  }

  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    routes,
    close: () =>
      new Promise((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
      }),
  };
}

async function send(
  reply: Reply,
  message: IncomingMessage,
  response: ServerResponse,
  ranges: boolean,
): Promise<void> {
  const { status = 200, body = '' } = reply;
  if (status === 200 && isUnchanged(message, reply)) {
    response.writeHead(304).end();
    return;
  }
  if (typeof body === 'object' && Symbol.asyncIterator in body) {
    response.writeHead(status);
    await pipeline(readable(body), response);
    return;
  }
  const generated = generatedBody(body);
  const { byteLength } = generated;
  if (ranges) response.setHeader('accept-ranges', 'bytes');
  const range =
    ranges && status === 200 && mayRange(message, reply)
      ? parseRange(message.headers.range, byteLength)
      : undefined;
  if (range === 'unsatisfiable') {
    response.writeHead(416, { 'content-range': `bytes */${byteLength}` }).end();
    return;
  }
  const [start, end] = range ?? [0, byteLength];
  if (range) response.setHeader('content-range', `bytes ${start}-${end - 1}/${byteLength}`);
  if (status !== 204) response.setHeader('content-length', end - start);
  response.writeHead(range ? 206 : status);
  if (message.method === 'HEAD' || start === end) response.end();
  else await pipeline(readable(generated.chunks(start, end)), response);
}

/** If-None-Match, else If-Modified-Since. */
function isUnchanged({ headers }: IncomingMessage, reply: Reply): boolean {
  const { etag, 'last-modified': modified } = reply.headers ?? {};
  const known = headers['if-none-match'];
  if (known !== undefined) return etag !== undefined && known.replace(/^W\//, '') === etag;
  return modified !== undefined && headers['if-modified-since'] === modified;
}

/** If-Range. */
function mayRange({ headers }: IncomingMessage, reply: Reply): boolean {
  const version = headers['if-range'];
  const { etag, 'last-modified': modified } = reply.headers ?? {};
  return version === undefined || version === etag || version === modified;
}

/** One chunk ahead of the reader, no more: bodies may be larger than memory. */
function readable(chunks: AsyncIterable<Uint8Array>): Readable {
  return Readable.from(chunks, { highWaterMark: 1 });
}

function generatedBody(body: string | Uint8Array | GeneratedBody): GeneratedBody {
  if (typeof body !== 'string' && !(body instanceof Uint8Array)) return body;
  const bytes = typeof body === 'string' ? new TextEncoder().encode(body) : body;
  return {
    byteLength: bytes.length,
    async *chunks(start, end) {
      yield bytes.subarray(start, end);
    },
  };
}

/** The [start, end) of a Range header with one range; undefined where there is none to honour. */
function parseRange(
  header: string | undefined,
  size: number,
): [number, number] | 'unsatisfiable' | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? '');
  if (!match || (match[1] === '' && match[2] === '')) return undefined;
  if (match[1] === '') return [Math.max(0, size - Number(match[2])), size];
  const start = Number(match[1]);
  const end = match[2] === '' ? size : Math.min(size, Number(match[2]) + 1);
  return start < end ? [start, end] : 'unsatisfiable';
}

/**
 * The file at a path. A script that exists as TypeScript only is served with its types stripped,
 * so that a page can import the tests' own helpers.
 */
async function fileReply(root: string, path: string): Promise<Reply> {
  const file = normalize(join(root, path));
  const notFound = { status: 404, type: 'text/plain', body: `no ${path}` };
  if (!file.startsWith(root.endsWith(sep) ? root : root + sep)) return notFound;
  if (isFile(file) && extname(file) !== '.ts') {
    return { type: mimeTypes[extname(file)] ?? 'application/octet-stream', body: fileBody(file) };
  }
  const source = file.replace(/\.js$/, '.ts');
  if (!source.endsWith('.ts') || !isFile(source)) return notFound;
  return { type: mimeTypes['.js']!, body: await stripTypes(source) };
}

function isFile(path: string): boolean {
  return existsSync(path) && statSync(path).isFile();
}

function fileBody(file: string): GeneratedBody {
  return {
    byteLength: statSync(file).size,
    chunks: (start, end) => createReadStream(file, { start, end: end - 1 }),
  };
}

async function stripTypes(source: string): Promise<string> {
  const { default: ts } = await import('typescript');
  const options = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ES2022 };
  return ts.transpileModule(readFileSync(source, 'utf8'), {
    compilerOptions: { ...options, verbatimModuleSyntax: true },
  }).outputText;
}
