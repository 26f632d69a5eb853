// How to draw a case of each operator, by name. New ones go to the end of their lists: a case of a
// seed is an index in this order.

import { convolutions } from './conv.mjs';
import { elementwise } from './elementwise.mjs';
import { indexing } from './index.mjs';
import { matrices } from './matrix.mjs';
import { learned, learnedDomain } from './ml.mjs';
import { quantised } from './quant.mjs';
import { recurrences } from './recurrent.mjs';
import { reductions } from './reduce.mjs';
import { tensors } from './tensor.mjs';
import { texts } from './text.mjs';
import { newestOpset } from '../draw.mjs';
import { versionsOf } from '../schema.mjs';

const drawn = {
  ...elementwise,
  ...reductions,
  ...tensors,
  ...indexing,
  ...matrices,
  ...convolutions,
  ...quantised,
  ...recurrences,
  ...texts,
};

/** By operator: its domain and how it is drawn. */
export const operators = new Map([
  ...Object.entries(drawn)
    .filter(([op]) => versionsOf(op)[0] <= newestOpset)
    .map(([op, draw]) => [op, { domain: '', draw }]),
  ...Object.entries(learned).map(([op, draw]) => [op, { domain: learnedDomain, draw }]),
]);
