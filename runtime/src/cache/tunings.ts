// Tuning tables as records: one for each device.

import { textOf } from '../errors.js';
import { faultOf, type TuningState, type TuningTable } from '../tuning.js';
import { sha256 } from './manifest.js';
import type { RecordStore } from './records.js';
import { openStores } from './stores.js';
import type { CachePlace } from './types.js';

/** The group of all tables: no file of a model. */
const group = 'tuning';
/** Forms kept of a device: the latest. */
const mostKept = 5_000;

export interface KeptTuning {
  forms: Record<string, string>;
  keep: NonNullable<TuningState['keep']>;
}

/** What is kept for a device, and how to keep more; undefined, with a note, without a store. */
export async function openTuning(
  place: CachePlace,
  device: string,
  notes: string[],
): Promise<KeptTuning | undefined> {
  const { stores, reasons } = await openStores(place, 'tuning');
  const store = stores[0];
  if (!store) {
    notes.push(...reasons.map((reason) => `tuning: ${reason}`));
    return undefined;
  }
  const name = await sha256(new TextEncoder().encode(device));
  return {
    forms: await read(store, name, device, notes),
    async keep(table, tried) {
      // Another tab may have kept some meanwhile.
      const before = await read(store, name, device, []);
      for (const problem of [...tried, ...Object.keys(table.forms)]) delete before[problem];
      const forms = Object.entries({ ...before, ...table.forms }).slice(-mostKept);
      const text = JSON.stringify({ ...table, forms: Object.fromEntries(forms) });
      await store.put(group, name, new TextEncoder().encode(text));
    },
  };
}

async function read(
  store: RecordStore,
  name: string,
  device: string,
  notes: string[],
): Promise<Record<string, string>> {
  const record = await store.get(group, name);
  if (!record) return {};
  let fault: string | undefined;
  try {
    const table = JSON.parse(await record.text()) as TuningTable;
    fault = faultOf(table) ?? (table.device === device ? undefined : 'it is of another device');
    if (!fault) return table.forms;
  } catch (error) {
    fault = textOf(error);
  }
  notes.push(`tuning: the kept table is damaged: ${fault}`);
  return {};
}
