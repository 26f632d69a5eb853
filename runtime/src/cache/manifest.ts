// What a cache knows about a file: its pieces and their hashes, and what the server said of it.

import type { RecordStore } from './records.js';
import type { Validators } from './http.js';

/** What begins a group that is a file. */
export const filePrefix = 'file-';

export interface Piece {
  bytes: number;
  /** SHA-256, in hexadecimal digits. */
  hash: string;
}

export interface Manifest extends Validators {
  key: string;
  url: string;
  /** Of the download: begins the names of its pieces. */
  id: string;
  pieces: Piece[];
}

/** The complete file, and a download that is not. */
export type ManifestName = 'manifest' | 'partial';

const hexDigits = 64;

export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

const encoder = new TextEncoder();

export async function groupOf(key: string): Promise<string> {
  return filePrefix + (await sha256(encoder.encode(key)));
}

export function pieceName({ id }: Manifest, index: number): string {
  return `${id}.${index}`;
}

export function sizeOf({ pieces }: Manifest): number {
  return pieces.reduce((sum, { bytes }) => sum + bytes, 0);
}

export async function writeManifest(
  store: RecordStore,
  group: string,
  name: ManifestName,
  manifest: Manifest,
): Promise<void> {
  const text = JSON.stringify(manifest);
  const hash = await sha256(encoder.encode(text));
  await store.put(group, name, encoder.encode(hash + text));
}

/** Undefined where there is none, or it is damaged. */
export async function readManifest(
  store: RecordStore,
  group: string,
  name: ManifestName,
): Promise<Manifest | undefined> {
  const text = await (await store.get(group, name))?.text();
  if (text === undefined) return undefined;
  const body = text.slice(hexDigits);
  if ((await sha256(encoder.encode(body))) !== text.slice(0, hexDigits)) return undefined;
  const manifest = JSON.parse(body) as Manifest; // as it was written
  return (await groupOf(manifest.key)) === group ? manifest : undefined;
}

/** A group as a whole: who uses it, and what it takes. */
export interface Entry {
  group: string;
  complete: Manifest | undefined;
  partial: Manifest | undefined;
  /** Bytes of all pieces that a manifest names. */
  bytes: number;
  /** Milliseconds since 1970; 0 where it is not known. */
  lastUsed: number;
}

export async function readEntry(store: RecordStore, group: string): Promise<Entry> {
  const complete = await readManifest(store, group, 'manifest');
  const partial = await readManifest(store, group, 'partial');
  const used = Number(await (await store.get(group, 'used'))?.text());
  return {
    group,
    complete,
    partial,
    bytes: (complete ? sizeOf(complete) : 0) + (partial ? sizeOf(partial) : 0),
    lastUsed: Number.isFinite(used) ? used : 0,
  };
}

export async function readEntries(store: RecordStore): Promise<Entry[]> {
  const groups = (await store.groups()).filter((group) => group.startsWith(filePrefix));
  return Promise.all(groups.map((group) => readEntry(store, group)));
}

export async function markUsed(store: RecordStore, group: string): Promise<void> {
  await store.put(group, 'used', encoder.encode(String(Date.now())));
}
