import { run, randoms, randint, pick, check, finish } from './device.mjs';

export function reference(s, x, w, b) {
  const C = s.in_channels,
    M = s.out_channels,
    G = s.groups;
  const y = new Float32Array(s.batch * G * M * s.out_h * s.out_w);
  let o = 0;
  for (let n = 0; n < s.batch; n++)
    for (let m = 0; m < G * M; m++)
      for (let oh = 0; oh < s.out_h; oh++)
        for (let ow = 0; ow < s.out_w; ow++) {
          let sum = b ? b[m] : 0;
          const g = Math.floor(m / M);
          for (let c = 0; c < C; c++)
            for (let i = 0; i < s.KH; i++)
              for (let j = 0; j < s.KW; j++) {
                const h = oh * s.stride_h - s.pad_h + i * s.dilation_h;
                const v = ow * s.stride_w - s.pad_w + j * s.dilation_w;
                if (h < 0 || h >= s.h || v < 0 || v >= s.w) continue;
                sum +=
                  x[((n * G * C + g * C + c) * s.h + h) * s.w + v] *
                  w[((m * C + c) * s.KH + i) * s.KW + j];
              }
          y[o++] = sum;
        }
  return y;
}

for (let round = 0; round < 36; round++) {
  const kind = ['conv', 'conv_narrow', 'depthwise'][round % 3];
  const s = {
    batch: randint(1, 2),
    groups: kind === 'depthwise' ? randint(2, 6) : randint(1, 3),
    in_channels: kind === 'depthwise' ? 1 : randint(1, 9),
    out_channels: kind === 'depthwise' ? randint(1, 2) : randint(1, 40),
    KH: randint(1, 3),
    KW: randint(1, 4),
    stride_h: randint(1, 2),
    stride_w: randint(1, 3),
    dilation_h: randint(1, 2),
    dilation_w: randint(1, 2),
    pad_h: randint(0, 2),
    pad_w: randint(0, 2),
    out_h: randint(1, kind === 'conv_narrow' ? 3 : 9),
    out_w: randint(1, kind === 'conv_narrow' ? 3 : 9),
  };
  s.h = Math.max(1, (s.out_h - 1) * s.stride_h + (s.KH - 1) * s.dilation_h + 1 - s.pad_h);
  s.w = Math.max(1, (s.out_w - 1) * s.stride_w + (s.KW - 1) * s.dilation_w + 1 - s.pad_w);
  const x = randoms(s.batch * s.groups * s.in_channels * s.h * s.w);
  const k = s.in_channels * s.KH * s.KW;
  const w = randoms(s.groups * s.out_channels * k);
  const BIAS = round % 2;
  const b = BIAS ? randoms(s.groups * s.out_channels) : null;
  const want = reference(s, x, w, b);
  const y = new Float32Array(want.length);
  const { KH, KW, batch, groups, in_channels, out_channels, ...geometry } = s;
  const config = { KH, KW, BIAS };
  let params;
  let total;
  const n = s.out_h * s.out_w;
  if (kind === 'depthwise') {
    const quads = Math.ceil(s.out_w / 4);
    params = {
      total: (y.length / s.out_w) * quads,
      channels: groups * out_channels,
      multiplier: out_channels,
      quads,
    };
    total = Math.ceil(params.total / 64);
  } else if (kind === 'conv_narrow') {
    params = { in_channels, out_channels, groups, batch, quads: Math.ceil(n / 4) };
    total = batch * groups * out_channels * params.quads;
  } else {
    Object.assign(
      config,
      pick([
        { WM: 16, WN: 16 },
        { WM: 8, WN: 8 },
        { WM: 4, WN: 16 },
      ]),
      { VEC_A: k % 4 === 0 },
    );
    params = {
      in_channels,
      out_channels,
      groups,
      batch,
      tiles_m: Math.ceil(out_channels / (config.WM * 4)),
      tiles_n: Math.ceil(n / (config.WN * 4)),
    };
    total = params.tiles_m * params.tiles_n * batch * groups;
  }
  const split = total > 5 ? [5, Math.ceil(total / 5)] : [total];
  await run(kind, config, { x, w, b, y }, { ...params, ...geometry }, split);
  check(`${kind} ${JSON.stringify(s)}`, y, want);
}
finish('conv');
