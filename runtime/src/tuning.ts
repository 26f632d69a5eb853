// Which forms of kernels were found to be the fastest on a device (docs/tuning.md): made by tune.ts,
// used when a model is loaded.

import type { CachePlace } from './cache/types.js';
import type { AdapterInfo } from './device.js';
import { InvalidArgumentError } from './errors.js';

/** What a tuner found out on a device: by problem, the form to take. */
export interface TuningTable {
  version: 1;
  /** Device, browser or Node: `deviceKey`. */
  device: string;
  forms: Record<string, string>;
}

/** Where tables are kept, and whether one is made unasked. */
export interface TuningOptions extends CachePlace {
  /** Tunes after the first run, while no other is under way. */
  background?: boolean;
}

/** A choice of the core's: quern_session_choices in src/api/abi.h. */
export interface Choice {
  node: number;
  problem: string;
  /** The first is the one of the tables in the code. */
  forms: string[];
  taken: number;
  /** How many trials it takes to try all. */
  trials: number;
  /** Which of the node's dispatches. */
  first: number;
  last: number;
}

/** What a loaded model has of all this. */
export interface TuningState {
  forms: Record<string, string>;
  background: boolean;
  /**
   * Keeps the forms for the next load, and none of the other problems that were `tried`; absent
   * where there is no place for them.
   */
  keep?: (table: TuningTable, tried: readonly string[]) => Promise<void>;
}

/** A table of more entries is nobody's. */
const mostForms = 10_000;

/** Kernels' times depend on the device, its driver and the compiler in the browser or in Node. */
export function deviceKey({ vendor, architecture, device, description }: AdapterInfo): string {
  const engine = (globalThis.navigator as Navigator | undefined)?.userAgent ?? '';
  return [vendor, architecture, device, description, engine].join('|');
}

/** The table as the core takes it. */
export function tableBytes(forms: Record<string, string>): Uint8Array<ArrayBuffer> {
  const lines = Object.entries(forms).map(([problem, form]) => `${problem}\t${form}\n`);
  return new TextEncoder().encode(lines.join(''));
}

/** What is wrong with a table, if anything. */
export function faultOf(table: unknown): string | undefined {
  const { version, device, forms } = (table ?? {}) as Partial<TuningTable>;
  if (version !== 1) return `its version is ${String(version)}, expected 1`;
  if (typeof device !== 'string') return 'it names no device';
  if (typeof forms !== 'object' || forms === null) return 'it has no forms';
  const entries = Object.entries(forms);
  if (entries.length > mostForms) return `it has ${entries.length} forms, at most ${mostForms}`;
  const bad = entries.find(
    ([problem, form]) => typeof form !== 'string' || /[\t\n]/.test(problem + form),
  );
  return bad && `its form of '${bad[0]}' is no name`;
}

/** A table that a caller gives; its forms where it is this device's. */
export function formsFor(table: TuningTable, info: AdapterInfo, notes: string[]) {
  const fault = faultOf(table);
  if (fault) throw new InvalidArgumentError(`tuning: ${fault}`);
  if (table.device === deviceKey(info)) return table.forms;
  notes.push(`tuning: the table is of another device, ${table.device}`);
  return {};
}
