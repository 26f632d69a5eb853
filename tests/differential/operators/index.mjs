// Operators that choose elements by numbers: src/ops/index and src/ops/sort.

import { count } from '../draw.mjs';

/** Numbers of elements along an axis of `dim`, at times negative. */
function indices(d, type, dims, dim, { negative = true } = {}) {
  const below = negative && d.chance(3);
  const values = Array.from({ length: count(dims) }, () =>
    below && d.chance(3) ? d.integer(-dim, -1) : d.integer(0, dim - 1),
  );
  return d.values(type, dims, values);
}

function scatterElements(d) {
  const type = d.type('T');
  const dims = d.dims({ least: 1, zero: false, elements: 300 });
  const axis = d.version < 11 ? d.integer(0, dims.length - 1) : d.axis(dims.length);
  const own = dims.map((dim) => d.integer(1, dim));
  d.input(d.tensor(type, dims));
  const kinds = ['none'];
  const numeric = type !== 'string' && type !== 'bool';
  if (numeric && d.version >= 16) kinds.push('add', 'mul');
  if (numeric && d.version >= 18) kinds.push('min', 'max');
  const kind = d.pick(...kinds);
  if (kind !== 'none' || (d.version >= 16 && d.chance())) d.string('reduction', kind);
  const chosen = indices(d, d.type('Tind'), own, dims.at(axis), { negative: d.version >= 11 });
  if (kind === 'none') distinct(chosen, own, axis, dims.at(axis));
  d.input(chosen);
  d.input(d.tensor(type, own));
  if (axis !== 0 || d.chance()) d.int('axis', axis);
  d.output(type);
}

/** Makes the places of a scatter along one axis differ: which write wins is not settled. */
function distinct(tensor, dims, axis, dim) {
  const at = axis < 0 ? axis + dims.length : axis;
  const inner = count(dims.slice(at + 1));
  tensor.values = tensor.values.map((value, i) => {
    const along = Math.floor(i / inner) % dims[at];
    const first = tensor.values[i - along * inner];
    const place = ((first < 0 ? first + dim : first) + along) % dim;
    return value < 0 ? place - dim : place;
  });
}

