// Figures of a bench's rows: medians with their spread, errors, and the table of them.

import { table } from './table.mjs';
import { numberAt } from './values.mjs';

/** The value below which a share of all lie. */
export function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted.length === 0
    ? undefined
    : sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}

export const spread = (values) => ({
  count: values.length,
  median: quantile(values, 0.5),
  p10: quantile(values, 0.1),
  p90: quantile(values, 0.9),
});

/**
 * sqrt(sum (got - expected)^2 / sum expected^2) over all outputs that `expected` has, and text
 * instead where they can't be compared.
 */
export function relativeError(expected, got) {
  let square = 0;
  let norm = 0;
  for (const [name, { data }] of Object.entries(expected)) {
    const other = got[name]?.data;
    if (!other) return `no output '${name}'`;
    if (other.length !== data.length)
      return `'${name}': ${other.length} elements, not ${data.length}`;
    for (let i = 0; i < data.length; ++i) {
      square += (numberAt(data, i) - numberAt(other, i)) ** 2;
      norm += numberAt(data, i) ** 2;
    }
  }
  if (Number.isNaN(square)) return 'not a number';
  return Math.sqrt(norm === 0 ? square : square / norm);
}

const ms = (x) => {
  if (x === undefined || Number.isNaN(x)) return '-';
  return x >= 100 ? x.toFixed(0) : x >= 10 ? x.toFixed(1) : x >= 0.1 ? x.toFixed(2) : x.toFixed(3);
};
const mb = (x) => (x ? (x / 1e6).toFixed(x >= 1e7 ? 0 : 1) : '-');

/** A model's rows as text; times in milliseconds, memory in MB. */
export function modelTable({ title, nodes, rows }) {
  const head = [
    ...['engine', 'load', 'first', 'again', 'median', 'p10', 'p90', 'pipelined', 'GPU', 'submit'],
    ...['dispatches', 'GPU MB', 'host MB', 'rel. L2', 'note'],
  ];
  const cells = rows.map((row) => [
    row.engine,
    ...[row.load, row.first, row.again?.both].map(ms),
    ...[row.run?.median, row.run?.p10, row.run?.p90].map(ms),
    ...[row.pipelined, row.gpu, row.submit].map(ms),
    row.dispatches ?? '-',
    mb(row.gpuBytes),
    mb(row.hostBytes),
    typeof row.error === 'number' ? row.error.toExponential(1) : '-',
    (row.failed ?? row.missing ?? (typeof row.error === 'string' ? row.error : row.detail) ?? '')
      .replace(/\s+/g, ' ')
      .slice(0, 100),
  ]);
  return `${title}, ${nodes} nodes in the file\n${table(head, cells)}`;
}
