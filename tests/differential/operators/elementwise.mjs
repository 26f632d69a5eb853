// One element from one element of each input: src/ops/elementwise and src/ops/logic.

import { isFloat, isInteger } from '../tensors.mjs';

/** An operator of one input; `options` says which elements, `more` draws attributes. */
function unary(options = {}, more = () => {}) {
  return (d) => {
    const type = d.type();
    d.input(d.tensor(type, d.dims({ most: 8 }), { special: true, wide: true, ...options }));
    more(d, type);
    d.output(type);
  };
}

/** Two tensors that broadcast, either of them the larger. */
function pair(d) {
  const dims = d.dims({ most: 8 });
  const forms = [dims, d.narrower(dims)];
  return d.chance(3) ? forms.reverse() : forms;
}

function binary({ result, variable = 'T', first = {}, second = {}, more = () => {} } = {}) {
  return (d) => {
    const type = d.type(variable);
    const [a, b] = pair(d);
    d.input(d.tensor(type, a, { special: true, ...first }));
    if (d.chance(12) && String(a) === String(b)) d.again(0);
    else d.input(d.tensor(type, b, { special: true, ...second }));
    more(d, type);
    d.output(result ?? type);
  };
}

function variadic(d) {
  const type = d.type();
  const dims = d.dims();
  const inputs = d.pick(2, 1, 3, 4, 9);
  for (let i = 0; i < inputs; ++i) d.input(d.tensor(type, i === 0 ? dims : d.narrower(dims)));
  d.output(type);
}

const small = { low: -1, high: 1 };

