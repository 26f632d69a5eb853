import { expect, test } from 'vitest';

import { connectedComponents } from './components.js';

/** The pixels of each component of a drawing, in which # is set. */
function componentsOf(rows: readonly string[]): string[][] {
  const width = rows[0]!.length;
  const isSet = (index: number): boolean => rows.join('')[index] === '#';
  return connectedComponents(isSet, width, rows.length).map((runs) =>
    runs.map(({ y, start, end }) => `${y}:${start}-${end}`),
  );
}

test('separate shapes', () => {
  expect(componentsOf(['##..#', '##..#', '.....', '.###.'])).toEqual([
    ['0:0-2', '1:0-2'],
    ['0:4-5', '1:4-5'],
    ['3:1-4'],
  ]);
});

test('corners touch', () => {
  expect(componentsOf(['#...', '.##.', '...#'])).toEqual([['0:0-1', '1:1-3', '2:3-4']]);
});

test('two arms that meet further down are one', () => {
  expect(componentsOf(['#.#.#', '#.#.#', '#####'])).toHaveLength(1);
  expect(componentsOf(['..#..', '.#.#.', '#...#'])).toHaveLength(1);
});

test('a run may touch several above, and be touched by several below', () => {
  expect(componentsOf(['##.##.##', '.######.', '##.##.##'])).toHaveLength(1);
});

test('the ends of neighbouring rows do not touch', () => {
  expect(componentsOf(['...#', '#...'])).toHaveLength(2);
  expect(componentsOf(['#..', '...', '#..'])).toHaveLength(2);
});

test('nothing and everything', () => {
  expect(componentsOf(['...', '...'])).toEqual([]);
  expect(componentsOf(['##', '##'])).toEqual([['0:0-2', '1:0-2']]);
});
