import { run, randoms, randint, pick, check, finish } from './device.mjs';

for (let round = 0; round < 16; round++) {
  const [WG, LANES] = pick([
    [64, 1],
    [64, 8],
    [64, 64],
    [256, 256],
  ]);
  const inner = pick([1, 1, 3, 7]),
    length = pick([1, 5, 64, 300]),
    outer = randint(1, 30);
  const x = randoms(outer * length * inner).map((v) => v * 20);
  const LOG = round % 2 === 1;
  const want = new Float32Array(x.length);
  for (let o = 0; o < outer; o++)
    for (let q = 0; q < inner; q++) {
      const at = (i) => (o * length + i) * inner + q;
      let top = -Infinity,
        sum = 0;
      for (let i = 0; i < length; i++) top = Math.max(top, x[at(i)]);
      for (let i = 0; i < length; i++) sum += Math.exp(x[at(i)] - top);
      for (let i = 0; i < length; i++)
        want[at(i)] = LOG ? x[at(i)] - top - Math.log(sum) : Math.exp(x[at(i)] - top) / sum;
    }
  const y = new Float32Array(x.length);
  const rows = outer * inner,
    total = Math.ceil(rows / (WG / LANES));
  await run(
    'softmax',
    { WG, LANES, LOG },
    { x, y },
    { rows, length, inner },
    total > 3 ? [3, Math.ceil(total / 3)] : [total],
  );
  check(`softmax ${JSON.stringify({ WG, LANES, LOG, inner, length, outer })}`, y, want);
}
for (let round = 0; round < 16; round++) {
  const [WG, LANES] = pick([
    [64, 8],
    [64, 64],
    [256, 256],
  ]);
  const rows = randint(1, 40),
    length = pick([4, 12, 64, 300]);
  const RMS = round % 3 === 2,
    SCALE = Number(round % 2 === 0),
    BIAS = Number(round % 4 === 0),
    MEAN = Number(!RMS),
    INV = 1;
  const divisor = pick([1, 2, length]),
    group_rows = pick([1, 3]),
    group_step = pick([1, 2]);
  const x = randoms(rows * length).map((v) => v + 3),
    scale = randoms(length + 9),
    b = randoms(length + 9);
  const y = new Float32Array(x.length),
    mean = new Float32Array(rows),
    inv_std_dev = new Float32Array(rows);
  const want = y.slice(),
    wm = mean.slice(),
    wi = mean.slice();
  for (let r = 0; r < rows; r++) {
    const row = x.subarray(r * length, r * length + length);
    const m = RMS ? 0 : row.reduce((s, v) => s + v, 0) / length;
    wm[r] = m;
    wi[r] = 1 / Math.sqrt(row.reduce((s, v) => s + (v - m) ** 2, 0) / length + 1e-5);
    for (let i = 0; i < length; i++) {
      const at = (r % group_rows) * group_step + Math.floor(i / divisor);
      want[r * length + i] = (row[i] - m) * wi[r] * (SCALE ? scale[at] : 1) + (BIAS ? b[at] : 0);
    }
  }
  const total = Math.ceil(rows / (WG / LANES));
  await run(
    'layer_normalization',
    { WG, LANES, RMS, SCALE, BIAS, MEAN, INV },
    { x, scale, b, y, mean, inv_std_dev },
    { rows, length, group_rows, group_step, divisor, epsilon: 1e-5 },
    [total],
  );
  check('norm', y, want);
  if (MEAN) check('norm mean', mean, wm);
  check('norm inverse', inv_std_dev, wi);
}
finish('norm');
