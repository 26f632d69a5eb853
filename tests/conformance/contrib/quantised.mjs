// Quantised operators: ONNX's and com.microsoft's.

import { chance, count, floats, integer, integers, pick, scales, tensor } from './random.mjs';

export function quantised(add) {
  for (const type of ['u8', 'i8', 'u16', 'i16']) {
    add(`quantize_linear_${type}`, () => {
      const dims = [integer(1, 3), integer(2, 5), integer(1, 7)];
      const axis = pick(0, 1, -1);
      const along = dims.at(axis);
      const perAxis = chance();
      return {
        opset: 21,
        nodes: [
          {
            op: 'QuantizeLinear',
            inputs: ['x', 'scale', 'zero'],
            outputs: ['y'],
            attributes: { axis },
          },
        ],
        // Many ties: multiples of half a scale.
        inputs: { x: tensor('f32', dims, () => integer(-700, 700) * 0.05) },
        initializers: {
          scale: tensor('f32', perAxis ? [along] : [], () => 0.1),
          zero: integers(type, perAxis ? [along] : []),
        },
        outputs: { y: type },
      };
    });
  }
  add('dequantize_linear_blocked', () => {
    const block = integer(2, 3);
    const dims = [integer(1, 3), block * integer(1, 3), 4];
    const scaleDims = [dims[0], dims[1] / block, 4];
    return {
      opset: 21,
      nodes: [
        {
          op: 'DequantizeLinear',
          inputs: ['x', 'scale', 'zero'],
          outputs: ['y'],
          attributes: { axis: 1, block_size: block },
        },
      ],
      inputs: {
        x: integers('i8', dims),
        scale: scales(scaleDims),
        zero: integers('i8', scaleDims),
      },
      outputs: { y: 'f32' },
    };
  });
  add('dynamic_quantize_linear', () => ({
    nodes: [{ op: 'DynamicQuantizeLinear', inputs: ['x'], outputs: ['y', 's', 'z'] }],
    inputs: { x: floats([integer(1, 40), 3], 5) },
    outputs: { y: 'u8', s: 'f32', z: 'u8' },
  }));
  for (const [name, m] of [
    ['wide', 37],
    ['row', 1],
    ['rows', 3],
  ]) {
    add(`matmul_integer_${name}`, () => {
      const [a, b] = [pick('u8', 'i8'), pick('u8', 'i8')];
      const [k, n] = [integer(1, 300), integer(1, 70)];
      const perColumn = chance();
      return {
        nodes: [{ op: 'MatMulInteger', inputs: ['a', 'b', 'az', 'bz'], outputs: ['y'] }],
        inputs: { a: integers(a, [m, k]), b: integers(b, [k, n]) },
        initializers: { az: integers(a, []), bz: integers(b, perColumn ? [n] : []) },
        outputs: { y: 'i32' },
      };
    });
  }
  add('matmul_integer_deep', () => ({
    nodes: [{ op: 'MatMulInteger', inputs: ['a', 'b'], outputs: ['y'] }],
    inputs: { a: integers('u8', [2, 9, 700], 200, 255), b: integers('u8', [700, 6], 200, 255) },
    outputs: { y: 'i32' },
  }));
  add('qlinear_matmul', () => {
    const [m, k, n] = [integer(1, 20), integer(1, 50), integer(1, 20)];
    const a = pick('u8', 'i8');
    const b = a === 'i8' ? a : pick('u8', 'i8');
    const perColumn = chance();
    return {
      nodes: [
        {
          op: 'QLinearMatMul',
          inputs: ['a', 'as', 'az', 'b', 'bs', 'bz', 'ys', 'yz'],
          outputs: ['y'],
        },
      ],
      inputs: { a: integers(a, [2, m, k]) },
      initializers: {
        as: scales([]),
        az: integers(a, []),
        b: integers(b, [k, n]),
        bs: scales(perColumn ? [n] : []),
        bz: integers(b, perColumn ? [n] : []),
        ys: scales([], 0.1),
        yz: integers(a, []),
      },
      outputs: { y: a },
    };
  });
  for (const kind of ['', '_groups', '_depthwise', '_pointwise', '_line']) {
    add(`conv_integer${kind}`, () => integerConv(kind, false));
    add(`qlinear_conv${kind}`, () => integerConv(kind, true));
  }
}

