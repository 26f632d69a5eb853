// What was read, how long it took, and what ran where.

import type { Line, Reading } from '../ocr/read-text.js';
import {
  deviceAndReason,
  duration,
  notes,
  percent,
  placeRows,
  timeRows,
  type Reports,
} from '../ocr/summary.js';
import { byId, make, makeTable } from './elements.js';

const list = byId('lines', HTMLOListElement);
const times = byId('times', HTMLDivElement);
const places = byId('places', HTMLDivElement);

const stageNames: Record<string, string> = {
  detection: 'Find lines',
  direction: 'Which way up',
  recognition: 'Read lines',
  'resize, crop, decode': 'Resize, crop, decode',
  all: 'All',
};
/** Less than this is marked: look again. */
const sure = 0.9;

export function showLines(lines: readonly Line[]): void {
  list.replaceChildren(
    ...lines.map(({ text, confidence, upsideDown }, index) => {
      const item = make('li', { className: confidence < sure ? 'unsure' : '' });
      item.dataset['line'] = String(index);
      item.append(make('span', { className: 'words' }, text));
      if (upsideDown) item.append(make('span', { className: 'tag' }, 'upside down'));
      item.append(
        make('span', { className: 'confidence', title: 'Confidence' }, percent(confidence)),
      );
      return item;
    }),
  );
  if (lines.length === 0) {
    list.append(make('li', { className: 'none' }, 'No text was found in this picture.'));
  }
}

export function clearResults(): void {
  list.replaceChildren();
  times.replaceChildren();
}

export function showTimes(reports: Reports, loadTime: number, readings: readonly Reading[]): void {
  const later = readings.length - 1;
  const rows = timeRows(reports, loadTime, readings).map(({ name, load, first, later }) => [
    stageNames[name] ?? name,
    ...[load, first, later].map(duration),
  ]);
  const head = ['', 'Load', 'First', 'Later'];
  const table = makeTable(
    later === 0
      ? 'One reading so far. The first of a size also plans its memory; read it again to see what remains.'
      : `The first reading, and the median of later ones (${later}). Models load side by side.`,
    [head, ...rows],
  );
  table.tBodies[0]!.rows[rows.length - 1]!.className = 'sum';
  times.replaceChildren(table);
}

export function showPlaces(reports: Reports): void {
  const { device, reason } = deviceAndReason(reports);
  const facts: [string, string][] = [
    ['Device', device],
    ['Why', reason],
    ...notes(reports).map((note): [string, string] => ['Note', note]),
  ];
  const rows = placeRows(reports);
  const operators = [...new Set(rows.flatMap(({ hostOperators }) => hostOperators))];
  places.replaceChildren(
    make(
      'dl',
      {},
      ...facts.flatMap(([term, fact]) => [make('dt', {}, term), make('dd', {}, fact)]),
    ),
    makeTable(
      'Nodes of each model after optimisation. Views cost nothing. On the host: shapes, and tables ' +
        `made of them (${operators.join(', ') || 'none here'}).`,
      [
        ['', 'Device', 'Views', 'Host'],
        ...rows.map(({ name, device, view, host }) => [
          stageNames[name] ?? name,
          ...[device, view, host].map(String),
        ]),
      ],
    ),
  );
}

/** Marks a line and its box together when the pointer is on either. */
export function linkLinesAndBoxes(): void {
  const mark = (event: Event, on: boolean): void => {
    if (!(event.target instanceof Element)) return;
    const line = event.target.closest<HTMLElement | SVGElement>('[data-line]')?.dataset['line'];
    if (line === undefined) return;
    for (const element of document.querySelectorAll(`[data-line="${line}"]`)) {
      element.classList.toggle('marked', on);
    }
  };
  addEventListener('pointerover', (event) => mark(event, true));
  addEventListener('pointerout', (event) => mark(event, false));
}