export const elementwise = {
  Abs: unary(),
  Acos: unary(small),
  Acosh: unary({ low: 1, high: 9 }),
  Asin: unary(small),
  Asinh: unary(),
  Atan: unary(),
  Atanh: unary({ low: -0.95, high: 0.95 }),
  Ceil: unary({ low: -9, high: 9 }),
  Cos: unary({ low: -20, high: 20 }),
  Cosh: unary(),
  Erf: unary({ wide: false }),
  Exp: unary(),
  Floor: unary({ low: -9, high: 9 }),
  Identity: (d) => {
    const type = d.type(d.version >= 14 ? 'V' : 'T');
    d.input(d.tensor(type, d.dims({ most: 8 })));
    d.output(type);
  },
  Log: unary({ low: 0.01, high: 9 }),
  Mish: unary({ low: -9, high: 9 }),
  Neg: unary(),
  Reciprocal: unary({ gap: 0.1 }),
  Relu: unary(),
  Round: unary({ low: -5, high: 5, whole: false }),
  Sigmoid: unary({ low: -9, high: 9 }),
  Sign: unary(),
  Sin: unary({ low: -20, high: 20 }),
  Sinh: unary(),
  Softplus: unary({ low: -20, high: 20 }),
  Softsign: unary(),
  Sqrt: unary({ low: 0, high: 9 }),
  Tan: unary({ low: -1.4, high: 1.4 }),
  Tanh: unary({ low: -9, high: 9 }),
  HardSwish: unary({ low: -5, high: 5 }),

  Celu: unary({}, (d) => d.maybeFloat('alpha', 0.25, 2)),
  Elu: unary({}, (d) => d.maybeFloat('alpha', -1, 2)),
  LeakyRelu: unary({}, (d) => d.maybeFloat('alpha', -1, 2)),
  ThresholdedRelu: unary({}, (d) => d.maybeFloat('alpha', -1, 2)),
  Swish: unary({}, (d) => d.maybeFloat('alpha', -1, 2)),
  HardSigmoid: unary({ low: -5, high: 5 }, (d) => {
    d.maybeFloat('alpha', 0, 1);
    d.maybeFloat('beta', 0, 1);
  }),
  Selu: unary({}, (d) => {
    d.maybeFloat('alpha', 0.5, 2);
    d.maybeFloat('gamma', 0.5, 2);
  }),
  Gelu: unary({}, (d) => {
    if (d.chance()) d.string('approximate', d.pick('none', 'tanh'));
  }),
  Shrink: unary({ special: false, wide: false }, (d) => {
    d.maybeFloat('lambd', 0.1, 1.1);
    d.maybeFloat('bias', -0.9, 0.9);
  }),
  SwiGLU: (d) => {
    const type = d.type();
    const dims = d.dims();
    d.maybeFloat('alpha', -1, 2);
    d.input(d.tensor(type, dims));
    d.input(d.tensor(type, dims));
    d.output(type);
  },

  Add: binary(),
  Sub: binary(),
  Mul: binary(),
  Div: binary({ second: { gap: 0.2 } }),
  Pow: (d) => {
    const type = d.type('T');
    const other = d.version >= 12 ? d.type('T1') : type;
    const [a, b] = pair(d);
    const float = isFloat(type);
    const fraction = float && isFloat(other);
    d.input(d.tensor(type, a, float ? { low: fraction ? 0.1 : -2, high: 2, gap: 0.1 } : {}));
    d.input(
      d.tensor(other, b, fraction ? {} : { low: float ? -0.75 : 0, high: 0.75, whole: true }),
    );
    d.output(type);
  },
  Mod: (d) => {
    const type = d.type();
    const [a, b] = pair(d);
    d.input(d.tensor(type, a, { low: -9, high: 9 }));
    d.input(d.tensor(type, b, { gap: 0.3 }));
    if (isFloat(type)) d.int('fmod', 1);
    else d.maybeInt('fmod', 0, () => d.pick(0, 1));
    d.output(type);
  },
  PRelu: (d) => {
    const type = d.type();
    const dims = d.dims();
    d.input(d.tensor(type, dims));
    d.input(d.tensor(type, d.narrower(dims)));
    d.output(type);
  },
  BitShift: binary({
    second: { low: 0, high: 1 },
    more: (d) => d.string('direction', d.pick('LEFT', 'RIGHT')),
  }),
  BitwiseAnd: binary({ first: { wide: true }, second: { wide: true } }),
  BitwiseOr: binary({ first: { wide: true }, second: { wide: true } }),
  BitwiseXor: binary({ first: { wide: true }, second: { wide: true } }),
  BitwiseNot: unary(),
  And: binary({ result: 'bool' }),
  Or: binary({ result: 'bool' }),
  Xor: binary({ result: 'bool' }),
  Not: unary(),
  Equal: binary({ result: 'bool', first: { whole: true }, second: { whole: true } }),
  Greater: binary({ result: 'bool', first: { whole: true }, second: { whole: true } }),
  Less: binary({ result: 'bool', first: { whole: true }, second: { whole: true } }),
  GreaterOrEqual: binary({ result: 'bool', first: { whole: true }, second: { whole: true } }),
  LessOrEqual: binary({ result: 'bool', first: { whole: true }, second: { whole: true } }),
  Max: variadic,
  Min: variadic,
  Mean: variadic,
  Sum: variadic,

  Where: (d) => {
    const type = d.type('T');
    const dims = d.dims({ most: 8 });
    const forms = d.shuffled([dims, d.narrower(dims), d.narrower(dims)]);
    d.input(d.tensor('bool', forms[0]));
    d.input(d.tensor(type, forms[1]));
    d.input(d.tensor(type, forms[2]));
    d.output(type);
  },
  Clip: (d) => {
    const type = d.type();
    d.input(d.tensor(type, d.dims({ most: 8 }), { special: true }));
    if (d.version < 11) {
      d.maybeFloat('min', -2, 0);
      d.maybeFloat('max', -1, 2);
    } else {
      if (d.chance()) d.input(d.tensor(type, [], { high: 0 }));
      else d.skip();
      if (d.chance()) d.input(d.tensor(type, [], { low: -1 }));
    }
    d.output(type);
  },
  Dropout: (d) => {
    const type = d.type('T');
    d.input(d.tensor(type, d.dims()));
    if (d.version < 12) d.maybeFloat('ratio', 0, 1);
    else if (d.chance()) d.input(d.tensor(d.type('T1'), [], { low: 0, high: 0.9 }));
    d.output(type);
    if (d.chance()) d.output(d.version >= 10 ? 'bool' : type);
  },
  IsInf: (d) => {
    const type = d.type('T1');
    d.input(d.tensor(type, d.dims(), { special: true }));
    d.maybeInt('detect_negative', 1, () => d.pick(1, 0));
    d.maybeInt('detect_positive', 1, () => d.pick(1, 0));
    d.output('bool');
  },
  IsNaN: (d) => {
    const type = d.type('T1');
    d.input(d.tensor(type, d.dims(), { special: true }));
    d.output('bool');
  },
  Cast: (d) => cast(d, d.type('T1'), d.type('T2'), true),
  CastLike: (d) => cast(d, d.type('T1'), d.type('T2'), false),
  BitCast: (d) => {
    const widths = {
      8: ['i8', 'u8'],
      16: ['i16', 'u16', 'f16', 'bf16'],
      32: ['f32', 'i32', 'u32'],
    };
    widths[64] = ['i64', 'u64', 'f64'];
    const among = widths[d.pick(32, 8, 16, 64)];
    d.input(d.tensor(d.type('T1', among), d.dims(), { wide: true }));
    const to = d.type('T2', among);
    d.int('to', numberOf(to));
    d.output(to);
  },
  BatchNormalization: (d) => {
    const type = d.type('T');
    const other = (variable) => (d.version >= 15 ? d.type(variable) : type);
    const [scale, statistic] = [other('T1'), d.version === 14 ? d.type('U') : other('T2')];
    const dims = d.dims({ least: 2, most: 5 });
    d.input(d.tensor(type, dims));
    d.input(d.tensor(scale, [dims[1]]));
    d.input(d.tensor(scale, [dims[1]]));
    d.input(d.tensor(statistic, [dims[1]]));
    d.input(d.tensor(statistic, [dims[1]], { low: 0.1, high: 2 }));
    d.maybeFloat('epsilon', 1e-5, 0.1);
    d.maybeFloat('momentum', 0, 1);
    if (d.version < 9) d.maybeInt('spatial', 1, () => 1);
    d.output(type);
    if (d.version >= 14 && d.chance(4) && !dims.includes(0)) {
      d.int('training_mode', 1);
      d.output(statistic);
      d.output(statistic);
    }
  },
};