function integerConv(kind, linear) {
  const groups = kind === '_groups' ? 2 : kind === '_depthwise' ? 5 : 1;
  const channels = kind === '_depthwise' ? 5 : groups * integer(1, 9);
  const out = groups * (kind === '_depthwise' ? 1 : integer(1, 20));
  const taps = kind === '_pointwise' ? 1 : 3;
  const spatial = kind === '_line' ? [integer(20, 40)] : [integer(5, 9), integer(5, 9)];
  const strides = spatial.map(() => (taps === 1 ? 1 : integer(1, 2)));
  const pads = [...spatial, ...spatial].map(() => (taps === 1 ? 0 : integer(0, 2)));
  const attributes = { group: groups, strides, pads };
  const x = pick('u8', 'i8');
  const w = x === 'u8' ? pick('u8', 'i8') : 'i8';
  const kernel = [out, channels / groups, ...spatial.map(() => taps)];
  const inputs = { x: integers(x, [integer(1, 2), channels, ...spatial]) };
  if (!linear) {
    // ONNX Runtime's ConvInteger takes u8 and one zero point.
    inputs.x = integers('u8', inputs.x.dims);
    return {
      nodes: [{ op: 'ConvInteger', inputs: ['x', 'w', 'xz', 'wz'], outputs: ['y'], attributes }],
      inputs,
      initializers: { w: integers('u8', kernel), xz: integers('u8', []), wz: integers('u8', []) },
      outputs: { y: 'i32' },
    };
  }
  const perChannel = chance() && w === 'i8';
  const each = perChannel ? [out] : [];
  return {
    nodes: [
      {
        op: 'QLinearConv',
        inputs: ['x', 'xs', 'xz', 'w', 'ws', 'wz', 'ys', 'yz', 'b'],
        outputs: ['y'],
        attributes,
      },
    ],
    inputs,
    initializers: {
      xs: scales([]),
      xz: integers(x, []),
      w: integers(w, kernel),
      ws: scales(each),
      wz: perChannel ? tensor(w, each, () => 0) : integers(w, each),
      ys: scales([], 0.02 * Math.sqrt(count(kernel) / out)),
      yz: integers(x, []),
      b: integers('i32', [out], -1000, 1000),
    },
    outputs: { y: x },
  };
}

const domain = 'com.microsoft';

