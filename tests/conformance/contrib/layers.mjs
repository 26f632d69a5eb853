// Activations, normalisations, fused products and convolutions of com.microsoft.

import { chance, floats, integer, integers, pick, scales, tensor } from './random.mjs';

const domain = 'com.microsoft';

export function layers(add) {
  const one = (name, op, inputs, { attributes, outputs = { y: 'f32' }, inputNames } = {}) =>
    add(name, () => {
      const given = inputs();
      return {
        nodes: [
          {
            op,
            domain,
            inputs: inputNames ?? Object.keys(given),
            outputs: Object.keys(outputs),
            attributes: typeof attributes === 'function' ? attributes() : attributes,
          },
        ],
        inputs: given,
        outputs,
      };
    });

  one('bias_gelu', 'BiasGelu', () => ({ x: floats([2, 3, 10], 3), b: floats([10]) }));
  one('fast_gelu', 'FastGelu', () => ({ x: floats([2, 3, 10], 3) }));
  one('fast_gelu_bias', 'FastGelu', () => ({ x: floats([2, 3, 10], 3), b: floats([10]) }));
  one('gelu', 'Gelu', () => ({ x: floats([3, 7], 3) }));
  one('quick_gelu', 'QuickGelu', () => ({ x: floats([3, 7], 3) }), {
    attributes: { alpha: { float: 1.3 } },
  });

  one('quick_gelu_plain', 'QuickGelu', () => ({ x: floats([3, 1, 7], 3) }));
  const composed = (name, op, inputs, reference, attributes) =>
    add(name, () => {
      const given = inputs();
      return {
        nodes: [{ op, domain, inputs: Object.keys(given), outputs: ['y'], attributes }],
        reference,
        inputs: given,
        outputs: { y: 'f32' },
      };
    });
  composed(
    'bias_add',
    'BiasAdd',
    () => ({ x: floats([2, 5, 8]), b: floats([8]), skip: floats([2, 5, 8]) }),
    [
      { op: 'Add', inputs: ['x', 'b'], outputs: ['sum'] },
      { op: 'Add', inputs: ['sum', 'skip'], outputs: ['y'] },
    ],
  );
  composed(
    'bias_split_gelu',
    'BiasSplitGelu',
    () => ({ x: floats([2, 5, 12], 3), b: floats([12]) }),
    [
      { op: 'Add', inputs: ['x', 'b'], outputs: ['sum'] },
      { op: 'Split', inputs: ['sum'], outputs: ['left', 'right'], attributes: { axis: -1 } },
      { op: 'Gelu', domain, inputs: ['right'], outputs: ['gate'] },
      { op: 'Mul', inputs: ['left', 'gate'], outputs: ['y'] },
    ],
  );

  const size = () => pick(5, 16, 68);
  for (const [name, options] of [
    ['', {}],
    ['_axis', { axis: 1 }],
    ['_half', { dtype: 'f16' }],
    ['_deviation', { deviation: true }],
    ['_domain', { domain }],
  ]) {
    add(`simplified_layer_normalization${name}`, () => {
      const n = size();
      const type = options.dtype ?? 'f32';
      const outputs = options.deviation ? { y: type, inverse: 'f32' } : { y: type };
      const node = {
        op: 'SimplifiedLayerNormalization',
        inputs: ['x', 'scale'],
        outputs: Object.keys(outputs),
        attributes: { axis: options.axis ?? -1, epsilon: { float: 1e-3 }, stash_type: 1 },
      };
      return {
        // ONNX Runtime's CPU has it in ONNX's domain.
        nodes: [{ ...node, domain: options.domain ?? '' }],
        reference: [node],
        inputs: {
          x: floats([2, 3, n], 3, type),
          scale: scales(options.axis === 1 ? [3, n] : [n], 1, type),
        },
        outputs,
      };
    });
  }
  for (const [name, op, extra, names] of [
    ['skip_layer_normalization', 'SkipLayerNormalization', { beta: 1, bias: 1 }],
    ['skip_layer_normalization_plain', 'SkipLayerNormalization', {}],
    ['skip_layer_normalization_bias', 'SkipLayerNormalization', { bias: 1 }, ['', 'bias']],
    ['skip_simplified_layer_normalization', 'SkipSimplifiedLayerNormalization', { bias: 1 }],
    ['skip_simplified_layer_normalization_plain', 'SkipSimplifiedLayerNormalization', {}],
    ['skip_layer_normalization_half', 'SkipLayerNormalization', { beta: 1, bias: 1 }],
    ['skip_simplified_layer_normalization_half', 'SkipSimplifiedLayerNormalization', {}],
    ['skip_layer_normalization_flat', 'SkipLayerNormalization', { beta: 1 }],
    ['skip_layer_normalization_row', 'SkipLayerNormalization', { beta: 1 }],
  ]) {
    add(name, () => {
      const n = size();
      const rows = [integer(1, 3), integer(1, 4)];
      const type = name.endsWith('half') ? 'f16' : 'f32';
      const shape = name.endsWith('flat') ? [rows[1], n] : [...rows, n];
      const row = name.endsWith('row');
      const inputs = {
        x: floats(shape, 3, type),
        skip: floats(row ? [rows[1], n] : chance() ? shape : [1, ...shape.slice(1)], 3, type),
        gamma: scales([n], 1, type),
      };
      if (shape.length === 2) inputs.skip = floats(shape, 3);
      for (const key of Object.keys(extra)) inputs[key] = floats([n], 1, type);
      return {
        nodes: [
          {
            op,
            domain,
            inputs: ['x', 'skip', 'gamma', ...(names ?? Object.keys(extra))],
            outputs: ['y', '', '', 'sum'],
            attributes: { epsilon: { float: 1e-5 } },
          },
        ],
        inputs,
        outputs: { y: type, sum: type },
      };
    });
  }
  add('skip_layer_normalization_statistics', () => ({
    nodes: [
      {
        op: 'SkipLayerNormalization',
        domain,
        inputs: ['x', 'skip', 'gamma', 'beta'],
        outputs: ['y', 'mean', 'inverse'],
        attributes: { epsilon: { float: 1e-5 } },
      },
    ],
    // ONNX Runtime's CPU does not give these outputs.
    reference: [
      { op: 'Add', inputs: ['x', 'skip'], outputs: ['sum'] },
      {
        op: 'LayerNormalization',
        inputs: ['sum', 'gamma', 'beta'],
        outputs: ['y', 'mean', 'inverse'],
        attributes: { epsilon: { float: 1e-5 } },
      },
    ],
    inputs: {
      x: floats([2, 3, 9]),
      skip: floats([2, 3, 9]),
      gamma: scales([9], 1),
      beta: floats([9]),
    },
    outputs: { y: 'f32', mean: 'f32', inverse: 'f32' },
  }));
  for (const kind of ['', '_mask', '_two']) {
    add(`embed_layer_normalization${kind}`, () => {
      const withMask = kind === '_mask';
      const withKinds = kind !== '_two';
      const [batch, length, n] = [2, integer(2, 6), size()];
      const ids = (most) => ({
        dtype: 'i32',
        dims: [batch, length],
        data: Int32Array.from({ length: batch * length }, () => integer(0, most)),
      });
      const inputs = {
        ids: ids(10),
        ...(withKinds && { segments: ids(1) }),
        ...(withMask && { mask: ids(1), positions: ids(7) }),
      };
      return {
        nodes: [
          {
            op: 'EmbedLayerNormalization',
            domain,
            inputs: [
              ...['ids', withKinds ? 'segments' : '', 'words', 'places'],
              ...[withKinds ? 'kinds' : '', 'gamma', 'beta'],
              ...(withMask ? ['mask', 'positions'] : []),
            ],
            outputs: ['y', 'index', 'sum'],
            attributes: { epsilon: { float: 1e-6 } },
          },
        ],
        inputs,
        initializers: {
          words: floats([11, n]),
          places: floats([8, n]),
          ...(withKinds && { kinds: floats([2, n]) }),
          gamma: scales([n], 1),
          beta: floats([n]),
        },
        outputs: { y: 'f32', index: 'i32', sum: 'f32' },
      };
    });
  }

  for (let kind = 0; kind < 4; ++kind) {
    add(`fused_matmul_${kind}`, () => {
      const [m, k, n] = [integer(1, 20), integer(1, 20), integer(1, 20)];
      const [transA, transB, transBatchA, transBatchB] = [
        chance(),
        chance(),
        kind === 3 && chance(),
        kind === 3,
      ].map(Number);
      const place = (dims, rows, columns, transposed, batch) => {
        const matrix = transposed ? [columns, rows] : [rows, columns];
        return batch ? [matrix[0], ...dims, matrix[1]] : [...dims, ...matrix];
      };
      const batch = kind === 0 ? [] : kind === 1 ? [3] : [2, 3];
      return {
        nodes: [
          {
            op: 'FusedMatMul',
            domain,
            inputs: ['a', 'b'],
            outputs: ['y'],
            attributes: { alpha: { float: 0.25 }, transA, transB, transBatchA, transBatchB },
          },
        ],
        inputs: {
          a: floats(place(batch, m, k, transA, transBatchA)),
          b: floats(place(kind === 2 ? [1, 3] : batch, k, n, transB, transBatchB)),
        },
        outputs: { y: 'f32' },
      };
    });
  }
  for (const [activation, parameters] of [
    ['Relu', {}],
    ['LeakyRelu', { activation_alpha: { float: 0.2 } }],
    ['HardSigmoid', { activation_alpha: { float: 0.3 }, activation_beta: { float: 0.4 } }],
    ['Tanh', {}],
    ['Sigmoid', { beta: { float: 0.5 } }],
    ['Elu', { activation_alpha: { float: 0.6 } }],
    ['Softplus', {}],
    ['Softsign', { transA: 1 }],
  ]) {
    add(`fused_gemm_${activation.toLowerCase()}`, () => {
      const [m, k, n] = [integer(1, 9), integer(1, 9), integer(1, 9)];
      const [transA, transB] = [chance(), chance()].map(Number);
      return {
        nodes: [
          {
            op: 'FusedGemm',
            domain,
            inputs: ['a', 'b', 'c'],
            outputs: ['y'],
            attributes: { activation, ...parameters, transA, transB, alpha: { float: 0.7 } },
          },
        ],
        inputs: {
          a: floats(transA ? [k, m] : [m, k]),
          b: floats(transB ? [n, k] : [k, n]),
          c: floats([n]),
        },
        outputs: { y: 'f32' },
      };
    });
  }
  for (const [activation, options] of [
    ['Relu', { sum: true }],
    ['Clip', { activation_params: { floats: [-0.5, 0.5] } }],
    ['HardSigmoid', { activation_params: { floats: [0.3, 0.4] } }],
    ['LeakyRelu', { activation_params: { floats: [0.2] }, groups: 2 }],
    ['Sigmoid', { same: true }],
    ['Tanh', { line: true }],
    ['Relu', { strides: true, suffix: '_strides' }],
  ]) {
    add(`fused_conv_${activation.toLowerCase()}${options.suffix ?? ''}`, () => {
      const groups = options.groups ?? 1;
      const [channels, out] = [integer(1, 5) * groups, integer(1, 5) * groups];
      const spatial = options.line ? [9] : [6, 7];
      const taps = spatial.map(() => 3);
      const { activation_params, sum } = options;
      return {
        nodes: [
          {
            op: 'FusedConv',
            domain,
            inputs: ['x', 'w', 'b', ...(sum ? ['z'] : [])],
            outputs: ['y'],
            attributes: {
              activation,
              ...(activation_params && { activation_params }),
              ...(options.same
                ? { auto_pad: 'SAME_UPPER', strides: [2, 2] }
                : { pads: [...taps, ...taps].map(() => 1) }),
              ...(options.strides && { strides: [2, 1], dilations: [1, 2] }),
              kernel_shape: taps,
              group: groups,
            },
          },
        ],
        inputs: { x: floats([2, channels, ...spatial]), ...(sum && { z: floats([2, out, 6, 7]) }) },
        initializers: { w: floats([out, channels / groups, ...taps]), b: floats([out]) },
        outputs: { y: 'f32' },
      };
    });
  }
  images(add, composed);
  matrices(add);
}

