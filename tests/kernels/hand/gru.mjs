import { run, randoms, randint, check, finish } from './device.mjs';

const sigmoid = (x) => 1 / (1 + Math.exp(-x));

for (let round = 0; round < 18; round++) {
  const kind = round % 3 === 2 ? 'rnn' : 'gru',
    G = kind === 'gru' ? 3 : 1;
  const H = [8, 5, 16, 37, 128][round % 5],
    S = randint(1, 4),
    B = randint(1, 3),
    D = randint(1, 2);
  const LINEAR = round % 2 === 1,
    reverse = D === 1 ? round % 2 : 0;
  const AUX = Number(round % 4 !== 3),
    LENGTHS = AUX === 1 && round % 4 === 2;
  const UNITS = round % 3 > 0 && (LINEAR || G === 1) ? Math.max(1, Math.floor(H / 3)) : H;
  const H0 = round % 2;
  const gx = randoms(D * S * B * G * H),
    r = randoms(D * G * H * H).map((v) => v * 0.5);
  const lengths = Array.from({ length: B }, () => (LENGTHS ? randint(0, S) : S));
  const aux = Float32Array.from([...randoms(D * 2 * G * H), ...randoms(D * 3 * H), ...lengths]);
  const h0 = randoms(D * B * H),
    y = new Float32Array(S * D * B * H).fill(9),
    y_h = new Float32Array(D * B * H).fill(9);
  const wy = y.slice().fill(0),
    wh = y_h.slice();
  for (let d = 0; d < D; d++)
    for (let b = 0; b < B; b++) {
      let h = H0 ? h0.slice((d * B + b) * H, (d * B + b + 1) * H) : new Float32Array(H);
      for (let s = 0; s < lengths[b]; s++) {
        const t = d === 1 || reverse ? lengths[b] - 1 - s : s;
        const x = (k, u) =>
          gx[((d * S + t) * B + b) * G * H + k * H + u] +
          (AUX ? aux[d * 2 * G * H + k * H + u] : 0);
        const hr = (k, u, from) => {
          let v = AUX ? aux[d * 2 * G * H + (G + k) * H + u] : 0;
          for (let q = 0; q < H; q++) v += r[(d * G * H + k * H + u) * H + q] * from[q];
          return v;
        };
        const next = new Float32Array(H);
        if (G === 1) for (let u = 0; u < H; u++) next[u] = Math.tanh(x(0, u) + hr(0, u, h));
        else {
          const z = [],
            rh = [],
            rr = [];
          for (let u = 0; u < H; u++) {
            z.push(sigmoid(x(0, u) + hr(0, u, h)));
            rr.push(sigmoid(x(1, u) + hr(1, u, h)));
            rh.push(rr[u] * h[u]);
          }
          for (let u = 0; u < H; u++) {
            const n = Math.tanh(x(2, u) + (LINEAR ? rr[u] * hr(2, u, h) : hr(2, u, rh)));
            next[u] = (1 - z[u]) * n + z[u] * h[u];
          }
        }
        h = next;
        wy.set(h, ((t * D + d) * B + b) * H);
      }
      wh.set(h, (d * B + b) * H);
    }
  const config = { HIDDEN: H, UNITS, WG: 64, LENGTHS, LINEAR, AUX, H0, Y: 1, YH: 1 };
  if (G === 1) delete config.LINEAR;
  const params = {
    steps: S,
    batch: B,
    first_direction: 0,
    direction_count: D,
    reverse,
    gx_direction: S * B,
    gx_step: B,
    gx_batch: 1,
    y_direction: B,
    y_step: D * B,
    y_batch: 1,
    state_direction: B,
    state_batch: 1,
    peepholes_at: D * 2 * G * H,
    lengths_at: D * (2 * G + 3) * H,
    clip: 3e38,
    alpha_f: 0,
    beta_f: 0,
    ...(G === 3 ? { alpha_g: 0, beta_g: 0 } : {}),
  };
  const groups = Math.ceil(H / UNITS) * B * D,
    data = { gx, r, aux, h0, y, y_h };
  for (let s = 0; s < S; s += UNITS === H ? S : 1)
    await run(kind, config, data, { ...params, step: s, step_end: UNITS === H ? S : s + 1 }, [
      groups,
    ]);
  const title = JSON.stringify({ kind, H, S, B, D, LINEAR, reverse, AUX, LENGTHS, UNITS, lengths });
  check('y ' + title, y, wy);
  check('y_h ' + title, y_h, wh);
}
finish('gru');
