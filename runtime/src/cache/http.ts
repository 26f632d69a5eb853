// Requests that ask for a file as of a known version, or for the rest of it (RFC 9110, 13 and 14).

import { InvalidArgumentError, textOf } from '../errors.js';
import type { Remote } from '../sources.js';

/** What a server calls the version of a file. */
export interface Validators {
  etag?: string | undefined;
  lastModified?: string | undefined;
  /** What If-Range may be: the one of these that is strong. */
  ifRange?: string | undefined;
}

/** So long a copy waits for the server's word, in milliseconds. */
const answerTime = 5000;
/** A file changed so shortly before may change again in the same second. */
const settledTime = 60_000;

export function validatorsOf({ headers }: Response): Validators {
  const etag = headers.get('etag') ?? undefined;
  const lastModified = headers.get('last-modified') ?? undefined;
  const sent = Date.parse(headers.get('date') ?? '') || Date.now();
  const settled = lastModified && sent - Date.parse(lastModified) >= settledTime;
  const strong = etag && !etag.startsWith('W/');
  return {
    etag,
    lastModified,
    ifRange: strong ? etag : !etag && settled ? lastModified : undefined,
  };
}

const opaque = (etag: string): string => etag.replace(/^W\//, '');

/** Do both say the same? undefined: they can't be compared. */
export function sameVersion(a: Validators, b: Validators): boolean | undefined {
  if (a.etag && b.etag) return opaque(a.etag) === opaque(b.etag);
  if (a.lastModified && b.lastModified) return a.lastModified === b.lastModified;
  return undefined;
}

/** Headers other than a few make a browser ask another origin's server first, which may not know how. */
function isForeign(url: string): boolean {
  const { origin } = (globalThis.location ?? {}) as { origin?: string };
  return origin !== undefined && new URL(url).origin !== origin;
}

function send(
  { url, request }: Remote,
  more: Record<string, string>,
  init: RequestInit,
): Promise<Response> {
  const headers = new Headers(request?.headers);
  for (const [name, value] of Object.entries(more)) headers.set(name, value);
  return fetch(request ? request.clone() : url, { ...init, headers });
}

const withSignal = (signal?: AbortSignal): RequestInit => (signal ? { signal } : {});

export function cannotFetch(url: string, error: unknown): InvalidArgumentError {
  return new InvalidArgumentError(`model: ${url} can't be fetched: ${textOf(error)}`, {
    cause: error,
  });
}

/** The response, if it is one with the file. */
async function accepted({ url }: Remote, response: Response): Promise<Response> {
  if (response.ok) return response;
  await response.body?.cancel();
  throw new InvalidArgumentError(`model: ${url} gives status ${response.status}`);
}

export async function get(remote: Remote, signal?: AbortSignal): Promise<Response> {
  let response: Response;
  try {
    response = await send(remote, {}, withSignal(signal));
  } catch (error) {
    if (signal?.aborted) throw error;
    throw cannotFetch(remote.url, error);
  }
  return accepted(remote, response);
}

export type Answer =
  | { kind: 'same' }
  /** A version that is not the one known. */
  | { kind: 'other'; response: Response }
  | { kind: 'unknown'; reason: string };

/** Asks whether a file is still what it was. Throws where the server refuses it. */
export async function ask(
  remote: Remote,
  known: Validators,
  signal: AbortSignal | undefined,
): Promise<Answer> {
  if (globalThis.navigator?.onLine === false) return { kind: 'unknown', reason: 'offline' };
  const foreign = isForeign(remote.url);
  const conditions: Record<string, string> = {};
  if (known.etag) conditions['if-none-match'] = known.etag;
  else if (known.lastModified) conditions['if-modified-since'] = known.lastModified;

  const controller = new AbortController();
  const abort = (): void => controller.abort(signal!.reason);
  const late = new Error(`no answer in ${answerTime / 1000} s`);
  const timer = setTimeout(() => controller.abort(late), answerTime);
  signal?.addEventListener('abort', abort);
  let response: Response;
  try {
    response = await send(remote, foreign ? {} : conditions, {
      cache: foreign ? 'no-cache' : 'no-store',
      signal: controller.signal,
    });
  } catch (error) {
    signal?.throwIfAborted();
    return { kind: 'unknown', reason: textOf(controller.signal.aborted ? late : error) };
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
  }
  const { status } = response;
  if (status === 304) return { kind: 'same' };
  if (status === 408 || status === 429 || status >= 500) {
    await response.body?.cancel();
    return { kind: 'unknown', reason: `status ${status}` };
  }
  await accepted(remote, response);
  if (!sameVersion(known, validatorsOf(response))) return { kind: 'other', response };
  await response.body?.cancel();
  return { kind: 'same' };
}

/**
 * Asks for the bytes from `from` on of the version known: a response of status 206, or, where it can't
 * be had so, the file as it is now, of status 200.
 */
export async function resume(
  remote: Remote,
  from: number,
  known: Validators,
  signal: AbortSignal | undefined,
): Promise<Response> {
  const foreign = isForeign(remote.url);
  const headers: Record<string, string> = { range: `bytes=${from}-` };
  if (!foreign && known.ifRange) headers['if-range'] = known.ifRange;
  const response = await send(remote, headers, { cache: 'no-store', ...withSignal(signal) });
  if (response.status === 206) {
    const range = response.headers.get('content-range');
    const starts = !range || range.startsWith(`bytes ${from}-`);
    const same = sameVersion(known, validatorsOf(response));
    if (starts && (foreign ? same === true : same !== false)) return response;
  } else if (response.status !== 416) {
    return accepted(remote, response);
  }
  await response.body?.cancel();
  return get(remote, signal);
}
