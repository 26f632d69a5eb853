// Transposed convolution without dilation. The output positions whose index plus pad leaves the
// same remainder by the strides (a phase) meet the same taps, so each phase is a matrix product:
// rows are a group's output channels, columns the phase's positions, the depth runs over input
// channel and the phase's taps. Workgroup number (x, then y): column tile, row tile, phase, group,
// batch, the first fastest.
const WM = 16u; //@config
const WN = 16u; //@config
const TM = 4u; //@config
const TN4 = 1u;
const TK = 16u;
const PARTS = 1u;
const KH = 2u; //@config
const KW = 2u; //@config
const SH = 2u; //@config
const SW = 2u; //@config
const A_T = true;
const B_T = false;
//@use gemm_tile
const TH = (KH + SH - 1u) / SH;
const TW = (KW + SW - 1u) / SW;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
//#if BIAS
@group(0) @binding(2) var<storage, read> b: array<f32>;
fn load_b(i: u32) -> f32 { return b[i]; } //@load b
//#endif
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
struct Params {
  in_channels: u32, out_channels: u32, groups: u32, batch: u32, tiles_m: u32, tiles_n: u32,
  h: u32, w: u32, out_h: u32, out_w: u32, pad_h: u32, pad_w: u32,
}
@group(0) @binding(4) var<uniform> params: Params;

fn load_x(i: u32) -> f32 { return x[i]; } //@load x
fn load_w(i: u32) -> f32 { return w[i]; } //@load w
fn store_y(i: u32, v: f32) { y[i] = v; } //@store y

var<private> x_base: u32;
var<private> w_base: u32;
var<private> phase: vec2u;
// The input position that tap 0 of the phase meets, for this invocation's four columns.
var<private> origin_h: vec4i;
var<private> origin_w: vec4i;

fn depth() -> u32 { return params.in_channels * TH * TW; }

fn weight(row: u32, k: u32) -> f32 {
  let kh = phase.x + k / TW % TH * SH;
  let kw = phase.y + k % TW * SW;
  if (k >= depth() || kh >= KH || kw >= KW) { return 0.0; }
  return load_w(((w_base + k / (TH * TW)) * params.out_channels + row) * KH * KW + kh * KW + kw);
}
fn tile_a(row: u32, k: u32) -> vec4f {
  if (row >= params.out_channels) { return vec4f(); }
  return vec4f(weight(row, k), weight(row, k + 1u), weight(row, k + 2u), weight(row, k + 3u));
}

fn tile_b(k: u32, col: u32) -> vec4f {
  var v = vec4f();
  if (k >= depth()) { return v; }
  let h = origin_h - i32(k / TW % TH);
  let w = origin_w - i32(k % TW);
  let inside = (h >= vec4i()) & (h < vec4i(i32(params.h))) & (w >= vec4i()) & (w < vec4i(i32(params.w)));
  let i = (x_base + k / (TH * TW)) * params.h * params.w + vec4u(h) * params.w + vec4u(w);
  if (inside.x) { v.x = load_x(i.x); }
  if (inside.y) { v.y = load_x(i.y); }
  if (inside.z) { v.z = load_x(i.z); }
  if (inside.w) { v.w = load_x(i.w); }
  return v;
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) count: vec3u,
        @builtin(local_invocation_index) lid: u32) {
  let number = wid.x + wid.y * count.x;
  let tile_n = number % params.tiles_n;
  let tile_m = number / params.tiles_n % params.tiles_m;
  let part = number / params.tiles_n / params.tiles_m;
  let block = part / (SH * SW);
  if (block >= params.batch * params.groups) { return; }
  let group = block % params.groups;
  phase = vec2u(part / SW % SH, part % SW);
  x_base = block * params.in_channels;
  w_base = group * params.in_channels;
  // Positions of the phase along each axis: first + i * stride, i < size.
  let stride = vec2u(SH, SW);
  let pad = vec2u(params.pad_h, params.pad_w);
  let quotient = select(vec2u(), (pad - phase + stride - 1u) / stride, pad > phase);
  let first = quotient * stride + phase - pad;
  let size = (max(vec2u(params.out_h, params.out_w), first) - first + stride - 1u) / stride;
  let col = tile_n * BN + lid % WN * 4u;
  let cols = vec4u(col, col + 1u, col + 2u, col + 3u);
  let across = max(size.y, 1u);
  let rows_at = cols / across;
  let cols_at = cols % across;
  origin_h = select(vec4i(-1073741824), vec4i(rows_at + quotient.x), rows_at < vec4u(size.x));
  origin_w = select(vec4i(-1073741824), vec4i(cols_at + quotient.y), cols_at < vec4u(size.y));
  var acc: array<vec4f, TM>;
  gemm_tile(lid, tile_m * BM, tile_n * BN, 0u, depth(), &acc);
  for (var i = 0u; i < TM; i++) {
    let row = tile_m * BM + lid / WN * TM + i;
    if (row >= params.out_channels) { continue; }
    var start = 0.0;
    //#if BIAS
    start = load_b(group * params.out_channels + row);
    //#endif
    let plane = (block * params.out_channels + row) * params.out_h;
    for (var j = 0u; j < 4u; j++) {
      if (origin_h[j] < 0 || origin_w[j] < 0) { continue; }
      let at = (plane + first.x + rows_at[j] * SH) * params.out_w + first.y + cols_at[j] * SW;
      store_y(at, acc[i][j] + start);
    }
  }
}
