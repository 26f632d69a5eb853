// Times of the large kernels: node bench.mjs (on a real GPU: QUERN_GPU=1).
import { run, randoms, getDevice } from './device.mjs';

await getDevice();
async function time(title, work, unit, name, config, data, params, groups, runs = 20) {
  try {
    await run(name, config, data, params, groups);
    const s = await run(name, config, data, params, groups, runs);
    console.log(
      `${title.padEnd(46)} ${(s * 1e3).toFixed(3)} ms  ${((work / s) * 1e-9).toFixed(0)} ${unit}`,
    );
  } catch (e) {
    console.log(title, String(e.message).slice(0, 200));
  }
}
const split = (n) =>
  n > 65535 ? [Math.ceil(n / Math.ceil(n / 65535)), Math.ceil(n / 65535)] : [n];

async function matmul(m, n, k, c, b_t = false) {
  const config = { A_T: false, B_T: b_t, VEC_A: true, VEC_B: !b_t, BIAS: 0, ...c };
  const tiles_m = Math.ceil(m / (c.WM * c.TM)),
    tiles_n = Math.ceil(n / (c.WN * 4));
  await time(
    `matmul ${m}x${n}x${k} ${JSON.stringify(c)}${b_t ? ' b_t' : ''}`,
    2 * m * n * k,
    'GFLOP/s',
    'matmul',
    config,
    { a: randoms(m * k), b: randoms(k * n), y: new Float32Array(m * n) },
    {
      m,
      n,
      k,
      tiles_m,
      tiles_n,
      batch: 1,
      batch1: 1,
      batch2: 1,
      a_batch0: 0,
      a_batch1: 0,
      a_batch2: 0,
      a_row: k,
      a_col: 1,
      b_batch0: 0,
      b_batch1: 0,
      b_batch2: 0,
      b_row: b_t ? 1 : n,
      b_col: b_t ? k : 1,
      a_start: 0,
      b_start: 0,
      y_start: 0,
      alpha: 1,
      beta: 0,
      c_row: 0,
      c_col: 0,
    },
    split(tiles_m * tiles_n),
  );
}
const configs = process.env.QUICK
  ? [
      { WM: 16, WN: 16, TM: 4, TK: 16 },
      { WM: 8, WN: 8, TM: 4, TK: 16 },
      { WM: 8, WN: 16, TM: 8, TK: 16 },
      { WM: 16, WN: 16, TM: 8, TK: 16 },
      { WM: 8, WN: 8, TM: 8, TK: 16 },
    ]
  : [
      { WM: 16, WN: 16, TM: 4, TK: 16 },
      { WM: 16, WN: 16, TM: 8, TK: 16 },
      { WM: 8, WN: 16, TM: 8, TK: 16 },
      { WM: 8, WN: 8, TM: 4, TK: 16 },
      { WM: 8, WN: 8, TM: 4, TK: 32 },
      { WM: 16, WN: 16, TM: 4, TK: 32 },
      { WM: 8, WN: 16, TM: 8, TK: 32 },
      { WM: 16, WN: 8, TM: 8, TK: 16 },
      { WM: 8, WN: 8, TM: 8, TK: 16 },
      { WM: 8, WN: 32, TM: 8, TK: 16 },
    ];
for (const c of configs) await matmul(1024, 1024, 1024, c);
for (const c of configs) await matmul(128, 3072, 768, c);
for (const c of configs) await matmul(4096, 4096, 1024, c);
for (const c of [configs[0], configs[2], configs[3]]) await matmul(1024, 1024, 1024, c, true);

async function matvec(n, k, b_t, c) {
  const tiles_n = Math.ceil(n / (c.CQ * 4));
  await time(
    `matvec ${n}x${k} ${JSON.stringify(c)}${b_t ? ' b_t' : ''}`,
    4 * n * k,
    'GB/s',
    'matvec',
    { ROWS: 1, B_T: b_t, VEC_A: b_t, VEC_B: true, BIAS: 0, ...c },
    { a: randoms(k), b: randoms(k * n), y: new Float32Array(n) },
    {
      m: 1,
      n,
      k,
      tiles_n,
      batch: 1,
      batch1: 1,
      batch2: 1,
      a_batch0: 0,
      a_batch1: 0,
      a_batch2: 0,
      a_row: k,
      a_col: 1,
      b_batch0: 0,
      b_batch1: 0,
      b_batch2: 0,
      b_row: b_t ? 1 : n,
      b_col: b_t ? k : 1,
      a_start: 0,
      b_start: 0,
      y_start: 0,
      alpha: 1,
      beta: 0,
      c_row: 0,
      c_col: 0,
      y_row: n,
      y_col: 1,
    },
    [tiles_n],
  );
}
for (const c of [
  { CQ: 16, SLICES: 16 },
  { CQ: 8, SLICES: 32 },
  { CQ: 4, SLICES: 64 },
])
  await matvec(4096, 4096, false, c);
for (const c of [
  { CQ: 4, SLICES: 64 },
  { CQ: 1, SLICES: 64 },
  { CQ: 2, SLICES: 32 },
])
  await matvec(4096, 4096, true, c);

