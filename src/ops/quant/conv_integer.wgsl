// Convolution of 8-bit integers less their zero points, exact: as conv.wgsl, with sums over SEGMENT
// steps of the depth in f32, which holds them exactly, added up in i32 (see matmul_integer.wgsl).
const WM = 16u; //@config
const WN = 16u; //@config
const TM = 4u; //@config
const TN4 = 1u;
const TK = 16u;
const PARTS = 1u;
const KH = 3u; //@config
const KW = 3u; //@config
const VEC_A = false; //@config
const A_T = false; const B_T = false;
const SEGMENT = 256u;
//@use gemm_tile
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
//#if X_ZERO
@group(0) @binding(2) var<storage, read> x_zero: array<f32>;
//#endif
//#if W_ZERO
@group(0) @binding(3) var<storage, read> w_zero: array<f32>;
//#endif
@group(0) @binding(4) var<storage, read_write> y: array<i32>;
struct Params {
  in_channels: u32, out_channels: u32, groups: u32, batch: u32, tiles_m: u32, tiles_n: u32,
  h: u32, w: u32, out_h: u32, out_w: u32, stride_h: u32, stride_w: u32,
  dilation_h: u32, dilation_w: u32, pad_h: u32, pad_w: u32, w_zero_step: u32,
}
@group(0) @binding(5) var<uniform> params: Params;

fn load_x(i: u32) -> f32 { return x[i]; } //@load x
fn load_w(i: u32) -> f32 { return w[i]; } //@load w
fn load4_w(i: u32) -> vec4f { return vec4f(w[i * 4u], w[i * 4u + 1u], w[i * 4u + 2u], w[i * 4u + 3u]); } //@load4 w
//#if X_ZERO
fn load_x_zero(i: u32) -> f32 { return x_zero[i]; } //@load x_zero
//#endif
//#if W_ZERO
fn load_w_zero(i: u32) -> f32 { return w_zero[i]; } //@load w_zero
//#endif
fn store_y(i: u32, v: i32) { y[i] = v; } //@store y

var<private> x_base: u32;
var<private> w_base: u32;
var<private> first_channel: u32;
var<private> segment: u32;
// The window origins of this invocation's four columns; far outside for columns past the end.
var<private> origin_h: vec4i;
var<private> origin_w: vec4i;

fn depth() -> u32 { return params.in_channels * KH * KW; }

fn tile_a(row: u32, in_segment: u32) -> vec4f {
  var v = vec4f();
  let k = segment + in_segment;
  if (row >= params.out_channels || k >= depth()) { return v; }
  var zero = 0.0;
  //#if W_ZERO
  zero = load_w_zero((first_channel + row) * params.w_zero_step);
  //#endif
  let i = w_base + row * depth() + k;
  if (VEC_A) { return load4_w(i / 4u) - zero; }
  v.x = load_w(i) - zero;
  if (k + 1u < depth()) { v.y = load_w(i + 1u) - zero; }
  if (k + 2u < depth()) { v.z = load_w(i + 2u) - zero; }
  if (k + 3u < depth()) { v.w = load_w(i + 3u) - zero; }
  return v;
}

fn tile_b(in_segment: u32, col: u32) -> vec4f {
  var v = vec4f();
  let k = segment + in_segment;
  if (k >= depth()) { return v; }
  var zero = 0.0;
  //#if X_ZERO
  zero = load_x_zero(0u);
  //#endif
  let tap = k % (KH * KW);
  let h = origin_h + i32(tap / KW * params.dilation_h);
  let w = origin_w + i32(tap % KW * params.dilation_w);
  let inside = (h >= vec4i()) & (h < vec4i(i32(params.h))) & (w >= vec4i()) & (w < vec4i(i32(params.w)));
  let i = x_base + k / (KH * KW) * params.h * params.w + vec4u(h) * params.w + vec4u(w);
  if (inside.x) { v.x = load_x(i.x) - zero; }
  if (inside.y) { v.y = load_x(i.y) - zero; }
  if (inside.z) { v.z = load_x(i.z) - zero; }
  if (inside.w) { v.w = load_x(i.w) - zero; }
  return v;
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) count: vec3u,
        @builtin(local_invocation_index) lid: u32) {
  let number = wid.x + wid.y * count.x;
  let tile_n = number % params.tiles_n;
  let tile_m = number / params.tiles_n % params.tiles_m;
  let block = number / params.tiles_n / params.tiles_m;
  if (block >= params.batch * params.groups) { return; }
  first_channel = block % params.groups * params.out_channels;
  x_base = block * params.in_channels * params.h * params.w;
  w_base = first_channel * depth();
  let positions = params.out_h * params.out_w;
  let col = tile_n * BN + lid % WN * 4u;
  let cols = vec4u(col, col + 1u, col + 2u, col + 3u);
  origin_h = vec4i(cols / params.out_w * params.stride_h) - i32(params.pad_h);
  origin_h = select(vec4i(-1073741824), origin_h, cols < vec4u(positions));
  origin_w = vec4i(cols % params.out_w * params.stride_w) - i32(params.pad_w);
  var total: array<vec4i, TM>;
  let end = params.in_channels * KH * KW;
  for (var k = 0u; k < end; k += SEGMENT) {
    var acc = array<vec4f, TM>();
    segment = k;
    gemm_tile(lid, tile_m * BM, tile_n * BN, 0u, min(end - k, SEGMENT), &acc);
    for (var i = 0u; i < TM; i++) { total[i] += vec4i(acc[i]); }
  }
  for (var i = 0u; i < TM; i++) {
    let row = tile_m * BM + lid / WN * TM + i;
    if (row >= params.out_channels) { continue; }
    let at = (block * params.out_channels + row) * positions + col;
    for (var j = 0u; j < 4u && col + j < positions; j++) { store_y(at + j, total[i][j]); }
  }
}
