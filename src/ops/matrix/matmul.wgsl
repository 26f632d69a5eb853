// y = alpha * a b + beta * c for a batch of matrices, any strides; EXACT: of whole tiles only. Workgroup number (x, then y): column
// tile, row tile, batch, slice of the depth, the first fastest. Of slices each has a y of its own.
const WM = 16u; //@config
const WN = 16u; //@config
const TM = 4u; //@config
const TN4 = 1u; //@config
const TK = 16u; //@config
const PARTS = 1u; //@config
const A_T = false; //@config
const B_T = false; //@config
const VEC_A = false; //@config
const VEC_B = false; //@config
//@use gemm_tile

//#if HALF
@group(0) @binding(0) var<storage, read> a: array<vec2<u32>>;
@group(0) @binding(1) var<storage, read> b: array<vec2<u32>>;
fn load_a(i: u32) -> f32 { return unpack2x16float(a[i / 4u][i / 2u % 2u] >> (i % 2u * 16u)).x; }
fn load4_a(i: u32) -> Held { return a[i]; }
fn load_b(i: u32) -> f32 { return unpack2x16float(b[i / 4u][i / 2u % 2u] >> (i % 2u * 16u)).x; }
fn load4_b(i: u32) -> Held { return b[i]; }
//#else
@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
fn load_a(i: u32) -> f32 { return a[i]; } //@load a
fn load4_a(i: u32) -> vec4f { return vec4f(a[i * 4u], a[i * 4u + 1u], a[i * 4u + 2u], a[i * 4u + 3u]); } //@load4 a
fn load_b(i: u32) -> f32 { return b[i]; } //@load b
fn load4_b(i: u32) -> vec4f { return vec4f(b[i * 4u], b[i * 4u + 1u], b[i * 4u + 2u], b[i * 4u + 3u]); } //@load4 b
//#endif
//#if BIAS
@group(0) @binding(2) var<storage, read> c: array<f32>;
//#endif
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
struct Params {
  m: u32, n: u32, k: u32, tiles_m: u32, tiles_n: u32, batch: u32,
  batch1: u32, batch2: u32,
  a_batch0: u32, a_batch1: u32, a_batch2: u32, a_row: u32, a_col: u32,
  b_batch0: u32, b_batch1: u32, b_batch2: u32, b_row: u32, b_col: u32,
  a_start: u32, b_start: u32, y_start: u32,
  slice_depth: u32, slices: u32, alpha: f32, beta: f32, c_row: u32, c_col: u32,
}
@group(0) @binding(4) var<uniform> params: Params;
//#if BIAS
fn load_c(i: u32) -> f32 { return c[i]; } //@load c
//#endif
//#if VEC_Y
fn store4_y(i: u32, v: vec4f) { y[i * 4u] = v.x; y[i * 4u + 1u] = v.y; y[i * 4u + 2u] = v.z; y[i * 4u + 3u] = v.w; } //@store4 y
//#else
fn store_y(i: u32, v: f32) { y[i] = v; } //@store y
//#endif

var<private> a_base: u32;
var<private> b_base: u32;

fn tile_a(row: u32, k: u32) -> Held {
  //#if !EXACT
  if (row >= params.m || k >= params.k) { return Held(); }
  //#endif
  let i = a_base + row * params.a_row + k * params.a_col;
  if (VEC_A) { return load4_a(i / 4u); }
  var v = vec4f();
  v.x = load_a(i);
  if (k + 1u < params.k) { v.y = load_a(i + params.a_col); }
  if (k + 2u < params.k) { v.z = load_a(i + 2u * params.a_col); }
  if (k + 3u < params.k) { v.w = load_a(i + 3u * params.a_col); }
  return held(v);
}

fn tile_b(k: u32, col: u32) -> Held {
  //#if !EXACT
  if (k >= params.k || col >= params.n) { return Held(); }
  //#endif
  let i = b_base + k * params.b_row + col * params.b_col;
  if (VEC_B) { return load4_b(i / 4u); }
  var v = vec4f();
  v.x = load_b(i);
  if (col + 1u < params.n) { v.y = load_b(i + params.b_col); }
  if (col + 2u < params.n) { v.z = load_b(i + 2u * params.b_col); }
  if (col + 3u < params.n) { v.w = load_b(i + 3u * params.b_col); }
  return held(v);
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) count: vec3u,
        @builtin(local_invocation_index) lid: u32) {
  let number = wid.x + wid.y * count.x;
  let tile_n = number % params.tiles_n;
  let rest = number / params.tiles_n;
  let tile_m = rest % params.tiles_m;
  let part = rest / params.tiles_m;
  let batch = part % params.batch;
  let slice = part / params.batch;
  if (slice >= params.slices) { return; }
  let i2 = batch % params.batch2;
  let i1 = batch / params.batch2 % params.batch1;
  let i0 = batch / params.batch2 / params.batch1;
  a_base = params.a_start + i0 * params.a_batch0 + i1 * params.a_batch1 + i2 * params.a_batch2;
  b_base = params.b_start + i0 * params.b_batch0 + i1 * params.b_batch1 + i2 * params.b_batch2;
  var acc: array<vec4f, TM * TN4>;
  let k_begin = slice * params.slice_depth;
  gemm_tile(lid, tile_m * BM, tile_n * BN, k_begin, min(k_begin + params.slice_depth, params.k), &acc);
  // Sums stay in registers, as no loop that stays one takes them by number; what is fused into the
  // store is compiled once.
  var out: array<vec4f, ROWS * TN4>;
  for (var i = 0u; i < TM / PARTS * TN4; i++) { //@unroll
    out[i] = params.alpha * acc[i];
  }
  let row = tile_m * BM + own_row(lid);
  for (var i = 0u; i < ROWS && row + i < params.m; i++) {
    for (var g = 0u; g < TN4; g++) {
      let col = tile_n * BN + (g * WN + lid % WN) * 4u;
      if (col < params.n) { put(part, row + i, col, out[i * TN4 + g]); }
    }
  }
}

fn put(part: u32, row: u32, col: u32, sum: vec4f) {
  let at = params.y_start + (part * params.m + row) * params.n + col;
  var v = sum;
  //#if BIAS
  if (params.beta != 0.0) {
    let c_at = row * params.c_row + col * params.c_col;
    let last = (min(params.n, col + 4u) - col - 1u) * params.c_col;
    v += params.beta * vec4f(load_c(c_at), load_c(c_at + min(params.c_col, last)),
                             load_c(c_at + min(2u * params.c_col, last)), load_c(c_at + last));
  }
  //#endif
  //#if VEC_Y
  store4_y(at / 4u, v);
  //#else
  for (var j = 0u; j < 4u && col + j < params.n; j++) { store_y(at + j, v[j]); }
  //#endif
}
