// Activations, normalisations, fused products and convolutions of com.microsoft.

import { chance, floats, integer, pick, scales } from './random.mjs';

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

  const size = () => pick(5, 16, 68);
  add('simplified_layer_normalization', () => {
    const n = size();
    return {
      nodes: [
        {
          op: 'SimplifiedLayerNormalization',
          inputs: ['x', 'scale'],
          outputs: ['y'],
          attributes: { axis: -1, epsilon: { float: 1e-3 }, stash_type: 1 },
        },
      ],
      inputs: { x: floats([2, 3, n], 3), scale: scales([n], 1) },
      outputs: { y: 'f32' },
    };
  });
  for (const [name, op, extra, names] of [
    ['skip_layer_normalization', 'SkipLayerNormalization', { beta: 1, bias: 1 }],
    ['skip_layer_normalization_plain', 'SkipLayerNormalization', {}],
    ['skip_layer_normalization_bias', 'SkipLayerNormalization', { bias: 1 }, ['', 'bias']],
    ['skip_simplified_layer_normalization', 'SkipSimplifiedLayerNormalization', { bias: 1 }],
    ['skip_simplified_layer_normalization_plain', 'SkipSimplifiedLayerNormalization', {}],
  ]) {
    add(name, () => {
      const n = size();
      const rows = [integer(1, 3), integer(1, 4)];
      const inputs = {
        x: floats([...rows, n], 3),
        skip: floats(chance() ? [...rows, n] : [1, rows[1], n], 3),
        gamma: scales([n], 1),
      };
      for (const key of Object.keys(extra)) inputs[key] = floats([n]);
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
        outputs: { y: 'f32', sum: 'f32' },
      };
    });
  }
  for (const withMask of [false, true]) {
    add(`embed_layer_normalization${withMask ? '_mask' : ''}`, () => {
      const [batch, length, n] = [2, integer(2, 6), size()];
      const ids = (most) => ({
        dtype: 'i32',
        dims: [batch, length],
        data: Int32Array.from({ length: batch * length }, () => integer(0, most)),
      });
      const inputs = {
        ids: ids(10),
        segments: ids(1),
        ...(withMask && { mask: ids(1), positions: ids(7) }),
      };
      return {
        nodes: [
          {
            op: 'EmbedLayerNormalization',
            domain,
            inputs: [
              ...['ids', 'segments', 'words', 'places', 'kinds', 'gamma', 'beta'],
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
          kinds: floats([2, n]),
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
  for (const [activation, activation_params] of [
    ['Relu'],
    ['Clip', { floats: [-0.5, 0.5] }],
    ['HardSigmoid', { floats: [0.3, 0.4] }],
  ]) {
    add(`fused_conv_${activation.toLowerCase()}`, () => {
      const [channels, out] = [integer(1, 5), integer(1, 5)];
      const sum = activation === 'Relu';
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
              pads: [1, 1, 1, 1],
              kernel_shape: [3, 3],
            },
          },
        ],
        inputs: { x: floats([2, channels, 6, 7]), ...(sum && { z: floats([2, out, 6, 7]) }) },
        initializers: { w: floats([out, channels, 3, 3]), b: floats([out]) },
        outputs: { y: 'f32' },
      };
    });
  }
}
