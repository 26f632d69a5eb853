import { run, randoms, randint, check, finish } from './device.mjs';

const sigmoid = (x) => 1 / (1 + Math.exp(-x));

for (let round = 0; round < 14; round++) {
  const H = [8, 5, 16, 37, 128][round % 5],
    S = randint(1, 4),
    B = randint(1, 3),
    D = randint(1, 2);
  const reverse = D === 1 ? round % 2 : 0;
  const layout = round % 3 === 0 ? 1 : 0;
  const AUX = Number(round % 4 !== 3),
    PEEPHOLES = AUX === 1 && round % 4 === 1,
    LENGTHS = AUX === 1 && round % 4 === 2;
  const UNITS = round % 3 === 2 ? Math.max(1, Math.floor(H / 3)) : H;
  const stepwise = UNITS !== H;
  const H0 = round % 2,
    C0 = round % 2,
    YH = 1,
    YC = 1,
    Y = 1;
  const gx = randoms(D * S * B * 4 * H),
    r = randoms(D * 4 * H * H).map((v) => v * 0.5);
  const lengths = Array.from({ length: B }, () => (LENGTHS ? randint(0, S) : S));
  const aux = Float32Array.from([...randoms(D * 8 * H), ...randoms(D * 3 * H), ...lengths]);
  const h0 = randoms(D * B * H),
    c0 = randoms(D * B * H);
  const y = new Float32Array(S * D * B * H).fill(9),
    y_h = new Float32Array(D * B * H).fill(9),
    y_c = y_h.slice();
  const gxRow = (d, t, b) => d * S * B + (layout ? b * S + t : t * B + b);
  const yRow = (d, t, b) => (layout ? (b * S + t) * D + d : (t * D + d) * B + b);
  const sRow = (d, b) => (layout ? b * D + d : d * B + b);
  const wy = y.slice().fill(0),
    wh = y_h.slice(),
    wc = y_c.slice();
  for (let d = 0; d < D; d++)
    for (let b = 0; b < B; b++) {
      let h = H0 ? h0.slice(sRow(d, b) * H, sRow(d, b) * H + H) : new Float32Array(H);
      let c = C0 ? c0.slice(sRow(d, b) * H, sRow(d, b) * H + H) : new Float32Array(H);
      for (let s = 0; s < lengths[b]; s++) {
        const t = d === 1 || reverse ? lengths[b] - 1 - s : s;
        const g = (k, u, cc) => {
          const row = k * H + u;
          let v = gx[gxRow(d, t, b) * 4 * H + row];
          for (let q = 0; q < H; q++) v += r[(d * 4 * H + row) * H + q] * h[q];
          if (AUX) v += aux[d * 8 * H + row] + aux[d * 8 * H + 4 * H + row];
          if (PEEPHOLES && k < 3) v += aux[D * 8 * H + (d * 3 + k) * H + u] * cc;
          return v;
        };
        const nh = new Float32Array(H),
          nc = new Float32Array(H);
        for (let u = 0; u < H; u++) {
          const i = sigmoid(g(0, u, c[u])),
            f = sigmoid(g(2, u, c[u])),
            cc = Math.tanh(g(3, u, 0));
          nc[u] = f * c[u] + i * cc;
          nh[u] = sigmoid(g(1, u, nc[u])) * Math.tanh(nc[u]);
        }
        h = nh;
        c = nc;
        wy.set(h, yRow(d, t, b) * H);
      }
      wh.set(h, sRow(d, b) * H);
      wc.set(c, sRow(d, b) * H);
    }
  const config = { HIDDEN: H, UNITS, WG: 64, PEEPHOLES, LENGTHS, AUX, H0, C0, Y, YH, YC };
  const params = {
    steps: S,
    batch: B,
    first_direction: 0,
    direction_count: D,
    reverse,
    gx_direction: S * B,
    gx_step: layout ? 1 : B,
    gx_batch: layout ? S : 1,
    y_direction: layout ? 1 : B,
    y_step: layout ? D : D * B,
    y_batch: layout ? S * D : 1,
    state_direction: layout ? 1 : B,
    state_batch: layout ? D : 1,
    peepholes_at: D * 8 * H,
    lengths_at: D * 11 * H,
    clip: 3e38,
    alpha_f: 0,
    beta_f: 0,
    alpha_g: 0,
    beta_g: 0,
    alpha_h: 0,
    beta_h: 0,
  };
  const groups = Math.ceil(H / UNITS) * B * D;
  const data = { gx, r, aux, h0, c0, y, y_h, y_c };
  if (stepwise) {
    for (let s = 0; s < S; s++)
      await run('lstm', config, data, { ...params, step: s, step_end: s + 1 }, [groups]);
  } else await run('lstm', config, data, { ...params, step: 0, step_end: S }, [groups]);
  const title = JSON.stringify({
    H,
    S,
    B,
    D,
    reverse,
    layout,
    AUX,
    PEEPHOLES,
    LENGTHS,
    UNITS,
    lengths,
  });
  check('lstm y ' + title, y, wy);
  check('lstm y_h ' + title, y_h, wh);
  check('lstm y_c ' + title, y_c, wc);
}
finish('lstm');