const typeNumbers =
  'f32 u8 i8 u16 i16 i32 i64 string bool f16 f64 u32 u64 c64 c128 bf16 f8e4m3fn f8e4m3fnuz f8e5m2 f8e5m2fnuz u4 i4 f4e2m1 f8e8m0 u2 i2'.split(
    ' ',
  );
export const numberOf = (type) => typeNumbers.indexOf(type) + 1;

function cast(d, from, to, named) {
  const unsigned = /^u/.test(to);
  const low = unsigned ? 0 : -1.9;
  const dims = d.dims();
  if (from === 'string') {
    const whole = !isFloat(to);
    const tensor = d.tensor(whole ? 'i32' : 'f32', dims, { low, high: 7 });
    if (to === 'bool') tensor.values = tensor.values.map((value) => Math.min(1, Math.abs(value)));
    d.input({ dtype: 'string', dims, values: tensor.values.map(String) });
  } else {
    // Out of range the specification leaves the result open.
    const narrow = /^[ui][24]$|^f4/.test(to);
    d.input(
      d.tensor(from, dims, { low: narrow ? Math.max(low, -1) : low, high: narrow ? 1 / 8 : 7 }),
    );
  }
  if (named) {
    d.int('to', numberOf(to));
    if (d.version >= 19) d.maybeInt('saturate', 1, () => d.pick(1, 0));
  } else {
    d.input(d.tensor(to, d.dims()));
  }
  // Text of floats differs in its digits.
  d.valuesDiffer = to === 'string' && !isInteger(from);
  d.output(to);
}