/** Operators on images with channels last, and GridSample. */
function images(add, composed) {
  const transposed = (x, y, perm) => ({
    op: 'Transpose',
    inputs: [x],
    outputs: [y],
    attributes: { perm },
  });
  for (const [name, attributes, withBias] of [
    ['', { kernel_shape: [3, 3], pads: [1, 0, 1, 2] }, true],
    ['_groups', { group: 2, strides: [2, 1] }, true],
    ['_same', { strides: [2, 1], auto_pad: 'SAME_LOWER' }, false],
    ['_dilated', { dilations: [1, 2] }, false],
  ]) {
    const groups = attributes.group ?? 1;
    composed(
      `nhwc_conv${name}`,
      'NhwcConv',
      () => ({
        x: floats([2, 7, 8, 4]),
        w: floats([6, 4 / groups, 3, 3]),
        ...(withBias && { b: floats([6]) }),
      }),
      [
        transposed('x', 'first', [0, 3, 1, 2]),
        {
          op: 'Conv',
          inputs: ['first', 'w', ...(withBias ? ['b'] : [])],
          outputs: ['conv'],
          attributes,
        },
        transposed('conv', 'y', [0, 2, 3, 1]),
      ],
      attributes,
    );
  }
  for (const [name, last, activation] of [
    ['', 1, 0],
    ['_silu', 1, 1],
    ['_channels_first', 0, 1],
  ]) {
    const groups = 3;
    const list = (key, dims) => ({
      op: 'Constant',
      inputs: [],
      outputs: [key],
      attributes: { value_ints: dims },
    });
    composed(
      `group_norm${name}`,
      'GroupNorm',
      () => ({
        x: floats(last ? [2, 4, 5, 6] : [2, 6, 4, 5], 3),
        gamma: scales([6], 1),
        beta: floats([6]),
      }),
      [
        last
          ? transposed('x', 'first', [0, 3, 1, 2])
          : { op: 'Identity', inputs: ['x'], outputs: ['first'] },
        list('grouped', [0, groups, -1]),
        list('apart', [2, 6, 4, 5]),
        list('column', [-1, 1, 1]),
        {
          op: 'Constant',
          inputs: [],
          outputs: ['ones'],
          attributes: { value_floats: { floats: [1, 1, 1] } },
        },
        {
          op: 'Constant',
          inputs: [],
          outputs: ['zeros'],
          attributes: { value_floats: { floats: [0, 0, 0] } },
        },
        { op: 'Reshape', inputs: ['first', 'grouped'], outputs: ['groups'] },
        {
          op: 'InstanceNormalization',
          inputs: ['groups', 'ones', 'zeros'],
          outputs: ['normal'],
          attributes: { epsilon: { float: 1e-4 } },
        },
        { op: 'Reshape', inputs: ['normal', 'apart'], outputs: ['channels'] },
        { op: 'Reshape', inputs: ['gamma', 'column'], outputs: ['scale'] },
        { op: 'Reshape', inputs: ['beta', 'column'], outputs: ['shift'] },
        { op: 'Mul', inputs: ['channels', 'scale'], outputs: ['scaled'] },
        { op: 'Add', inputs: ['scaled', 'shift'], outputs: ['sum'] },
        { op: 'Sigmoid', inputs: ['sum'], outputs: ['gate'] },
        {
          op: activation ? 'Mul' : 'Max',
          inputs: activation ? ['sum', 'gate'] : ['sum'],
          outputs: ['all'],
        },
        last
          ? transposed('all', 'y', [0, 2, 3, 1])
          : { op: 'Identity', inputs: ['all'], outputs: ['y'] },
      ],
      { activation, channels_last: last, epsilon: { float: 1e-4 }, groups },
    );
  }
  for (const [mode, padding_mode, align_corners] of [
    ['bilinear', 'zeros', 0],
    ['bilinear', 'border', 1],
    ['nearest', 'reflection', 0],
    ['bicubic', 'zeros', 1],
    ['bicubic', 'reflection', 0],
  ]) {
    add(`grid_sample_${mode}_${padding_mode}`, () => ({
      nodes: [
        {
          op: 'GridSample',
          domain,
          inputs: ['x', 'grid'],
          outputs: ['y'],
          attributes: { mode, padding_mode, align_corners },
        },
      ],
      inputs: { x: floats([2, 3, 5, 6]), grid: floats([2, 4, 3, 2], 1.3) },
      outputs: { y: 'f32' },
    }));
  }
}

