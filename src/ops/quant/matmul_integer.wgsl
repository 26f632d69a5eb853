// y = (a - a_zero) (b - b_zero) for a batch of matrices of 8-bit integers, exact; otherwise as
// matmul.wgsl. Products stay below 2^16, so f32 holds sums of 256 of them exactly: SEGMENT steps of
// the depth are done in f32 and added up in i32.
const WM = 16u; //@config
const WN = 16u; //@config
const TM = 4u; //@config
const TN4 = 1u;
const TK = 16u; //@config
const PARTS = 1u;
const A_T = false; //@config
const B_T = false; //@config
const VEC_A = false; //@config
const VEC_B = false; //@config
const SEGMENT = 256u;
//@use gemm_tile

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
//#if A_ZERO
@group(0) @binding(2) var<storage, read> a_zero: array<f32>;
//#endif
//#if B_ZERO
@group(0) @binding(3) var<storage, read> b_zero: array<f32>;
//#endif
@group(0) @binding(4) var<storage, read_write> y: array<i32>;
struct Params {
  m: u32, n: u32, k: u32, tiles_m: u32, tiles_n: u32, batch: u32,
  batch1: u32, batch2: u32,
  a_batch0: u32, a_batch1: u32, a_batch2: u32, a_row: u32, a_col: u32,
  b_batch0: u32, b_batch1: u32, b_batch2: u32, b_row: u32, b_col: u32,
  a_start: u32, b_start: u32, y_start: u32,
  a_zero_step: u32, b_zero_step: u32,
}
@group(0) @binding(5) var<uniform> params: Params;

fn load_a(i: u32) -> f32 { return a[i]; } //@load a
fn load4_a(i: u32) -> vec4f { return vec4f(a[i * 4u], a[i * 4u + 1u], a[i * 4u + 2u], a[i * 4u + 3u]); } //@load4 a
fn load_b(i: u32) -> f32 { return b[i]; } //@load b
fn load4_b(i: u32) -> vec4f { return vec4f(b[i * 4u], b[i * 4u + 1u], b[i * 4u + 2u], b[i * 4u + 3u]); } //@load4 b
//#if A_ZERO
fn load_a_zero(i: u32) -> f32 { return a_zero[i]; } //@load a_zero
//#endif
//#if B_ZERO
fn load_b_zero(i: u32) -> f32 { return b_zero[i]; } //@load b_zero
//#endif
fn store_y(i: u32, v: i32) { y[i] = v; } //@store y

var<private> a_base: u32;
var<private> b_base: u32;
var<private> segment: u32;

fn tile_a(row: u32, in_segment: u32) -> vec4f {
  var v = vec4f();
  let k = segment + in_segment;
  if (row >= params.m || k >= params.k) { return v; }
  var zero = 0.0;
  //#if A_ZERO
  zero = load_a_zero(row * params.a_zero_step);
  //#endif
  let i = a_base + row * params.a_row + k * params.a_col;
  if (VEC_A) { return load4_a(i / 4u) - zero; }
  v.x = load_a(i) - zero;
  if (k + 1u < params.k) { v.y = load_a(i + params.a_col) - zero; }
  if (k + 2u < params.k) { v.z = load_a(i + 2u * params.a_col) - zero; }
  if (k + 3u < params.k) { v.w = load_a(i + 3u * params.a_col) - zero; }
  return v;
}

fn tile_b(in_segment: u32, col: u32) -> vec4f {
  var v = vec4f();
  let k = segment + in_segment;
  if (k >= params.k || col >= params.n) { return v; }
  var zero = vec4f();
  //#if B_ZERO
  let last = params.n - 1u;
  zero.x = load_b_zero(col * params.b_zero_step);
  zero.y = load_b_zero(min(col + 1u, last) * params.b_zero_step);
  zero.z = load_b_zero(min(col + 2u, last) * params.b_zero_step);
  zero.w = load_b_zero(min(col + 3u, last) * params.b_zero_step);
  //#endif
  let i = b_base + k * params.b_row + col * params.b_col;
  if (VEC_B) { return load4_b(i / 4u) - zero; }
  v.x = load_b(i);
  if (col + 1u < params.n) { v.y = load_b(i + params.b_col); }
  if (col + 2u < params.n) { v.z = load_b(i + 2u * params.b_col); }
  if (col + 3u < params.n) { v.w = load_b(i + 3u * params.b_col); }
  return v - zero;
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) count: vec3u,
        @builtin(local_invocation_index) lid: u32) {
  let number = wid.x + wid.y * count.x;
  let tile_n = number % params.tiles_n;
  let rest = number / params.tiles_n;
  let tile_m = rest % params.tiles_m;
  let batch = rest / params.tiles_m;
  if (batch >= params.batch) { return; }
  let i2 = batch % params.batch2;
  let i1 = batch / params.batch2 % params.batch1;
  let i0 = batch / params.batch2 / params.batch1;
  a_base = params.a_start + i0 * params.a_batch0 + i1 * params.a_batch1 + i2 * params.a_batch2;
  b_base = params.b_start + i0 * params.b_batch0 + i1 * params.b_batch1 + i2 * params.b_batch2;
  var total: array<vec4i, TM>;
  for (var k = 0u; k < params.k; k += SEGMENT) {
    var acc = array<vec4f, TM>();
    segment = k;
    gemm_tile(lid, tile_m * BM, tile_n * BN, 0u, min(params.k - k, SEGMENT), &acc);
    for (var i = 0u; i < TM; i++) { total[i] += vec4i(acc[i]); }
  }
  let col = tile_n * BN + lid % WN * 4u;
  for (var i = 0u; i < TM; i++) {
    let row = tile_m * BM + lid / WN * TM + i;
    if (row >= params.m) { continue; }
    let at = params.y_start + (batch * params.m + row) * params.n + col;
    for (var j = 0u; j < 4u && col + j < params.n; j++) { store_y(at + j, total[i][j]); }
  }
}
