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
}
