import { run, randoms, randint, pick, check, finish } from './device.mjs';

for (let round = 0; round < 20; round++) {
  const s = {
    batch: randint(1, 2),
    groups: randint(1, 2),
    in_channels: randint(1, 9),
    out_channels: randint(1, 40),
    KH: randint(1, 4),
    KW: randint(1, 4),
    SH: randint(1, 3),
    SW: randint(1, 3),
    h: randint(1, 6),
    w: randint(1, 7),
    pad_h: randint(0, 1),
    pad_w: randint(0, 2),
    extra: randint(0, 1),
  };
  s.out_h = Math.max(1, (s.h - 1) * s.SH + s.KH + s.extra - 2 * s.pad_h);
  s.out_w = Math.max(1, (s.w - 1) * s.SW + s.KW + s.extra - s.pad_w);
  const { KH, KW, SH, SW, groups: G, in_channels: C, out_channels: M } = s;
  const x = randoms(s.batch * G * C * s.h * s.w),
    w = randoms(G * C * M * KH * KW);
  const BIAS = round % 2,
    b = randoms(G * M);
  const want = new Float32Array(s.batch * G * M * s.out_h * s.out_w);
  for (let n = 0; n < s.batch; n++)
    for (let g = 0; g < G; g++)
      for (let m = 0; m < M; m++) {
        const plane = ((n * G + g) * M + m) * s.out_h;
        for (let c = 0; c < C; c++)
          for (let h = 0; h < s.h; h++)
            for (let v = 0; v < s.w; v++)
              for (let i = 0; i < KH; i++)
                for (let j = 0; j < KW; j++) {
                  const oh = h * SH + i - s.pad_h,
                    ow = v * SW + j - s.pad_w;
                  if (oh < 0 || oh >= s.out_h || ow < 0 || ow >= s.out_w) continue;
                  want[(plane + oh) * s.out_w + ow] +=
                    x[(((n * G + g) * C + c) * s.h + h) * s.w + v] *
                    w[(((g * C + c) * M + m) * KH + i) * KW + j];
                }
        if (BIAS)
          for (let i = 0; i < s.out_h * s.out_w; i++) want[plane * s.out_w + i] += b[g * M + m];
      }
  const y = new Float32Array(want.length).fill(9);
  const config = {
    ...pick([
      { WM: 16, WN: 16 },
      { WM: 8, WN: 8 },
      { WM: 4, WN: 16 },
    ]),
    KH,
    KW,
    SH,
    SW,
    BIAS,
  };
  const n = Math.ceil(s.out_h / SH) * Math.ceil(s.out_w / SW);
  const tiles_m = Math.ceil(M / (config.WM * 4)),
    tiles_n = Math.ceil(n / (config.WN * 4));
  const total = tiles_m * tiles_n * s.batch * G * SH * SW;
  await run(
    'conv_transpose',
    config,
    { x, w, b, y },
    {
      in_channels: C,
      out_channels: M,
      groups: G,
      batch: s.batch,
      tiles_m,
      tiles_n,
      h: s.h,
      w: s.w,
      out_h: s.out_h,
      out_w: s.out_w,
      pad_h: s.pad_h,
      pad_w: s.pad_w,
    },
    total > 5 ? [5, Math.ceil(total / 5)] : [total],
  );
  check(`conv_transpose ${JSON.stringify(s)}`, y, want);
}
finish('conv_transpose');