async function conv(C, M, H, K, c) {
  const n = H * H,
    tiles_m = Math.ceil(M / (c.WM * (c.TM ?? 4))),
    tiles_n = Math.ceil(n / (c.WN * 4));
  await time(
    `conv ${C}->${M} ${H}x${H} k${K} ${JSON.stringify(c)}`,
    2 * C * M * K * K * n,
    'GFLOP/s',
    'conv',
    { KH: K, KW: K, VEC_A: true, BIAS: 1, ...c },
    { x: randoms(C * n), w: randoms(M * C * K * K), b: randoms(M), y: new Float32Array(M * n) },
    {
      in_channels: C,
      out_channels: M,
      groups: 1,
      batch: 1,
      tiles_m,
      tiles_n,
      h: H,
      w: H,
      out_h: H,
      out_w: H,
      stride_h: 1,
      stride_w: 1,
      dilation_h: 1,
      dilation_w: 1,
      pad_h: (K - 1) / 2,
      pad_w: (K - 1) / 2,
    },
    split(tiles_m * tiles_n),
  );
}
for (const c of [
  { WM: 16, WN: 16 },
  { WM: 8, WN: 16, TM: 8 },
  { WM: 8, WN: 8 },
])
  await conv(64, 64, 160, 3, c);
for (const c of [
  { WM: 16, WN: 16 },
  { WM: 8, WN: 8 },
  { WM: 4, WN: 16 },
])
  await conv(16, 16, 320, 3, c);

async function attention(B, H, S, D, c) {
  const q = randoms(B * H * S * D),
    blocks = Math.ceil(S / c.BQ);
  await time(
    `attention ${B}x${H}x${S}x${D} ${JSON.stringify(c)}`,
    4 * B * H * S * S * D,
    'GFLOP/s',
    'fused_attention',
    { HEAD: D, HEAD_V: D, MASK: 0, ...c },
    { q, k: q, v: q, y: new Float32Array(q.length) },
    {
      batch: B,
      heads: H,
      group: 1,
      queries: S,
      keys: S,
      blocks,
      causal: 0,
      causal_offset: 0,
      mask_batch: 0,
      mask_head: 0,
      mask_query: 0,
      mask_key: 0,
      scale: 0.125,
      softcap: 0,
      empty_row: 0,
    },
    split(blocks * B * H),
    10,
  );
}
for (const c of [
  { BQ: 16, BK: 32, LANES: 8, ROWS: 1 },
  { BQ: 16, BK: 32, LANES: 8, ROWS: 2 },
  { BQ: 32, BK: 16, LANES: 8, ROWS: 2 },
  { BQ: 32, BK: 16, LANES: 8, ROWS: 4 },
  { BQ: 16, BK: 32, LANES: 8, ROWS: 4 },
  { BQ: 16, BK: 32, LANES: 16, ROWS: 2 },
  { BQ: 16, BK: 32, LANES: 16, ROWS: 4 },
  { BQ: 16, BK: 16, LANES: 8, ROWS: 2 },
])
  await attention(1, 12, 1024, 64, c);
for (const c of [{ BQ: 1, BK: 32, LANES: 32, ROWS: 1 }]) await attention(32, 12, 1, 64, c);

async function rowKernel(rows_, length, WG, LANES) {
  const x = randoms(rows_ * length);
  const g = split(Math.ceil(rows_ / (WG / LANES)));
  await time(
    `softmax ${rows_}x${length} ${WG}/${LANES}`,
    8 * x.length,
    'GB/s',
    'softmax',
    { WG, LANES, LOG: false },
    { x, y: x.slice() },
    { rows: rows_, length, inner: 1 },
    g,
  );
}
for (const [w, l] of [
  [64, 8],
  [64, 64],
  [256, 256],
])
  await rowKernel(12288, 1024, w, l);
for (const [w, l] of [
  [64, 8],
  [64, 64],
])
  await rowKernel(49152, 64, w, l);

for (const [UNITS, WG] of [
  [128, 256],
  [64, 256],
  [32, 128],
  [16, 64],
  [8, 64],
]) {
  const H = 128;
  await time(
    `lstm 128, 1 step, ${UNITS} units, WG ${WG}`,
    8 * H * H,
    'GFLOP/s',
    'lstm',
    { HIDDEN: H, UNITS, WG, AUX: 1, H0: 1, C0: 1, Y: 1, YH: 1, YC: 1 },
    {
      gx: randoms(4 * H),
      r: randoms(4 * H * H),
      aux: randoms(8 * H),
      h0: randoms(H),
      c0: randoms(H),
      y: randoms(H),
      y_h: randoms(H),
      y_c: randoms(H),
    },
    {
      steps: 1,
      batch: 1,
      step: 0,
      step_end: 1,
      first_direction: 0,
      direction_count: 1,
      reverse: 0,
      gx_direction: 1,
      gx_step: 1,
      gx_batch: 1,
      y_direction: 1,
      y_step: 1,
      y_batch: 1,
      state_direction: 1,
      state_batch: 1,
      peepholes_at: 0,
      lengths_at: 0,
      clip: 3e38,
      alpha_f: 0,
      beta_f: 0,
      alpha_g: 0,
      beta_g: 0,
      alpha_h: 0,
      beta_h: 0,
    },
    [H / UNITS],
    100,
  );
}
process.exit(0);