/** Inverse, Trilu and Unique. */
function matrices(add) {
  for (const [name, dims, dtype] of [
    ['1', [3, 1, 1], 'f32'],
    ['2', [2, 2, 2, 2], 'f32'],
    ['3', [4, 3, 3], 'f32'],
    ['4', [4, 4], 'f32'],
    ['19', [2, 19, 19], 'f32'],
    ['40', [40, 40], 'f32'],
    ['double', [3, 5, 5], 'f64'],
    ['half', [2, 4, 4], 'f16'],
  ]) {
    add(`inverse_${name}`, () => {
      const n = dims.at(-1);
      // Large elements at a rotated diagonal: a pivot has to be looked for.
      const x = tensor(dtype, dims, (i) => {
        const [row, column] = [Math.floor(i / n) % n, i % n];
        const small = integer(-100, 100) / 100;
        return (column + 2) % n === row ? 3 + small + n / 8 : small / 2;
      });
      return {
        nodes: [{ op: 'Inverse', domain, inputs: ['x'], outputs: ['y'] }],
        inputs: { x },
        outputs: { y: dtype },
      };
    });
  }
  for (const [name, dtype, upper, k] of [
    ['upper', 'f32', 1],
    ['lower', 'f32', 0, 1],
    ['upper_i64', 'i64', 1, -2],
    ['lower_f64', 'f64', 0, -1],
    ['default_bool', 'bool', undefined, 1],
  ]) {
    add(`trilu_${name}`, () => {
      const node = {
        op: 'Trilu',
        inputs: ['x', ...(k === undefined ? [] : ['k'])],
        outputs: ['y'],
        attributes: upper === undefined ? {} : { upper },
      };
      const dims = [2, 4, 5];
      return {
        nodes: [{ ...node, domain }],
        // ONNX Runtime's CPU has fewer types in its own domain.
        ...(dtype === 'bool' && { reference: [node] }),
        inputs: {
          x: dtype.startsWith('f') ? floats(dims, 1, dtype) : integers(dtype, dims, 0, 1),
        },
        initializers: k === undefined ? {} : { k: tensor('i64', [], () => k) },
        outputs: { y: dtype },
      };
    });
  }
  add('unique', () => ({
    nodes: [{ op: 'Unique', domain, inputs: ['x'], outputs: ['y', 'which', 'count'] }],
    inputs: { x: tensor('f32', [24], () => integer(-4, 4) / 2) },
    outputs: { y: 'f32', which: 'i64', count: 'i64' },
  }));
  add('unique_one', () => ({
    nodes: [{ op: 'Unique', domain, inputs: ['x'], outputs: ['y', 'which', 'count'] }],
    inputs: { x: floats([1]) },
    outputs: { y: 'f32', which: 'i64', count: 'i64' },
  }));
}
