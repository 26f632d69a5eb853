// Quantised operators: src/ops/quant.

import { typesOf } from '../schema.mjs';
import { numberOf } from './elementwise.mjs';
import { bitsOf, isFloat, isSigned } from '../tensors.mjs';

const bytes = ['u8', 'i8'];

/** A zero point in the middle of its type's range; 0 for types that have none. */
function zeroPoint(d, type, dims = []) {
  if (isFloat(type) || type === 'i32') return d.tensor(type, dims, { low: 0, high: 0 });
  const most = 2 ** (bitsOf(type) - 2);
  const [low, high] = isSigned(type) ? [-most, most] : [0, 2 * most];
  const size = dims.reduce((a, b) => a * b, 1);
  return d.values(
    type,
    dims,
    Array.from({ length: size }, () => d.integer(low, high)),
  );
}

const scale = (d, type, dims = []) => d.tensor(type, dims, { low: 0.05, high: 0.2 });

/** Where scales lie: one, along an axis, or in blocks; gives their dims. */
function layout(d, dims, { axisSince, blockSince }) {
  const axes = dims.length > 0 && d.version >= axisSince;
  const form = d.pick(
    'tensor',
    ...(axes ? ['axis'] : []),
    ...(axes && d.version >= blockSince ? ['block'] : []),
  );
  if (form === 'tensor') return d.pick([], [], d.version >= 13 ? [] : [1]);
  const fallback = dims.length > 1 ? 1 : undefined;
  let axis = d.axis(dims.length);
  if (fallback !== undefined && d.chance()) axis = fallback;
  else d.int('axis', axis);
  const at = axis < 0 ? axis + dims.length : axis;
  if (form === 'axis') return [dims[at]];
  const block = d.integer(1, Math.max(1, dims[at]));
  if (Math.ceil(dims[at] / block) < 1) return [];
  d.int('block_size', block);
  return dims.map((dim, i) => (i === at ? Math.ceil(dim / block) : dim));
}

