// Cases of bench/kernels.mjs: an operator, its tensors, what it computes and moves, and what some
// elements of its output have to be.

import { bytes, floats, fromHalf, halves, numberAt } from './values.mjs';

const product = (dims) => dims.reduce((a, b) => a * b, 1);
const tensor = (dtype, dims, scale) => ({
  dtype,
  dims,
  data: (dtype === 'f16' ? halves : floats)(product(dims), scale),
});
const f16 = (x) => (x === 'f16' ? ' f16' : '');

/** m x k times k x n; the second is a weight. */
function matmul(m, k, n, dtype, name = `matmul ${m}x${k}x${n}${f16(dtype)}`) {
  return {
    name,
    flops: 2 * m * k * n,
    make() {
      const a = tensor(dtype, [m, k]);
      const b = tensor(dtype, [k, n], 1 / 16);
      const at = (i) => {
        const [row, column] = [Math.floor(i / n), i % n];
        let sum = 0;
        for (let j = 0; j < k; ++j) {
          sum += numberAt(a.data, row * k + j) * numberAt(b.data, j * n + column);
        }
        return sum;
      };
      return { op: 'MatMul', inputs: { a }, weights: { b }, output: [dtype, [m, n]], at };
    },
  };
}

function conv({ batch, channels, size, kernel, dtype = 'f32' }) {
  const dims = [batch, channels, size, size];
  return {
    name: `conv ${kernel}x${kernel} ${channels} channels ${size}x${size} batch ${batch}${f16(dtype)}`,
    flops: 2 * product(dims) * channels * kernel * kernel,
    make() {
      const x = tensor(dtype, dims);
      const w = tensor(dtype, [channels, channels, kernel, kernel], 1 / 16);
      const pad = (kernel - 1) / 2;
      const at = (i) => {
        const column = i % size;
        const row = Math.floor(i / size) % size;
        const channel = Math.floor(i / size ** 2) % channels;
        const image = Math.floor(i / size ** 2 / channels);
        let sum = 0;
        for (let c = 0; c < channels; ++c) {
          for (let ky = 0; ky < kernel; ++ky) {
            for (let kx = 0; kx < kernel; ++kx) {
              const [y, x_] = [row + ky - pad, column + kx - pad];
              if (y < 0 || x_ < 0 || y >= size || x_ >= size) continue;
              const from = ((image * channels + c) * size + y) * size + x_;
              const weight = ((channel * channels + c) * kernel + ky) * kernel + kx;
              sum += numberAt(x.data, from) * numberAt(w.data, weight);
            }
          }
        }
        return sum;
      };
      const attributes = { pads: [pad, pad, pad, pad], kernel_shape: [kernel, kernel] };
      return {
        ...{ op: 'Conv', attributes, inputs: { x }, weights: { w } },
        ...{ output: [dtype, dims], at },
      };
    },
  };
}

/** Abramowitz and Stegun 7.1.26 is not enough: a series and a continued fraction. */
function erf(x) {
  const z = Math.abs(x);
  let sum = z;
  let term = z;
  for (let n = 1; n < 60; ++n) sum += ((term *= (-z * z) / n), term / (2 * n + 1));
  return (Math.sign(x) * 2 * sum) / Math.sqrt(Math.PI);
}

function elementwise(op, rows, width, dtype = 'f32') {
  const dims = [rows, width];
  return {
    name: `${op.toLowerCase()} ${rows}x${width}${f16(dtype)}`,
    make() {
      const a = tensor(dtype, dims, 3);
      if (op === 'Gelu') {
        const at = (i) => {
          const x = numberAt(a.data, i);
          return (x / 2) * (1 + erf(x / Math.SQRT2));
        };
        return { op, inputs: { a }, output: [dtype, dims], at };
      }
      const b = tensor(dtype, dims, 2);
      const at = (i) => numberAt(a.data, i) + numberAt(b.data, i);
      return { op, inputs: { a, b }, output: [dtype, dims], at };
    },
  };
}

