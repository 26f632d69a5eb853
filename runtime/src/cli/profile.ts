// quern profile: where a run's time goes on the GPU, by kernel and by node.

import type { Ceilings } from '../ceilings.js';
import type { Model } from '../model.js';
import type { Profile, ProfiledKernel, ProfiledNode, Rates } from '../profile.js';
import { bytes, deviceLine, headOf, micros, table } from './format.js';
import { feedsOf } from './run.js';

export interface ProfileResult extends Profile {
  device: string;
  fed: Record<string, string>;
}

export async function profileModel(
  model: Model,
  { inputs, runs }: { inputs: readonly string[]; runs: number },
): Promise<ProfileResult> {
  const { feeds, fed } = await feedsOf(model, inputs);
  const profile = await model.profile(feeds, { runs });
  return { device: deviceLine(model.report()), fed, ...profile };
}

export function profileText(result: ProfileResult): string {
  const { device, fed, runs, gpuTime, time, dispatches, ceilings, kernels, nodes } = result;
  const head = headOf(device, fed);
  const [median, low, high] = [gpuTime.median, gpuTime.low, gpuTime.high].map(micros);
  head.push(
    ['a run', `${median} µs on the GPU (median of ${runs}, ${low} to ${high})`],
    ['apart', `${micros(time)} µs: the sum of its ${dispatches.length} dispatches`],
    ['ceilings', ceilingText(ceilings)],
  );
  return [
    table(head, ''),
    `\nby kernel\n${rows(kernels, time, ['kernel'], (kernel) => [kernel.kernel])}`,
    `\nby node\n${rows(nodes, time, ['node', 'kernel'], nodeCells(result))}`,
  ].join('');
}

function ceilingText({ bytesPerSecond, flopsPerSecond, halfFlopsPerSecond, emptyTime }: Ceilings) {
  const half = halfFlopsPerSecond ? `, f16 ${rate(halfFlopsPerSecond)}` : '';
  return (
    `copy ${rate(bytesPerSecond)}B/s, multiply-add ${rate(flopsPerSecond)}FLOP/s${half}, ` +
    `an empty dispatch ${micros(emptyTime)} µs`
  );
}

type Row = (ProfiledKernel | ProfiledNode) & Rates;

function rows<T extends Row>(
  list: readonly T[],
  total: number,
  names: readonly string[],
  cells: (row: T) => string[],
): string {
  const right = (text: string, width: number): string => text.padStart(width);
  const head = [
    ...['µs'.padStart(8), '%'.padStart(5), 'n'.padStart(4), 'bytes'.padStart(8)],
    ...['GB/s'.padStart(6), 'GFLOP/s'.padStart(8), 'ceiling'.padStart(7), ...names],
  ];
  const body = list.map((row) => [
    right(micros(row.time), 8),
    right(((100 * row.time) / total).toFixed(1), 5),
    right(String(row.dispatches), 4),
    right(bytes(row.bytes), 8),
    right(short(row.bytesPerSecond / 1e9), 6),
    right(row.flops > 0 ? short(row.flopsPerSecond / 1e9) : '', 8),
    right(`${(100 * row.share).toFixed(0)} %`, 7),
    ...cells(row),
  ]);
  return table([head, ...body]);
}

function nodeCells({ dispatches }: Profile): (node: ProfiledNode) => string[] {
  return (node) => {
    const name = node.body
      ? node.body.join('+')
      : node.domain
        ? `${node.domain}.${node.op}`
        : node.op;
    const own = dispatches.filter(({ node: id }) => id === node.id);
    const groups = own.map(({ workgroups }) => workgroups.join('x'));
    const kernels = node.kernels.length > 0 ? node.kernels.join(', ') : '';
    return [
      `${shorten(name, 40)} ${shorten(node.name, 40)}`.trim(),
      `${kernels} [${[...new Set(groups)].slice(0, 3).join(', ')}]`,
    ];
  };
}

function shorten(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most / 2)}…${text.slice(1 - most / 2)}`;
}

function short(value: number): string {
  if (value >= 100 || value === 0) return value.toFixed(0);
  return value < 0.01 ? '<0.01' : value.toPrecision(3);
}

function rate(perSecond: number): string {
  const [unit, size] = perSecond >= 1e12 ? (['T', 1e12] as const) : (['G', 1e9] as const);
  return `${short(perSecond / size)} ${unit}`;
}

/** The last run as Chrome's trace events, which Perfetto reads. */
export function traceJson(result: ProfileResult): string {
  const nodes = new Map(result.nodes.map((node) => [node.id, node]));
  const thread = { pid: 1, tid: 1 };
  const events = result.dispatches.map(({ node: id, kernel, workgroups, start, end, bytes }) => {
    const node = nodes.get(id)!;
    return {
      ...{ ph: 'X', ...thread, ts: start, dur: end - start, cat: node.op },
      name: node.name || node.op,
      args: {
        op: node.body?.join('+') ?? node.op,
        kernel,
        workgroups: workgroups.join('x'),
        bytes,
      },
    };
  });
  const named = (name: string, text: string) => ({
    ph: 'M',
    ...thread,
    name,
    args: { name: text },
  });
  return JSON.stringify({
    displayTimeUnit: 'ns',
    otherData: { device: result.device },
    traceEvents: [
      named('process_name', 'quern'),
      named('thread_name', 'GPU, each dispatch in a pass of its own'),
      ...events,
    ],
  });
}