export const quantised = {
  QuantizeLinear: (d) => {
    const later = d.version >= 19;
    const type = d.type('T1');
    // Before 23 the scale has the input's type; before 19 it is f32.
    const kind = !later ? 'f32' : d.version < 23 ? type : type;
    const target = d.version >= 23 ? 'T3' : 'T2';
    const to = d.type(target, typesOf(d.op, d.version, target));
    const dims = d.dims({ most: 4, zero: false });
    const own = layout(d, dims, { axisSince: 13, blockSince: 21 });
    d.input(d.tensor(type, dims, { low: -6, high: 6 }));
    d.input(
      kind === 'i32'
        ? d.values(
            'i32',
            own,
            d.tensor('i32', own).values.map(() => 2),
          )
        : scale(d, kind, own),
    );
    if (to !== 'u8' || d.chance()) {
      if (d.version >= 21 && d.chance(4)) d.int('output_dtype', numberOf(to));
      else d.input(zeroPoint(d, to, own));
    }
    if (later) d.maybeInt('saturate', 1, () => 1);
    d.slack = 1;
    d.output(to);
  },
  DequantizeLinear: (d) => {
    const type = d.type(d.version < 19 ? 'T' : 'T1');
    const kind = d.version < 19 ? 'f32' : d.type('T2', ['f32', 'f16', 'bf16']);
    const dims = d.dims({ most: 4, zero: false });
    const own = layout(d, dims, { axisSince: 13, blockSince: 21 });
    d.input(d.tensor(type, dims));
    d.input(scale(d, kind, own));
    if (type !== 'i32' && d.chance()) d.input(zeroPoint(d, type, own));
    d.output(kind);
  },
  DynamicQuantizeLinear: (d) => {
    d.input(d.tensor('f32', d.dims({ zero: false }), { low: -3, high: 5 }));
    d.slack = 1;
    d.output('u8');
    d.output('f32');
    d.output('u8');
  },
  MatMulInteger: (d) => {
    const [a, b] = [d.type('T1'), d.type('T2')];
    const [m, k, n] = [d.size({ zero: false }), d.size({ zero: false }), d.size({ zero: false })];
    const batch = d.dims({ most: 2, zero: false, elements: 6 });
    d.input(d.tensor(a, [...batch, m, k], { wide: true }));
    d.input(d.tensor(b, [...d.narrower(batch), k, n], { wide: true }));
    if (d.chance()) d.input(zeroPoint(d, a, batch.length === 0 ? d.pick([], [m]) : []));
    else d.skip();
    if (d.chance()) d.input(zeroPoint(d, b, batch.length === 0 ? d.pick([], [n]) : []));
    d.output('i32');
  },
  ConvInteger: (d) => {
    const [x, w] = [d.type('T1'), d.type('T2')];
    const { channels, filters, groups, kernel, spatial } = convolution(d);
    d.input(d.tensor(x, [d.integer(1, 2), groups * channels, ...spatial], { wide: true }));
    d.input(d.tensor(w, [groups * filters, channels, ...kernel], { wide: true }));
    if (d.chance()) d.input(zeroPoint(d, x));
    else d.skip();
    if (d.chance()) d.input(zeroPoint(d, w, d.pick([], [groups * filters])));
    d.output('i32');
  },
  QLinearMatMul: (d) => {
    const kind = d.version >= 21 ? d.type('TS') : 'f32';
    const types = ['T1', 'T2', 'T3'].map((variable) => d.type(variable, bytes));
    const [m, k, n] = [d.integer(1, 6), d.integer(1, 20), d.integer(1, 9)];
    const batch = d.dims({ most: 2, zero: false, elements: 6 });
    const shapes = [
      [...batch, m, k],
      [...d.narrower(batch), k, n],
    ];
    for (const i of [0, 1]) {
      d.input(d.tensor(types[i], shapes[i], { wide: true }));
      d.input(scale(d, kind));
      d.input(zeroPoint(d, types[i]));
    }
    d.input(d.tensor(kind, [], { low: 2, high: 9 }));
    d.input(zeroPoint(d, types[2]));
    d.slack = 1;
    d.output(types[2]);
  },
  QLinearConv: (d) => {
    const types = ['T1', 'T2', 'T3'].map((variable) => d.type(variable));
    const { channels, filters, groups, kernel, spatial } = convolution(d);
    const each = d.pick([], [groups * filters]);
    d.input(d.tensor(types[0], [d.integer(1, 2), groups * channels, ...spatial], { wide: true }));
    d.input(scale(d, 'f32'));
    d.input(zeroPoint(d, types[0]));
    d.input(d.tensor(types[1], [groups * filters, channels, ...kernel], { wide: true }));
    d.input(scale(d, 'f32', each));
    // Filters have zero points of 0 where there is one a channel.
    d.input(
      each.length > 0 ? d.values(types[1], each, Array(each[0]).fill(0)) : zeroPoint(d, types[1]),
    );
    d.input(d.tensor('f32', [], { low: 1, high: 5 }));
    d.input(zeroPoint(d, types[2]));
    if (d.chance()) d.input(d.tensor('i32', [groups * filters], { wide: false }));
    d.slack = 1;
    d.output(types[2]);
  },
};

function convolution(d) {
  const rank = d.pick(2, 1);
  const groups = d.pick(1, 1, 2);
  if (groups > 1) d.int('group', groups);
  const kernel = Array.from({ length: rank }, () => d.integer(1, 3));
  if (d.chance()) d.ints('kernel_shape', kernel);
  if (d.chance())
    d.ints(
      'strides',
      kernel.map(() => d.integer(1, 2)),
    );
  if (d.chance())
    d.ints(
      'pads',
      [...kernel, ...kernel].map((k) => d.integer(0, k - 1)),
    );
  const spatial = kernel.map((k) => d.integer(k + 1, 9));
  return { channels: d.integer(1, 4), filters: d.integer(1, 4), groups, kernel, spatial };
}