function softmax(rows, width) {
  return {
    name: `softmax ${rows}x${width}`,
    make() {
      const a = tensor('f32', [rows, width], 4);
      const at = (i) => {
        const row = a.data.subarray(i - (i % width), i - (i % width) + width);
        const most = row.reduce((m, x) => Math.max(m, x), -Infinity);
        return Math.exp(a.data[i] - most) / row.reduce((sum, x) => sum + Math.exp(x - most), 0);
      };
      return {
        op: 'Softmax',
        attributes: { axis: -1 },
        inputs: { a },
        output: ['f32', a.dims],
        at,
      };
    },
  };
}

function layerNorm(rows, width) {
  return {
    name: `layer norm ${rows}x${width}`,
    make() {
      const a = tensor('f32', [rows, width], 4);
      const scale = tensor('f32', [width]);
      const bias = tensor('f32', [width]);
      const at = (i) => {
        const row = a.data.subarray(i - (i % width), i - (i % width) + width);
        const mean = row.reduce((sum, x) => sum + x, 0) / width;
        const variance = row.reduce((sum, x) => sum + (x - mean) ** 2, 0) / width;
        const unit = (a.data[i] - mean) / Math.sqrt(variance + 1e-5);
        return unit * scale.data[i % width] + bias.data[i % width];
      };
      return {
        ...{ op: 'LayerNormalization', attributes: { axis: -1, epsilon: { float: 1e-5 } } },
        ...{ inputs: { a }, weights: { scale, bias }, output: ['f32', a.dims], at },
      };
    },
  };
}

function transpose(dims, perm) {
  return {
    name: `transpose (${perm}) of ${dims.join('x')}`,
    make() {
      const a = tensor('f32', dims);
      const to = perm.map((axis) => dims[axis]);
      const at = (i) => {
        const index = [];
        let rest = i;
        for (let axis = to.length - 1; axis >= 0; rest = Math.floor(rest / to[axis--])) {
          index[perm[axis]] = rest % to[axis];
        }
        return a.data[index.reduce((sum, n, axis) => sum * dims[axis] + n, 0)];
      };
      return { op: 'Transpose', attributes: { perm }, inputs: { a }, output: ['f32', to], at };
    },
  };
}

function attention({ tokens, heads, size, causal = false, queries = tokens, dtype = 'f16' }) {
  const what = causal ? 'causal attention' : 'attention';
  return {
    name: `${what} ${queries === tokens ? '' : `${queries} of `}${tokens} tokens ${heads} heads of ${size}${f16(dtype)}`,
    flops: (4 * heads * queries * tokens * size) / (causal ? 2 : 1),
    make() {
      const q = tensor(dtype, [1, heads, queries, size], 2);
      const k = tensor(dtype, [1, heads, tokens, size], 2);
      const v = tensor(dtype, [1, heads, tokens, size]);
      const at = (i) => {
        const head = Math.floor(i / size / queries);
        const query = Math.floor(i / size) % queries;
        const seen = causal ? query + 1 : tokens;
        let [sum, weights] = [0, 0];
        for (let t = 0; t < seen; ++t) {
          let score = 0;
          for (let c = 0; c < size; ++c) {
            const key = numberAt(k.data, (head * tokens + t) * size + c);
            score += numberAt(q.data, (head * queries + query) * size + c) * key;
          }
          const weight = Math.exp(score / Math.sqrt(size));
          weights += weight;
          sum += weight * numberAt(v.data, (head * tokens + t) * size + (i % size));
        }
        return sum / weights;
      };
      return {
        ...{ op: 'Attention', attributes: causal ? { is_causal: 1 } : {}, inputs: { q, k, v } },
        ...{ output: [dtype, q.dims], at, samples: 8 },
      };
    },
  };
}