/** Operators of com.microsoft on quantised tensors. */
export function quantisedContrib(add) {
  const quantisation = (type, key, scale = 0.05) => ({
    [`${key}s`]: scales([], scale),
    [`${key}z`]: integers(type, []),
  });
  for (const op of ['QLinearAdd', 'QLinearMul']) {
    for (const [suffix, type, other] of [
      ['', 'u8', (dims) => dims],
      ['_signed', 'i8', (dims) => [dims[2]]],
      ['_scalar', 'u8', () => []],
      ['_column', 'i8', (dims) => [dims[1], 1]],
      ['_one_zero', 'u8', (dims) => dims],
    ]) {
      add(`${op.toLowerCase()}${suffix}`, () => {
        const dims = [2, integer(1, 5), integer(1, 9)];
        const inputs = ['a', 'as', 'az', 'b', 'bs', 'bz', 'ys', 'yz'];
        const initializers = {
          ...quantisation(type, 'a'),
          ...quantisation(type, 'b'),
          ...quantisation(type, 'y', op === 'QLinearAdd' ? 0.1 : 0.3),
        };
        if (suffix === '_one_zero') delete initializers[inputs.pop()];
        return {
          nodes: [{ op, domain, inputs, outputs: ['y'] }],
          inputs: { a: integers(type, dims), b: integers(type, other(dims)) },
          initializers,
          outputs: { y: type },
        };
      });
    }
  }
  for (const [op, attributes, range, options = {}] of [
    ['QLinearSigmoid', {}, 1 / 256],
    ['QLinearLeakyRelu', { alpha: { float: 0.2 } }, 0.05],
    ['QLinearSoftmax', { axis: -1, opset: 13 }, 1 / 256],
    ['QLinearAveragePool', { kernel_shape: [2, 3], strides: [1, 2], pads: [0, 1, 0, 1] }, 0.05],
    ['QLinearGlobalAveragePool', {}, 0.05],
    ['QLinearGlobalAveragePool', { channels_last: 1 }, 0.05],
    ['QLinearSigmoid', {}, 1 / 256, { suffix: '_no_zero', bare: true }],
    ['QLinearLeakyRelu', {}, 0.05, { suffix: '_signed', type: 'i8' }],
    ['QLinearSoftmax', { axis: 1, opset: 13 }, 1 / 256, { suffix: '_axis' }],
    ['QLinearSoftmax', { axis: 2, opset: 11 }, 1 / 256, { suffix: '_old', type: 'i8' }],
    [
      'QLinearAveragePool',
      { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1], count_include_pad: 1 },
      0.05,
      { suffix: '_padding', type: 'i8' },
    ],
    [
      'QLinearAveragePool',
      { kernel_shape: [2, 2], strides: [2, 2], ceil_mode: 1 },
      0.05,
      { suffix: '_ceil' },
    ],
    [
      'QLinearAveragePool',
      { kernel_shape: [3, 2], auto_pad: 'SAME_UPPER', channels_last: 1 },
      0.05,
      { suffix: '_same' },
    ],
    ['QLinearAveragePool', { kernel_shape: [3] }, 0.05, { suffix: '_line', line: true }],
    ['QLinearGlobalAveragePool', {}, 0.05, { suffix: '_line', line: true, type: 'i8' }],
  ]) {
    const suffix = options.suffix ?? (attributes.channels_last ? '_channels_last' : '');
    add(`${op.toLowerCase()}${suffix}`, () => {
      const type = options.type ?? (op.includes('Pool') ? 'u8' : pick('u8', 'i8'));
      const softmax = op === 'QLinearSoftmax';
      if (options.bare) {
        return {
          nodes: [{ op, domain, inputs: ['x', 'xs', '', 'ys', 'yz'], outputs: ['y'] }],
          inputs: { x: integers('u8', [3, 7]) },
          initializers: {
            xs: scales([], 0.05),
            ys: tensor('f32', [], () => range),
            yz: integers('u8', []),
          },
          outputs: { y: 'u8' },
        };
      }
      const spatial = options.line ? [integer(4, 8)] : [5, integer(4, 8)];
      return {
        nodes: [{ op, domain, inputs: ['x', 'xs', 'xz', 'ys', 'yz'], outputs: ['y'], attributes }],
        inputs: { x: integers(type, [2, integer(2, 4), ...spatial]) },
        initializers: {
          ...quantisation(type, 'x'),
          ys: tensor('f32', [], () => range),
          yz: softmax ? tensor(type, [], () => (type === 'u8' ? 0 : -128)) : integers(type, []),
        },
        outputs: { y: type },
      };
    });
  }
  add('qlinearconcat_three', () => ({
    nodes: [
      {
        op: 'QLinearConcat',
        domain,
        inputs: ['ys', 'yz', 'a', 'as', 'az', 'b', 'ys', 'yz', 'c', 'as', 'az'],
        outputs: ['y'],
        attributes: { axis: -1 },
      },
    ],
    inputs: {
      a: integers('i8', [2, 3]),
      b: integers('i8', [2, 1]),
      c: integers('i8', [2, 4]),
    },
    initializers: { ...quantisation('i8', 'y'), ...quantisation('i8', 'a', 0.02) },
    outputs: { y: 'i8' },
  }));
  add('qlinearconcat', () => {
    const type = pick('u8', 'i8');
    return {
      nodes: [
        {
          op: 'QLinearConcat',
          domain,
          inputs: ['ys', 'yz', 'a', 'as', 'az', 'b', 'bs', 'bz'],
          outputs: ['y'],
          attributes: { axis: 1 },
        },
      ],
      inputs: { a: integers(type, [2, 3, 4]), b: integers(type, [2, 5, 4]) },
      initializers: {
        ...quantisation(type, 'y'),
        ...quantisation(type, 'a'),
        ...quantisation(type, 'b'),
      },
      outputs: { y: type },
    };
  });
  for (const op of ['DynamicQuantizeMatMul', 'MatMulIntegerToFloat']) {
    for (const [suffix, options] of [
      ['', {}],
      ['_plain', { plain: true }],
      ['_columns', { columns: true, b: 'i8' }],
      ['_signed', { b: 'i8', a: 'i8', stacked: true }],
    ]) {
      add(`${op.toLowerCase()}${suffix}`, () => {
        const [m, k, n] = [integer(1, 12), integer(1, 40), integer(1, 20)];
        const b = options.b ?? 'u8';
        const a = options.a ?? 'u8';
        const each = options.columns ? [n] : [];
        const dynamic = op === 'DynamicQuantizeMatMul';
        const initializers = { b: integers(b, [k, n]), bs: scales(each) };
        if (options.stacked && !dynamic) initializers.b = integers(b, [2, k, n]);
        if (!dynamic) initializers.as = scales([]);
        if (!options.plain) {
          initializers.bz = integers(b, each);
          initializers.bias = floats([n]);
          if (!dynamic) initializers.az = integers(a, []);
        }
        const order = dynamic
          ? ['a', 'b', 'bs', 'bz', 'bias']
          : ['a', 'b', 'as', 'bs', 'az', 'bz', 'bias'];
        return {
          nodes: [
            {
              op,
              domain,
              inputs: options.plain ? order.slice(0, dynamic ? 3 : 4) : order,
              outputs: ['y'],
            },
          ],
          inputs: { a: dynamic ? floats([2, m, k], 3) : integers(a, [2, m, k]) },
          initializers,
          outputs: { y: 'f32' },
        };
      });
    }
  }
}
