import { expect, test } from 'vitest';
import { Slices } from './slices.js';

test('without a time for slices all goes at once', () => {
  const slices = new Slices(1000, Infinity);
  expect(slices.ends).toEqual([1000]);
  expect(slices.timed).toBe(false);
  expect(new Slices(0, 8).ends).toEqual([0]);
});

test('short slices are joined, and a plan of one is timed no more', () => {
  const slices = new Slices(150, 8);
  expect(slices.ends).toEqual([64, 128, 150]);
  slices.adjust([1, 1, 1]);
  expect(slices.ends).toEqual([150]);
  for (let runs = 1; runs < 3; runs++) {
    expect(slices.timed).toBe(true);
    slices.adjust([3]);
  }
  expect(slices.timed).toBe(false);
  expect(slices.ends).toEqual([150]);
});

test('long slices are cut, down to single commands', () => {
  const slices = new Slices(100, 8);
  slices.adjust([30, 7]);
  expect(slices.ends).toEqual([16, 32, 48, 64, 100]);
  slices.adjust([7.5, 7.5, 7.5, 7.5, 7]);
  expect(slices.ends).toEqual([16, 32, 48, 64, 100]); // neither too long nor too short
  expect(slices.timed).toBe(true);
  slices.adjust([1, 1, 1, 1, 70]);
  expect(slices.ends).toEqual([48, 64, 68, 72, 76, 80, 84, 88, 92, 96, 100]);
  const few = new Slices(3, 8);
  few.adjust([100]);
  expect(few.ends).toEqual([1, 2, 3]);
  few.adjust([90, 1, 1]);
  expect(few.ends).toEqual([1, 3]);
});
