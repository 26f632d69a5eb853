// What a reader's work comes down to: which device and why, how long things took, what ran where.

import type { ModelReport } from 'quern';

import { stages, type Reading, type Stage } from './read-text.js';

export type Reports = Record<Stage, ModelReport>;

/** The device and the reason for it, as a sentence's two halves. */
export function deviceAndReason({ detection }: Reports): { device: string; reason: string } {
  const { adapter, threads, reason } = detection;
  if (adapter) {
    const { description, vendor, architecture } = adapter;
    const name = description || [vendor, architecture].filter(Boolean).join(' ');
    return { device: `WebGPU on ${name || 'a GPU without a name'}`, reason };
  }
  return { device: `WebAssembly, ${threads} thread${threads === 1 ? '' : 's'}`, reason };
}

/** Circumstances that a user may want to change; each is said once. */
export function notes(reports: Reports): string[] {
  return [...new Set(stages.flatMap((stage) => reports[stage].notes))];
}

/** Milliseconds of a model, or of the work on pictures around the models. */
export interface TimeRow {
  name: string;
  load: number | undefined;
  first: number | undefined;
  /** The median of the later readings of the same picture. */
  later: number | undefined;
}

/** A row a model, one for the rest, one for all; `loadTime` is that of all models side by side. */
export function timeRows(
  reports: Reports,
  loadTime: number,
  readings: readonly Reading[],
): TimeRow[] {
  const row = (name: string, load: number | undefined, of: (reading: Reading) => number) => {
    const [first, ...later] = readings.map(of);
    return { name, load, first, later: median(later) };
  };
  return [
    ...stages.map((stage) => row(stage, reports[stage].timings.load, ({ times }) => times[stage])),
    row('resize, crop, decode', undefined, ({ times }) =>
      stages.reduce((rest, stage) => rest - times[stage], times.total),
    ),
    row('all', loadTime, ({ times }) => times.total),
  ];
}

function median(values: readonly number[]): number | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

/** How many nodes of a model ran where. */
export interface PlaceRow {
  name: Stage;
  /** With a kernel, on the GPU or in WebAssembly. */
  device: number;
  /** Without any work: other names for the same memory. */
  view: number;
  /** On the host, in the C++ core: shapes, and tables made of them. */
  host: number;
  /** Their operators. */
  hostOperators: string[];
}

export function placeRows(reports: Reports): PlaceRow[] {
  return stages.map((name) => {
    const { nodes } = reports[name];
    const count = (place: string): number => nodes.filter((node) => node.place === place).length;
    const host = nodes.filter(({ place }) => place === 'host' || place === 'shape');
    return {
      name,
      device: count('device'),
      view: count('view'),
      host: host.length,
      hostOperators: [...new Set(host.map(({ op }) => op))].sort(),
    };
  });
}

/** To three digits, in the unit that suits. */
export function duration(milliseconds: number | undefined): string {
  if (milliseconds === undefined) return '–';
  if (milliseconds >= 999.5) return `${(milliseconds / 1000).toPrecision(3)} s`;
  return `${milliseconds >= 99.5 ? milliseconds.toFixed(0) : milliseconds.toPrecision(2)} ms`;
}

export function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`;
}
