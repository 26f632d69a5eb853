// Weights of few bits in blocks: MatMulNBits, GatherBlockQuantized.

import { chance, floats, integer, integers, pick, scales, tensor } from './random.mjs';

const domain = 'com.microsoft';

export function blocks(add) {
  for (const bits of [2, 4, 8]) {
    for (const rows of [1, 3, 40]) {
      for (const zero of ['none', 'packed', 'float']) {
        if (zero === 'float' && bits !== 4) continue;
        add(`matmul_nbits_${bits}_rows${rows}_${zero}`, () => {
          const block = pick(16, 32, 64);
          const k = block * integer(1, 4) - (chance() ? 0 : 4 * integer(0, 2));
          const n = integer(3, 40);
          const count = Math.ceil(k / block);
          const withBias = chance();
          const initializers = {
            b: integers('u8', [n, count, (block * bits) / 8]),
            scales: scales([n, count], 0.05),
          };
          if (zero === 'packed') {
            initializers.zero = integers('u8', [n, Math.ceil((count * bits) / 8)]);
          } else if (zero === 'float') {
            initializers.zero = tensor('f32', [n, count], () => integer(0, 2 ** bits - 1));
          }
          if (withBias) initializers.bias = floats([n]);
          return {
            nodes: [
              {
                op: 'MatMulNBits',
                domain,
                inputs: [
                  ...['a', 'b', 'scales', zero === 'none' ? '' : 'zero', ''],
                  withBias ? 'bias' : '',
                ],
                outputs: ['y'],
                attributes: { K: k, N: n, bits, block_size: block, accuracy_level: 1 },
              },
            ],
            inputs: { a: floats(rows === 40 ? [2, 20, k] : [rows, k]) },
            initializers,
            outputs: { y: 'f32' },
          };
        });
      }
    }
  }
  for (const [name, options] of [
    ['block16_half', { block: 16, bits: 4, dtype: 'f16', packed: true }],
    ['block128', { block: 128, bits: 4, packed: true }],
    ['block256', { block: 256, bits: 8 }],
    ['block256_packed', { block: 256, bits: 4, packed: true, rows: 7 }],
    ['block32_half_8', { block: 32, bits: 8, dtype: 'f16', rows: 9 }],
    ['group_index', { block: 32, bits: 4, order: true, rows: 3 }],
    ['group_index_zero', { block: 16, bits: 4, order: true, zeros: true }],
    ['vector', { block: 32, bits: 4, vector: true }],
  ]) {
    add(`matmul_nbits_${name}`, () => {
      const { block, bits } = options;
      const type = options.dtype ?? 'f32';
      const k = block * 2;
      const n = integer(8, 24);
      const count = k / block;
      const named = (key, given) => (given ? key : '');
      return {
        nodes: [
          {
            op: 'MatMulNBits',
            domain,
            inputs: [
              ...['a', 'b', 'scales', named('zero', options.packed || options.zeros)],
              ...(options.order ? ['order'] : []),
            ],
            outputs: ['y'],
            attributes: { K: k, N: n, bits, block_size: block },
          },
        ],
        inputs: { a: floats(options.vector ? [k] : [options.rows ?? 1, k], 1, type) },
        initializers: {
          b: integers('u8', [n, count, (block * bits) / 8]),
          scales: scales([n, count], 0.05, type),
          ...(options.packed && { zero: integers('u8', [n, Math.ceil((count * bits) / 8)]) }),
          ...(options.zeros && { zero: tensor('f32', [n, count], () => integer(0, 15)) }),
          // Which block's scale each row of the matrix has.
          ...(options.order && { order: integers('i32', [k], 0, count - 1) }),
        },
        outputs: { y: type },
      };
    });
  }
  for (const bits of [2, 4, 8]) {
    add(`gather_block_quantized_${bits}`, () => {
      const [rows, block] = [integer(3, 9), pick(16, 32)];
      const width = block * integer(1, 3);
      const count = width / block;
      const withZero = chance();
      return {
        nodes: [
          {
            op: 'GatherBlockQuantized',
            domain,
            inputs: ['data', 'ids', 'scales', ...(withZero ? ['zero'] : [])],
            outputs: ['y'],
            attributes: { bits, block_size: block, gather_axis: 0, quantize_axis: 1 },
          },
        ],
        inputs: { ids: integers('i64', [2, 3], -rows, rows - 1) },
        initializers: {
          data: integers('u8', [rows, (width * bits) / 8]),
          scales: scales([rows, count]),
          ...(withZero && { zero: integers('u8', [rows, Math.ceil((count * bits) / 8)]) }),
        },
        outputs: { y: 'f32' },
      };
    });
  }
  for (const [name, options] of [
    ['u4', { dtype: 'u4', zero: true, axes: [0, 2] }],
    ['i4', { dtype: 'i4', axes: [0, 2] }],
    ['u4_axis', { dtype: 'u4', zero: true, axes: [1, 0] }],
    ['i4_middle', { dtype: 'i4', zero: true, axes: [0, 1], index: 'i32' }],
    ['u4_last', { dtype: 'u4', axes: [-1, 0], scalar: true }],
    ['half', { dtype: 'u8', zero: true, axes: [0, -1], type: 'f16' }],
  ]) {
    add(`gather_block_quantized_${name}`, () => {
      const [gather, along] = options.axes.map((axis) => (axis + 3) % 3);
      const dims = [3, 4, 6];
      dims[along] = 32;
      const scaleDims = dims.map((d, i) => (i === along ? d / 16 : d));
      const packed = (shape) =>
        options.dtype === 'u8' ? [...shape.slice(0, -1), Math.ceil(shape.at(-1) / 2)] : shape;
      const type = options.type ?? 'f32';
      return {
        opset: 21,
        nodes: [
          {
            op: 'GatherBlockQuantized',
            domain,
            inputs: ['data', 'ids', 'scales', ...(options.zero ? ['zero'] : [])],
            outputs: ['y'],
            attributes: {
              bits: 4,
              block_size: 16,
              gather_axis: options.axes[0],
              quantize_axis: options.axes[1],
            },
          },
        ],
        inputs: {
          ids: integers(options.index ?? 'i64', options.scalar ? [] : [2, 2], -2, dims[gather] - 1),
        },
        initializers: {
          data: integers(options.dtype, packed(dims)),
          scales: scales(scaleDims, 0.1, type),
          ...(options.zero && { zero: integers(options.dtype, packed(scaleDims)) }),
        },
        outputs: { y: type },
      };
    });
  }
}
