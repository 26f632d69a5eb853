// Convolution as a matrix product: rows are a group's output channels, columns output positions,
// the depth runs over input channel, kernel row, kernel column. Workgroup number (x, then y):
// column tile, row tile, group, batch, slice of the depth, the first fastest. Of several slices
// each has a y of its own, one after the other.
const WM = 16u; //@config
const WN = 16u; //@config
const TM = 4u; //@config
const TN4 = 1u; //@config
const TK = 16u; //@config
const PARTS = 1u; //@config
const KH = 3u; //@config
const KW = 3u; //@config
const VEC_A = false; //@config
const A_T = false;
const B_T = false;
//@use gemm_tile

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
//#if BIAS
@group(0) @binding(2) var<storage, read> b: array<f32>;
//#endif
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
struct Params {
  in_channels: u32, out_channels: u32, groups: u32, batch: u32, tiles_m: u32, tiles_n: u32,
  h: u32, w: u32, out_h: u32, out_w: u32, stride_h: u32, stride_w: u32,
  dilation_h: u32, dilation_w: u32, pad_h: u32, pad_w: u32, slice_depth: u32, slices: u32,
  adds_bias: u32,  // not to parts
}
@group(0) @binding(4) var<uniform> params: Params;

fn load_x(i: u32) -> f32 { return x[i]; } //@load x
fn load_w(i: u32) -> f32 { return w[i]; } //@load w
fn load4_w(i: u32) -> vec4f { return vec4f(w[i * 4u], w[i * 4u + 1u], w[i * 4u + 2u], w[i * 4u + 3u]); } //@load4 w
//#if BIAS
fn load_b(i: u32) -> f32 { return b[i]; } //@load b
//#endif
//#if VEC_Y
fn store4_y(i: u32, v: vec4f) { y[i * 4u] = v.x; y[i * 4u + 1u] = v.y; y[i * 4u + 2u] = v.z; y[i * 4u + 3u] = v.w; } //@store4 y
//#else
fn store_y(i: u32, v: f32) { y[i] = v; } //@store y
//#endif

var<private> x_base: u32;
var<private> w_base: u32;
// The window origins of this invocation's four columns; far outside for columns past the end.
var<private> origin_h: vec4i;
var<private> origin_w: vec4i;

fn depth() -> u32 { return params.in_channels * KH * KW; }

fn tile_a(row: u32, k: u32) -> vec4f {
  var v = vec4f();
  if (row >= params.out_channels || k >= depth()) { return v; }
  let i = w_base + row * depth() + k;
  if (VEC_A) { return load4_w(i / 4u); }
  v.x = load_w(i);
  if (k + 1u < depth()) { v.y = load_w(i + 1u); }
  if (k + 2u < depth()) { v.z = load_w(i + 2u); }
  if (k + 3u < depth()) { v.w = load_w(i + 3u); }
  return v;
}

fn tile_b(k: u32, col: u32) -> vec4f {
  var v = vec4f();
  if (k >= depth()) { return v; }
  let tap = k % (KH * KW);
  let h = origin_h + i32(tap / KW * params.dilation_h);
  let w = origin_w + i32(tap % KW * params.dilation_w);
  let inside = (h >= vec4i()) & (h < vec4i(i32(params.h))) & (w >= vec4i()) & (w < vec4i(i32(params.w)));
  let i = x_base + k / (KH * KW) * params.h * params.w + vec4u(h) * params.w + vec4u(w);
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
  let block = part % (params.batch * params.groups);
  let slice = part / (params.batch * params.groups);
  if (slice >= params.slices) { return; }
  let group = block % params.groups;
  x_base = block * params.in_channels * params.h * params.w;
  w_base = group * params.out_channels * depth();
  let positions = params.out_h * params.out_w;
  let own = tile_n * BN + lid % BN4 * 4u;
  let cols = vec4u(own, own + 1u, own + 2u, own + 3u);
  origin_h = vec4i(cols / params.out_w * params.stride_h) - i32(params.pad_h);
  origin_h = select(vec4i(-1073741824), origin_h, cols < vec4u(positions));
  origin_w = vec4i(cols % params.out_w * params.stride_w) - i32(params.pad_w);
  var acc: array<vec4f, TM * TN4>;
  let k_begin = slice * params.slice_depth;
  gemm_tile(lid, tile_m * BM, tile_n * BN, k_begin, min(k_begin + params.slice_depth, depth()), &acc);
  var out: array<vec4f, ROWS * TN4>;  // as in matmul.wgsl
  for (var i = 0u; i < TM / PARTS * TN4; i++) { //@unroll
    out[i] = acc[i];
  }
  let row = tile_m * BM + own_row(lid);
  for (var i = 0u; i < ROWS && row + i < params.out_channels; i++) {
    for (var g = 0u; g < TN4; g++) {
      let col = tile_n * BN + (g * WN + lid % WN) * 4u;
      if (col < positions) { put(part, group, row + i, col, out[i * TN4 + g]); }
    }
  }
}

fn put(part: u32, group: u32, row: u32, col: u32, sum: vec4f) {
  let positions = params.out_h * params.out_w;
  let at = (part * params.out_channels + row) * positions + col;
  var v = sum;
  //#if BIAS
  if (params.adds_bias != 0u) { v += load_b(group * params.out_channels + row); }
  //#endif
  //#if VEC_Y
  store4_y(at / 4u, v);
  //#else
  for (var j = 0u; j < 4u && col + j < positions; j++) { store_y(at + j, v[j]); }
  //#endif
}