/** A row of k times a matrix of n columns in blocks of 32 with a scale each. */
function matmulNBits(bits, m, k, n) {
  return {
    name: `${m === 1 ? 'matrix-vector' : `matmul ${m}x`} ${k}x${n} ${bits}-bit`,
    flops: 2 * m * k * n,
    make() {
      const block = 32;
      const a = tensor('f16', [m, k]);
      const packed = bytes((n * k * bits) / 8);
      const b = { dtype: 'u8', dims: [n, k / block, (block * bits) / 8], data: packed };
      const scales = tensor('f16', [(n * k) / block], 1 / 64);
      const at = (i) => {
        const [row, column] = [Math.floor(i / n), i % n];
        let sum = 0;
        for (let j = 0; j < k; ++j) {
          const element = column * k + j;
          const byte = packed[(element * bits) >> 3];
          const code = bits === 8 ? byte : (byte >> ((element & 1) * 4)) & 15;
          const scale = fromHalf(scales.data[Math.floor(element / block)]);
          sum += numberAt(a.data, row * k + j) * (code - (1 << (bits - 1))) * scale;
        }
        return sum;
      };
      return {
        ...{ op: 'MatMulNBits', domain: 'com.microsoft', inputs: { a }, weights: { b, scales } },
        ...{ attributes: { K: k, N: n, bits, block_size: block }, output: ['f16', [m, n]], at },
      };
    },
  };
}

/** Products of such sizes in f32: `128x768x3072`, several by commas. */
export const productCases = (sizes) =>
  sizes
    .split(',')
    .filter(Boolean)
    .map((size) => matmul(...size.split('x').map(Number), 'f32'));

/** All cases; `small`: of sizes that a software GPU can do. */
export function kernelCases(small) {
  const edge = small ? 128 : 4096;
  const elements = small ? 1 << 16 : 1 << 26; // 256 MB of f32
  const widths = small ? [768, 5027] : [768, 4096, 50257];
  const rows = (width) => Math.floor(elements / width);
  const decode = small
    ? [[128, 256]]
    : [
        [2048, 2048],
        [2048, 8192],
        [8192, 2048],
        [2048, 128256],
      ];
  return [
    matmul(edge, edge, edge, 'f32'),
    matmul(edge, edge, edge, 'f16'),
    matmul(small ? 32 : 512, edge / 2, edge, 'f32'),
    conv({ batch: small ? 1 : 8, channels: small ? 16 : 256, size: small ? 14 : 56, kernel: 3 }),
    conv({ batch: small ? 1 : 8, channels: small ? 16 : 256, size: small ? 14 : 56, kernel: 1 }),
    ...widths.map((width) => elementwise('Add', rows(width), width)),
    ...widths.map((width) => elementwise('Gelu', rows(width), width)),
    ...widths.map((width) => softmax(rows(width), width)),
    ...widths.map((width) => layerNorm(rows(width), width)),
    transpose(small ? [2, 100, 130] : [16, 2048, 2048], [0, 2, 1]),
    transpose(small ? [2, 16, 20, 30] : [64, 256, 64, 64], [0, 2, 3, 1]),
    transpose(small ? [2, 20, 6, 16] : [8, 2048, 64, 64], [0, 2, 1, 3]),
    attention({ tokens: small ? 64 : 4096, heads: small ? 2 : 32, size: 64 }),
    attention({ tokens: small ? 64 : 4096, heads: small ? 2 : 32, size: 64, causal: true }),
    attention({ tokens: small ? 64 : 4096, heads: small ? 2 : 32, size: 64, queries: 1 }),
    ...[
      [1024, 12],
      [1500, 6],
      [512, 12],
      [197, 12],
      [128, 12],
    ].map(([tokens, heads]) =>
      attention({ tokens: small ? 64 : tokens, heads: small ? 2 : heads, size: 64, dtype: 'f32' }),
    ),
    ...decode.map(([k, n]) => matmul(1, k, n, 'f16', `matrix-vector ${k}x${n} f16`)),
    ...decode.map(([k, n]) => matmulNBits(4, 1, k, n)),
    ...decode.map(([k, n]) => matmulNBits(8, 1, k, n)),
    matmulNBits(4, small ? 16 : 512, small ? 128 : 2048, small ? 256 : 8192),
  ];
}