export const indexing = {
  Gather: (d) => {
    const type = d.type('T');
    const dims = d.dims({ least: 1, zero: false });
    const axis = d.maybeInt('axis', 0, () => d.axis(dims.length));
    d.input(d.tensor(type, dims));
    const own = d.dims({ most: 3, elements: 30 });
    d.input(indices(d, d.type('Tind'), own, dims.at(axis), { negative: d.version >= 11 }));
    d.output(type);
  },
  GatherElements: (d) => {
    const type = d.type('T');
    const dims = d.dims({ least: 1, zero: false });
    const axis = d.maybeInt('axis', 0, () => d.axis(dims.length));
    const at = axis < 0 ? axis + dims.length : axis;
    const own = dims.map((dim, i) => (i === at ? d.integer(1, 5) : d.integer(1, dim)));
    d.input(d.tensor(type, dims));
    d.input(indices(d, d.type('Tind'), own, dims[at]));
    d.output(type);
  },
  GatherND: (d) => {
    const type = d.type();
    const dims = d.dims({ least: 1, zero: false });
    const batch =
      d.version >= 12 ? d.maybeInt('batch_dims', 0, () => d.integer(0, dims.length - 1)) : 0;
    const last = d.integer(1, dims.length - batch);
    const own = [...dims.slice(0, batch), ...d.dims({ most: 2, zero: false, elements: 12 })];
    const values = [];
    for (let i = 0; i < count(own); ++i) {
      for (let j = 0; j < last; ++j)
        values.push(d.integer(d.chance(4) ? -dims[batch + j] : 0, dims[batch + j] - 1));
    }
    d.input(d.tensor(type, dims));
    d.input(d.i64(values, [...own, last]));
    d.output(type);
  },
  Scatter: scatterElements,
  ScatterElements: scatterElements,
  ScatterND: (d) => {
    const type = d.type();
    const dims = d.dims({ least: 1, zero: false, elements: 300 });
    const last = d.integer(1, dims.length);
    const places = count(dims.slice(0, last));
    const numeric = type !== 'string' && type !== 'bool';
    const kinds = ['none'];
    if (numeric && d.version >= 16) kinds.push('add', 'mul');
    if (numeric && d.version >= 18) kinds.push('min', 'max');
    const kind = d.pick(...kinds);
    if (kind !== 'none') d.string('reduction', kind);
    const rows = d.integer(1, Math.min(places, 6));
    const start = d.integer(0, places - 1);
    const values = [];
    for (let i = 0; i < rows; ++i) {
      let place = kind === 'none' ? (start + i) % places : d.integer(0, places - 1);
      const row = [];
      for (let axis = last - 1; axis >= 0; --axis) {
        row.unshift(place % dims[axis]);
        place = Math.floor(place / dims[axis]);
      }
      values.push(...row);
    }
    d.input(d.tensor(type, dims));
    d.input(d.i64(values, [rows, last]));
    d.input(d.tensor(type, [rows, ...dims.slice(last)]));
    d.output(type);
  },
  TensorScatter: (d) => {
    const type = d.type();
    const dims = d.dims({ least: 3, most: 5, zero: false });
    const axis = d.maybeInt(
      'axis',
      -2,
      () => d.integer(1, dims.length - 1) - (d.chance() ? dims.length : 0),
    );
    const at = axis < 0 ? axis + dims.length : axis;
    const circular = d.chance();
    if (circular) d.string('mode', 'circular');
    const length = d.integer(1, dims[at]);
    d.input(d.tensor(type, dims));
    d.input(
      d.tensor(
        type,
        dims.map((dim, i) => (i === at ? length : dim)),
      ),
    );
    if (d.chance()) {
      const most = circular ? dims[at] - 1 : dims[at] - length;
      d.input(d.i64(Array.from({ length: dims[0] }, () => d.integer(0, most))));
    }
    d.output(type);
  },
  Compress: (d) => {
    const type = d.type('T');
    const dims = d.dims({ least: 1 });
    const negative = d.version >= 11;
    const axis = d.chance()
      ? d.int('axis', negative ? d.axis(dims.length) : d.integer(0, dims.length - 1))
      : undefined;
    d.input(d.tensor(type, dims));
    const length = axis === undefined ? count(dims) : dims.at(axis);
    d.input(d.tensor('bool', [d.integer(0, Math.min(length, 40))]));
    d.output(type);
  },
  NonZero: (d) => {
    const type = d.type();
    d.input(d.tensor(type, d.dims({ most: 5 }), { whole: true }));
    d.output('i64');
  },
  TopK: (d) => {
    const type = d.type('T');
    const dims = d.dims({ least: 1, zero: false });
    const axis = d.maybeInt('axis', -1, () =>
      d.version < 11 ? d.integer(0, dims.length - 1) : d.axis(dims.length),
    );
    const k = d.integer(d.chance(8) ? 0 : 1, dims.at(axis));
    d.input(d.tensor(type, dims, { wide: true }));
    if (d.version < 10) d.int('k', Math.max(1, k));
    else d.shapeInput(d.i64([k]));
    if (d.version >= 11) d.maybeInt('largest', 1, () => d.pick(1, 0));
    d.output(type);
    d.output('i64');
  },
  Unique: (d) => {
    const type = d.type();
    const dims = d.dims({ least: 1, most: 4, zero: false });
    d.input(d.tensor(type, dims, { whole: true }));
    if (d.chance()) d.int('axis', d.axis(dims.length));
    d.maybeInt('sorted', 1, () => d.pick(1, 0));
    d.output(type);
    for (let i = 0; i < 3; ++i) {
      if (d.chance()) d.output('i64');
      else d.noOutput();
    }
    while (d.outputs.at(-1).name === '') d.outputs.pop();
  },
  NonMaxSuppression: (d) => {
    const [batches, classes, boxes] = [d.integer(1, 2), d.integer(1, 3), d.integer(1, 30)];
    d.input(d.tensor('f32', [batches, boxes, 4], { low: 0, high: 1 }));
    d.input(d.tensor('f32', [batches, classes, boxes], { low: 0, high: 1 }));
    if (d.chance(6)) d.skip();
    else d.shapeInput(d.i64([d.integer(1, 9)], d.pick([1], [])));
    if (d.chance()) d.input(d.values('f32', d.pick([1], []), [d.integer(0, 10) / 10 + 0.013]));
    else d.skip();
    if (d.chance()) d.input(d.values('f32', d.pick([1], []), [d.integer(0, 10) / 10 + 0.017]));
    d.maybeInt('center_point_box', 0, () => d.pick(0, 1));
    d.output('i64');
  },
};
