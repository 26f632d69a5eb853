// Operators that move elements or make tensors: src/ops/tensor.

import { count } from '../draw.mjs';
import { numberOf } from './elementwise.mjs';

/** A factorisation of `size` in up to `most` dims. */
function factors(d, size, most = 4) {
  const dims = [];
  for (let left = size; dims.length < most && left > 1;) {
    const divisors = Array.from({ length: left }, (_, i) => i + 1).filter((n) => left % n === 0);
    const divisor = dims.length === most - 1 ? left : d.pick(...divisors.reverse());
    dims.push(divisor);
    left /= divisor;
  }
  while (d.chance(4)) dims.splice(d.integer(0, dims.length), 0, 1);
  return count(dims) === size ? dims : [...dims, size / count(dims)];
}

function moved(d, options = {}) {
  const type = d.type('T');
  const dims = d.dims(options);
  d.input(d.tensor(type, dims));
  return { type, dims };
}

export const tensors = {
  Transpose: (d) => {
    const { type, dims } = moved(d, { most: 8 });
    if (d.chance()) d.ints('perm', d.shuffled(dims.map((_, i) => i)));
    d.output(type);
  },
  Reshape: (d) => {
    const { type, dims } = moved(d, { most: 8 });
    let shape = count(dims) === 0 ? [...dims] : factors(d, count(dims));
    const allowZero = d.version >= 14 ? d.maybeInt('allowzero', 0, () => d.pick(0, 1)) : 0;
    if (!allowZero) {
      shape = shape.map((dim, i) => (dim === dims[i] && d.chance(3) ? 0 : dim));
    }
    if (count(dims) > 0 && shape.length > 0 && d.chance(3)) {
      shape[d.integer(0, shape.length - 1)] = -1;
    }
    d.shapeInput(d.i64(shape));
    d.output(type);
  },
  Flatten: (d) => {
    const { type, dims } = moved(d);
    const negative = d.version >= 11;
    d.maybeInt('axis', 1, () =>
      negative && dims.length ? d.axis(dims.length) : d.integer(0, dims.length),
    );
    if (dims.length === 0 && !('axis' in d.attributes)) d.int('axis', 0);
    d.output(type);
  },
  Squeeze: (d) => {
    const type = d.type('T');
    let dims = d.dims({ zero: false });
    dims = dims.map((dim) => (d.chance() ? 1 : dim));
    d.input(d.tensor(type, dims));
    const ones = dims.flatMap((dim, i) => (dim === 1 ? [i] : []));
    if (d.chance()) {
      const negative = d.version >= 11;
      const axes = d.some(ones).map((i) => (negative && d.chance(3) ? i - dims.length : i));
      if (d.version >= 13) d.shapeInput(d.i64(axes));
      else if (axes.length > 0) d.ints('axes', axes);
    }
    d.output(type);
  },
  Unsqueeze: (d) => {
    const { type, dims } = moved(d);
    const rank = dims.length + d.integer(1, 2);
    const negative = d.version >= 11;
    const axes = d.shuffled(Array.from({ length: rank }, (_, i) => i)).slice(0, rank - dims.length);
    const written = axes.map((i) => (negative && d.chance(3) ? i - rank : i));
    if (d.version >= 13) d.shapeInput(d.i64(written));
    else d.ints('axes', negative ? written : written.sort((a, b) => a - b));
    d.output(type);
  },
  Concat: (d) => {
    const type = d.type('T');
    const dims = d.dims({ least: 1 });
    const axis = d.version < 11 ? d.integer(0, dims.length - 1) : d.axis(dims.length);
    const inputs = d.pick(2, 1, 3, 4, 12);
    for (let i = 0; i < inputs; ++i) {
      const own = [...dims];
      own.splice(axis, 1, d.integer(d.chance(6) ? 0 : 1, 5));
      d.input(d.tensor(type, own));
    }
    d.int('axis', axis);
    d.output(type);
  },
  Split: (d) => {
    const { type, dims } = moved(d, { least: 1 });
    const axis = d.maybeInt('axis', 0, () =>
      d.version < 11 ? d.integer(0, dims.length - 1) : d.axis(dims.length),
    );
    const size = dims.at(axis);
    let sizes = [];
    const parts = d.integer(1, 4);
    for (let left = size, i = 0; i < parts; ++i) {
      const part = i === parts - 1 ? left : d.integer(0, left);
      sizes.push(part);
      left -= part;
    }
    if (d.chance()) {
      // Equal parts.
      const counts = [1, 2, 3, 4, 5].filter((n) => size % n === 0);
      let outputs = d.pick(...counts);
      if (d.version >= 18) {
        // The last part may be smaller, not empty.
        outputs = d.integer(1, Math.max(1, Math.min(4, size)));
        if (Math.ceil(size / outputs) * (outputs - 1) >= size) outputs = 1;
        d.int('num_outputs', outputs);
      }
      sizes = Array(outputs).fill(0);
    } else if (d.version >= 13) {
      d.shapeInput(d.i64(sizes));
    } else {
      d.ints('split', sizes);
    }
    for (let i = 0; i < sizes.length; ++i) d.output(type);
  },
  Slice: (d) => {
    const { type, dims } = moved(d, { least: 1, most: 8 });
    const asInputs = d.version >= 10;
    const axes = d.shuffled(dims.map((_, i) => i)).slice(0, d.integer(1, dims.length));
    const withAxes = d.chance();
    const used = withAxes ? axes : dims.map((_, i) => i).slice(0, axes.length);
    const steps = used.map(() => (asInputs && d.chance(3) ? d.pick(1, 2, -1, 3, -2, -7) : 1));
    const bounds = used.map((axis, i) => {
      const dim = dims[axis];
      let [from, to] = [d.integer(-1, dim + 1), d.integer(-1, dim + 1)];
      if (steps[i] > 0 && from > to && d.chance(4) === false) [from, to] = [to, from];
      if (steps[i] < 0 && from < to && d.chance(4) === false) [from, to] = [to, from];
      const far = d.pick(0, 1, 2);
      if (far === 1 && d.chance(4)) to = steps[i] > 0 ? 2 ** 31 - 1 : -(2 ** 31) + 1;
      const negative = (x) => (x >= 0 && x < dim && d.chance(4) ? x - dim : x);
      return [negative(from), negative(to)];
    });
    const starts = bounds.map(([from]) => from);
    const ends = bounds.map(([, to]) => to);
    const negative = (list) => list.map((x) => (asInputs && d.chance(4) ? x - dims.length : x));
    if (!asInputs) {
      d.ints('starts', starts);
      d.ints('ends', ends);
      if (withAxes) d.ints('axes', axes);
    } else {
      const kind = d.type('Tind');
      const list = (values) => d.values(kind, [values.length], values);
      const constant = !d.chance(3);
      d.input(list(starts), { constant });
      d.input(list(ends), { constant });
      if (withAxes) d.input(list(negative(axes)), { constant });
      else if (steps.some((step) => step !== 1)) d.skip();
      if (steps.some((step) => step !== 1)) d.input(list(steps), { constant });
    }
    d.output(type);
  },
  Tile: (d) => {
    const { type, dims } = moved(d, { elements: 300 });
    d.shapeInput(d.i64(dims.map(() => (d.chance(8) ? 0 : d.integer(1, 3)))));
    d.output(type);
  },
  Expand: (d) => {
    const { type, dims } = moved(d, { elements: 300 });
    let shape = dims.map((dim) => (dim === 1 ? d.integer(1, 4) : d.pick(dim, 1)));
    if (d.chance(3)) shape = shape.slice(d.integer(0, shape.length));
    if (shape.length === dims.length && d.chance(3)) shape.unshift(d.integer(1, 3));
    d.shapeInput(d.i64(shape));
    d.output(type);
  },
  Pad: (d) => {
    const { type, dims } = moved(d, { least: 1, elements: 600, zero: false });
    const modes = ['constant', 'edge', 'reflect', ...(d.version >= 19 ? ['wrap'] : [])];
    const mode = d.pick(...modes);
    if (mode !== 'constant' || d.chance()) d.string('mode', mode);
    const withAxes = d.version >= 18 && d.chance(3);
    const all = dims.map((_, i) => i);
    const axes = withAxes ? d.shuffled(all).slice(0, d.integer(1, dims.length)) : all;
    const most = (axis) => (mode === 'reflect' ? Math.min(3, dims[axis] - 1) : 3);
    const amount = (axis) => {
      // Negative pads cut off, before what is left is repeated.
      if (dims[axis] > (mode === 'constant' ? 2 : 5) && d.chance(6)) return -1;
      return d.integer(0, mode === 'wrap' ? Math.min(3, dims[axis]) : most(axis));
    };
    const pads = [...axes.map(amount), ...axes.map(amount)];
    if (d.version < 11) {
      d.ints('pads', pads);
      if (mode === 'constant') d.maybeFloat('value', -2, 2);
    } else {
      d.shapeInput(d.i64(pads));
      if (mode === 'constant' && d.chance()) d.input(d.tensor(type, []));
      else if (withAxes) d.skip();
      if (withAxes) {
        const written = axes.map((axis) => (d.chance(3) ? axis - dims.length : axis));
        d.shapeInput(d.values(d.type('Tind'), [written.length], written));
      }
    }
    d.output(type);
  },
  DepthToSpace: (d) => {
    const type = d.type();
    const block = d.integer(1, 3);
    const [n, c, h, w] = [d.integer(1, 2), d.integer(1, 4), d.size(), d.size({ most: 9 })];
    d.input(d.tensor(type, [n, c * block * block, h, w]));
    d.int('blocksize', block);
    if (d.version >= 11 && d.chance()) d.string('mode', d.pick('DCR', 'CRD'));
    d.output(type);
  },
  SpaceToDepth: (d) => {
    const type = d.type();
    const block = d.integer(1, 3);
    const [n, c, h, w] = [d.integer(1, 2), d.integer(1, 4), d.size({ most: 9 }), d.integer(1, 7)];
    d.input(d.tensor(type, [n, c, h * block, w * block]));
    d.int('blocksize', block);
    d.output(type);
  },
  Trilu: (d) => {
    const { type, dims } = moved(d, { least: 2 });
    if (d.chance()) d.input(d.i64([d.integer(-1 - dims.at(-2), dims.at(-1) + 1)], []));
    d.maybeInt('upper', 1, () => d.pick(1, 0));
    d.output(type);
  },
  ReverseSequence: (d) => {
    const type = d.type();
    const dims = d.dims({ least: 2, zero: false });
    const time = d.pick(0, 1);
    d.input(d.tensor(type, dims));
    const lengths = Array.from({ length: dims[1 - time] }, () => d.integer(1, dims[time]));
    d.input(d.i64(lengths));
    if (time === 1 || d.chance()) {
      d.int('time_axis', time);
      d.int('batch_axis', 1 - time);
    }
    d.output(type);
  },
  CenterCropPad: (d) => {
    const { type, dims } = moved(d, { least: 1, elements: 400 });
    let axes = dims.map((_, i) => i);
    if (d.chance()) {
      axes = d.shuffled(axes).slice(0, d.integer(1, dims.length));
      d.ints(
        'axes',
        axes.map((axis) => (d.chance(3) ? axis - dims.length : axis)),
      );
    }
    const shape = axes.map(() => d.size({ zero: false, most: 9 }));
    d.shapeInput(d.values(d.type('Tind'), [shape.length], shape));
    d.output(type);
  },
  Shape: (d) => {
    const dims = d.dims({ most: 8 });
    d.input(d.tensor(d.type('T'), dims));
    if (d.version >= 15) {
      d.maybeInt('start', 0, () => d.integer(-dims.length - 1, dims.length + 1));
      d.maybeInt('end', dims.length, () => d.integer(-dims.length - 1, dims.length + 1));
    }
    d.output('i64');
  },
  Size: (d) => {
    d.input(d.tensor(d.type('T'), d.dims({ most: 8 })));
    d.output('i64');
  },
  ConstantOfShape: (d) => {
    const type = d.chance() ? d.type('T2') : undefined;
    d.shapeInput(d.i64(d.dims()));
    if (type) d.attributes.value = { tensor: d.tensor(type, [1]) };
    d.output(type ?? 'f32');
  },
  Constant: (d) => {
    const kinds = { tensor: 1, float: 12, floats: 12, int: 12, ints: 12 };
    const usable = Object.keys(kinds).filter((kind) => d.version >= kinds[kind]);
    const kind = d.pick(...usable);
    const type = kind === 'tensor' ? d.type('T') : kind.startsWith('float') ? 'f32' : 'i64';
    const single = d.tensor(type, kind === 'tensor' ? d.dims() : [d.integer(1, 5)], {
      whole: true,
    });
    if (kind === 'tensor') d.attributes.value = { tensor: single };
    else if (kind === 'float') d.float('value_float', single.values[0]);
    else if (kind === 'floats') d.attributes.value_floats = { floats: single.values };
    else if (kind === 'int') d.int('value_int', single.values[0]);
    else d.ints('value_ints', single.values);
    d.output(type);
  },
  EyeLike: (d) => {
    const type = d.type('T1');
    const dims = [d.size(), d.size()];
    d.input(d.tensor(type, dims));
    d.maybeInt('k', 0, () => d.integer(-dims[0], dims[1]));
    let made = type;
    if (d.chance()) {
      made = d.type('T2');
      d.int('dtype', numberOf(made));
    }
    d.output(made);
  },
  Range: (d) => {
    const type = d.type();
    const [start, step, length] = [d.integer(-5, 5), d.pick(1, 2, -1, -3), d.integer(0, 40)];
    const unit = /^[bf]/.test(type) ? 0.5 : 1;
    const constant = !d.chance(3);
    for (const value of [start, start + step * length, step]) {
      d.input(d.values(type, [], [value * unit]), { constant });
    }
    d.output(type);
  },
  OneHot: (d) => {
    const depth = d.integer(1, 6);
    const dims = d.dims({ most: 4, elements: 300 });
    const indices = d.type('T1');
    const low = /^u/.test(indices) ? 0 : -depth - 1;
    const values = Array.from({ length: count(dims) }, () => d.integer(low, depth + 1));
    if (d.version < 11) values.forEach((v, i) => (values[i] = Math.abs(v)));
    d.input(d.values(indices, dims, values));
    d.shapeInput(d.values(d.type('T2'), d.pick([], [1]), [depth]));
    const type = d.type('T3');
    d.input(d.tensor(type, [2]));
    d.maybeInt('axis', -1, () => d.axis(dims.length + 1));
    d.output(type);
  },
};
