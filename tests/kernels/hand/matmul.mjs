import { run, randoms, randint, pick, check, finish } from './device.mjs';

function reference(g, a, b, c) {
  const y = new Float32Array(g.batch.reduce((n, x) => n * x.size, 1) * g.m * g.n);
  const total = y.length / (g.m * g.n);
  for (let z = 0; z < total; z++) {
    let at_a = 0;
    let at_b = 0;
    let rest = z;
    for (const x of [...g.batch].reverse()) {
      at_a += (rest % x.size) * x.a;
      at_b += (rest % x.size) * x.b;
      rest = Math.floor(rest / x.size);
    }
    for (let i = 0; i < g.m; i++)
      for (let j = 0; j < g.n; j++) {
        let s = 0;
        for (let k = 0; k < g.k; k++)
          s += a[at_a + i * g.a_row + k * g.a_col] * b[at_b + k * g.b_row + j * g.b_col];
        s *= g.alpha;
        if (c) s += g.beta * c[i * g.c_row + j * g.c_col];
        y[(z * g.m + i) * g.n + j] = s;
      }
  }
  return y;
}

async function one(kind, config, g, title) {
  const size = (key) =>
    Math.max(
      1,
      g.batch.reduce((n, x) => n * (x[key] ? x.size : 1), 1),
    );
  const a = randoms(size('a') * g.m * g.k);
  const b = randoms(size('b') * g.k * g.n);
  const c = config.BIAS ? randoms(g.m * g.n) : null;
  const want = reference(g, a, b, c);
  const y = new Float32Array(want.length);
  const batch = [...g.batch];
  while (batch.length < 3) batch.unshift({ size: 1, a: 0, b: 0 });
  const count = batch.reduce((n, x) => n * x.size, 1);
  const params = {
    m: g.m,
    n: g.n,
    k: g.k,
    batch: count,
    batch1: batch[1].size,
    batch2: batch[2].size,
    a_batch0: batch[0].a,
    a_batch1: batch[1].a,
    a_batch2: batch[2].a,
    a_row: g.a_row,
    a_col: g.a_col,
    b_batch0: batch[0].b,
    b_batch1: batch[1].b,
    b_batch2: batch[2].b,
    b_row: g.b_row,
    b_col: g.b_col,
    a_start: 0,
    b_start: 0,
    y_start: 0,
    alpha: g.alpha,
    beta: g.beta,
    c_row: g.c_row,
    c_col: g.c_col,
  };
  let groups;
  if (kind === 'matvec') {
    params.tiles_n = Math.ceil(g.n / (config.CQ * 4));
    params.y_row = g.n;
    params.y_col = 1;
    groups = params.tiles_n * count;
  } else {
    params.tiles_m = Math.ceil(g.m / (config.WM * config.TM));
    params.tiles_n = Math.ceil(g.n / (config.WN * 4));
    groups = params.tiles_m * params.tiles_n * count;
  }
  const split = groups > 7 ? [7, Math.ceil(groups / 7)] : [groups];
  await run(kind, config, { a, b, c, y }, params, split);
  check(`${title} ${JSON.stringify(config)} ${JSON.stringify(g)}`, y, want);
}

for (let round = 0; round < 40; round++) {
  const vec = round % 3 === 0;
  const q = vec ? 4 : 1;
  const kind = round % 2 ? 'matvec' : 'matmul';
  const m = kind === 'matvec' ? randint(1, 4) : randint(1, 90);
  const n = randint(1, 90 / q) * q;
  const k = randint(1, 90 / q) * q;
  const A_T = !vec && kind === 'matmul' && round % 5 === 0;
  const B_T = round % 4 < 2;
  const batch = [];
  if (round % 7 === 0) batch.push({ size: 2, a: m * k, b: 0 }, { size: 3, a: 0, b: k * n });
  if (round % 7 === 1) batch.push({ size: 3, a: m * k, b: k * n });
  const BIAS = round % 3 === 1;
  const g = {
    m,
    n,
    k,
    batch,
    a_row: A_T ? 1 : k,
    a_col: A_T ? m : 1,
    b_row: B_T ? 1 : n,
    b_col: B_T ? k : 1,
    alpha: BIAS ? 0.5 : 1,
    beta: 2,
    c_row: pick([0, n]),
    c_col: pick([0, 1]),
  };
  const config =
    kind === 'matvec'
      ? {
          ROWS: m === 1 ? 1 : 4,
          B_T,
          VEC_A: vec && B_T,
          VEC_B: vec,
          BIAS: Number(BIAS),
          ...(B_T ? { CQ: 4, SLICES: 64 } : { CQ: 16, SLICES: 16 }),
        }
      : {
          ...pick([
            { WM: 16, WN: 16, TM: 4 },
            { WM: 8, WN: 8, TM: 4 },
          ]),
          A_T,
          B_T,
          VEC_A: vec,
          VEC_B: vec && !B_T,
          BIAS: Number(BIAS),
        };
  await one(kind, config, g, kind);
}
finish('matmul');
