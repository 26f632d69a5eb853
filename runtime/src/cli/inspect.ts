// quern inspect: what is in a model, and what runs where.

import type { Model } from '../model.js';
import type { ModelReport, NodeReport } from '../report.js';
import { bytes, deviceLine, milliseconds, table, valueType } from './format.js';

export function inspectJson(model: Model): unknown {
  return { inputs: model.inputs, outputs: model.outputs, ...model.report() };
}

export function inspectText(name: string, model: Model): string {
  const report = model.report();
  const opsets = Object.entries(report.opsets).map(([domain, version]) => {
    return `${domain || 'ai.onnx'} ${version}`;
  });
  const values = (list: Model['inputs']): string =>
    table(list.map((value) => [value.name, valueType(value)]));
  return [
    `${name}: ${[report.format, report.producer && `by ${report.producer}`, ...opsets]
      .filter(Boolean)
      .join(', ')}\n`,
    signatures(report),
    `\ninputs\n${values(model.inputs)}`,
    `\noutputs\n${values(model.outputs)}`,
    `\noperators\n${operators(report.nodes)}`,
    `\nweights\n${weights(report)}`,
    ...(report.precision.asked === 'f32' ? [] : [`\nprecision\n${precision(report)}`]),
    `\nruns on\n  ${deviceLine(report)}\n${places(report)}`,
    `\nmemory\n${memory(report)}`,
    `\nload\n${times(report)}`,
  ].join('');
}

function signatures({ signatures: list }: ModelReport): string {
  const rows = Object.entries(list);
  return rows.length === 0 ? '' : `\nsignatures\n${table(rows)}`;
}

function operators(nodes: readonly NodeReport[]): string {
  const rows = new Map<string, { op: string; count: number; place: string }>();
  for (const { op, domain, body, place } of nodes) {
    const name = body ? body.join(' + ') : domain ? `${domain}.${op}` : op;
    const key = `${name}|${place}`;
    const row = rows.get(key) ?? { op: name, count: 0, place };
    row.count++;
    rows.set(key, row);
  }
  const sorted = [...rows.values()].sort((a, b) => b.count - a.count || (a.op < b.op ? -1 : 1));
  return table(sorted.map(({ op, count, place }) => [count, shorten(op), place]));
}

function shorten(text: string): string {
  return text.length <= 70 ? text : `${text.slice(0, 67)}...`;
}

function weights({ weights: list }: ModelReport): string {
  const sum = list.reduce((total, weight) => total + weight.bytes, 0);
  const files = new Set(list.map(({ file }) => file).filter(Boolean));
  const unused = list.filter(({ used }) => !used).length;
  const largest = [...list].sort((a, b) => b.bytes - a.bytes).slice(0, 3);
  const parts = [`${list.length} large, ${bytes(sum)}`];
  if (unused > 0) parts.push(`${unused} not used after optimisation`);
  if (files.size > 0) parts.push(`in ${[...files].join(', ')}`);
  return `  ${parts.join(', ')}\n${table(
    largest.map((weight) => [weight.name, valueType(weight), bytes(weight.bytes)]),
  )}`;
}

function precision({ precision: { asked, used, reason, weightBytes }, nodes }: ModelReport) {
  const counts = new Map<string, number>();
  for (const { precision: one, place } of nodes) {
    if (one && place === 'device') counts.set(one, (counts.get(one) ?? 0) + 1);
  }
  const results = [...counts].map(([one, count]) => `${count} ${one}`).join(', ');
  return (
    `  ${used}, asked for ${asked}${reason ? `: ${reason}` : ''}\n` +
    `  weights and constants of ${bytes(weightBytes)}; results of nodes on the device: ${results}\n`
  );
}

function places({ nodes, programs }: ModelReport): string {
  const counts = new Map<string, number>();
  for (const { place } of nodes) counts.set(place, (counts.get(place) ?? 0) + 1);
  const list = [...counts].map(([place, count]) => `${count} ${place}`).join(', ');
  const kernels = programs > 0 ? `, ${programs} GPU programs` : '';
  return `  ${nodes.length} nodes: ${list}${kernels}\n`;
}

function memory({ memory: { weights: held, ...rest } }: ModelReport): string {
  const rows: [string, number][] = [
    ['weights', held],
    ['constants', rest.constants],
    ['computed at load', rest.persistent],
    ['temporaries', rest.arenaPeak],
    ['  of these live at once', rest.arenaLive],
    ['all buffers', rest.total],
    ['core', rest.core],
  ];
  return table(rows.filter(([, size]) => size > 0).map(([name, size]) => [name, bytes(size)]));
}

function times({ timings: { load, phases } }: ModelReport): string {
  const rows = Object.entries(phases).map(([phase, time]) => [phase, milliseconds(time)]);
  return table([...rows, ['all', milliseconds(load)]]);
}
