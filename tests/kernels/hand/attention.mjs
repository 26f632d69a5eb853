import { run, randoms, randint, pick, check, finish } from './device.mjs';

for (let round = 0; round < 16; round++) {
  const HEAD = pick([8, 16, 4, 64]),
    HEAD_V = pick([8, 16, 4, 64]);
  const B = randint(1, 2),
    Hkv = randint(1, 2),
    group = randint(1, 2),
    H = Hkv * group;
  const [BQ, BK, LANES, ROWS] = pick([
    [16, 32, 8, 2],
    [8, 16, 8, 1],
    [8, 32, 16, 4],
    [1, 32, 32, 1],
  ]);
  const S = randint(1, 40),
    K = randint(1, 70);
  const MASK = Number(round % 2),
    MASK_BOOL = round % 4 === 1,
    causal = Number(round % 3 === 0);
  const SOFTCAP = round % 5 === 4;
  const offset = causal ? randint(0, 3) : 0;
  const q = randoms(B * H * S * HEAD).map((x) => 3 * x),
    k = randoms(B * Hkv * K * HEAD),
    v = randoms(B * Hkv * K * HEAD_V);
  const perHead = randint(0, 1);
  const mask = randoms((perHead ? H : 1) * S * K).map((x) =>
    MASK_BOOL ? Number(x > 0.3) : x < -0.5 ? -Infinity : x,
  );
  if (MASK) mask.fill(MASK_BOOL ? 0 : -Infinity, 0, K);
  const empty = pick([0, NaN]);
  const y = new Float32Array(B * H * S * HEAD_V),
    want = y.slice();
  const scale = 0.7,
    cap = 2;
  for (let b = 0; b < B; b++)
    for (let h = 0; h < H; h++)
      for (let i = 0; i < S; i++) {
        const w = [];
        const kv = b * Hkv + Math.floor(h / group);
        for (let j = 0; j < K; j++) {
          let s = 0;
          for (let d = 0; d < HEAD; d++)
            s += q[((b * H + h) * S + i) * HEAD + d] * k[(kv * K + j) * HEAD + d];
          s *= scale;
          if (SOFTCAP) s = cap * Math.tanh(s / cap);
          if (MASK) {
            const m = mask[(perHead * h * S + i) * K + j];
            s = MASK_BOOL ? (m ? s : -Infinity) : s + m;
          }
          if (causal && j > i + offset) s = -Infinity;
          w.push(s);
        }
        const top = Math.max(...w);
        const e = w.map((s) => (top === -Infinity ? 0 : Math.exp(s - top)));
        const sum = e.reduce((a, x) => a + x, 0);
        for (let d = 0; d < HEAD_V; d++) {
          let o = 0;
          for (let j = 0; j < K; j++) o += e[j] * v[(kv * K + j) * HEAD_V + d];
          want[((b * H + h) * S + i) * HEAD_V + d] = sum === 0 ? empty : o / sum;
        }
      }
  const blocks = Math.ceil(S / BQ),
    total = blocks * B * H;
  await run(
    'fused_attention',
    { HEAD, HEAD_V, BQ, BK, LANES, ROWS, MASK, MASK_BOOL, SOFTCAP },
    { q, k, v, mask, y },
    {
      batch: B,
      heads: H,
      group,
      queries: S,
      keys: K,
      blocks,
      causal,
      causal_offset: offset,
      mask_batch: 0,
      mask_head: perHead * S * K,
      mask_query: K,
      mask_key: 1,
      scale,
      softcap: cap,
      empty_row: empty,
    },
    total > 3 ? [3, Math.ceil(total / 3)] : [total],
  );
  check(
    `attention ${JSON.stringify({ HEAD, HEAD_V, B, H, group, S, K, BQ, BK, LANES, MASK, MASK_BOOL, causal, SOFTCAP })}`,
    y,
    want,
  );
}
finish('attention');
