// How the command line tool writes numbers and tables.

import type { ValueType } from '../backend.js';
import { nameOf } from '../device.js';
import type { ModelReport } from '../report.js';

export function bytes(count: number): string {
  const units = ['B', 'kB', 'MB', 'GB'];
  let unit = 0;
  for (; count >= 1000 && unit < 3; unit++) count /= 1000;
  return `${unit === 0 ? count : count.toPrecision(3)} ${units[unit]}`;
}

export function milliseconds(time: number): string {
  return `${time >= 100 ? time.toFixed(0) : time.toPrecision(3)} ms`;
}

/** Microseconds, as they are. */
export function micros(time: number): string {
  return time >= 1000 ? time.toFixed(0) : time >= 10 ? time.toFixed(1) : time.toFixed(2);
}

/** The first rows of a table about runs of a model: the device, and what it was fed. */
export function headOf(device: string, fed: Record<string, string>): string[][] {
  return [
    ['device', device],
    ...Object.entries(fed).map(([name, value]) => ['input', `${name} = ${value}`]),
  ];
}

export function valueType({ dtype, dims, kind, element, key }: ValueType): string {
  if (kind) {
    const inner = element ? valueType(element) : dtype;
    return kind === 'map' ? `map<${key}, ${inner}>` : `${kind}<${inner}>`;
  }
  return `${dtype}[${dims?.join(', ') ?? '...'}]`;
}

/** Rows with their columns aligned; numbers to the right. */
export function table(rows: readonly (readonly (string | number)[])[], indent = '  '): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, String(cell).length)));
  }
  return rows
    .map((row) => {
      const cells = row.map((cell, i) =>
        typeof cell === 'number' ? String(cell).padStart(widths[i]!) : cell.padEnd(widths[i]!),
      );
      return indent + cells.join('  ').trimEnd() + '\n';
    })
    .join('');
}

/** One line: the device, and why. */
export function deviceLine({ device, reason, adapter, threads, notes }: ModelReport): string {
  const what = adapter ? nameOf(adapter) : `${threads} thread${threads === 1 ? '' : 's'}`;
  return [`${device} (${reason}): ${what}`, ...notes].join('; ');
}
