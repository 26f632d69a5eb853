// Sums and the like over axes: src/ops/reduce, and ArgMax, ArgMin.

import { isFloat } from '../tensors.mjs';

/** `since`: the version in which axes became an input. */
function reduce(since, options = {}) {
  return (d) => {
    const type = d.type();
    const dims = d.dims({ most: 8, zero: options.zero ?? false });
    // Integers are few: long sums and products leave the range of their type.
    const range = { low: options.low === undefined ? 0 : 1, high: 1, ...options.integers };
    d.input(d.tensor(type, dims, isFloat(type) ? options : range));
    const form = d.pick('all', 'some', 'none');
    if (form !== 'all' || d.chance()) {
      let axes = d.shuffled(d.some(dims.map((_, i) => i)));
      axes = axes.map((axis) => (d.chance(3) ? axis - dims.length : axis));
      if (form === 'none') axes = [];
      if (d.version >= since) d.shapeInput(d.i64(axes));
      else if (axes.length > 0) d.ints('axes', axes);
    }
    d.maybeInt('keepdims', 1, () => d.pick(1, 0));
    if (d.version >= since) d.maybeInt('noop_with_empty_axes', 0, () => d.pick(0, 1));
    d.output(type);
  };
}

function argument(d) {
  const type = d.type();
  const dims = d.dims({ least: 1, zero: false });
  d.input(d.tensor(type, dims, { whole: true }));
  d.maybeInt('axis', 0, () =>
    d.version < 11 ? d.integer(0, dims.length - 1) : d.axis(dims.length),
  );
  d.maybeInt('keepdims', 1, () => d.pick(1, 0));
  if (d.version >= 12) d.maybeInt('select_last_index', 0, () => d.pick(0, 1));
  d.output('i64');
}

function scan(d) {
  const type = d.type('T');
  const dims = d.dims({ least: 1 });
  d.input(d.tensor(type, dims, isFloat(type) ? {} : { low: 0, high: 0.5 }));
  const axis = d.values(d.type('T2'), [], [d.axis(dims.length)]);
  d.shapeInput(axis);
  d.maybeInt('exclusive', 0, () => d.pick(0, 1));
  d.maybeInt('reverse', 0, () => d.pick(0, 1));
  d.output(type);
}

function globalPool(d) {
  const type = d.type();
  const dims = d.dims({ least: 3, most: 6, zero: false });
  d.input(d.tensor(type, dims));
  d.output(type);
}

export const reductions = {
  ReduceL1: reduce(18),
  ReduceL2: reduce(18),
  ReduceLogSum: reduce(18, { low: 0.1, high: 2 }),
  ReduceLogSumExp: reduce(18),
  ReduceMax: reduce(18),
  ReduceMean: reduce(18),
  ReduceMin: reduce(18),
  ReduceProd: reduce(18, { low: 0.5, high: 1.5, integers: { low: 0, high: 0.25 } }),
  ReduceSum: reduce(13, { zero: true }),
  ReduceSumSquare: reduce(18),
  ArgMax: argument,
  ArgMin: argument,
  CumSum: scan,
  CumProd: scan,
  GlobalAveragePool: globalPool,
  GlobalMaxPool: globalPool,
  GlobalLpPool: (d) => {
    d.maybeInt('p', 2, () => d.pick(1, 2, 3));
    globalPool(d);
  },
};
