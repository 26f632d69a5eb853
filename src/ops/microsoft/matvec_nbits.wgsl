// y = a * transposed(b) + bias for at most ROWS rows of a; b as in matmul_nbits.wgsl. Workgroup
// number (x, then y): a block of columns; LANES invocations share COLS of them, each taking every
// LANES-th word of a column, so that neighbours read neighbours.
const BITS = 4u; //@config
const ROWS = 4u; //@config
const LANES = 32u; //@config
const COLS = 4u;
const VEC_A = false; //@config
const WG = 64u;
const GROUPS = WG / LANES;
const FOURS = PER_WORD / 4u;
//@use nbits

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<u32>;
@group(0) @binding(2) var<storage, read> scales: array<f32>;
//#if ZERO_PACKED
@group(0) @binding(3) var<storage, read> zero_points: array<u32>;
fn load_zero(i: u32) -> u32 { return zero_points[i]; } //@load zero_points
//#endif
//#if ZERO_FLOAT
@group(0) @binding(4) var<storage, read> zero_floats: array<f32>;
fn load_zero_float(i: u32) -> f32 { return zero_floats[i]; } //@load zero_floats
//#endif
//#if BIAS
@group(0) @binding(5) var<storage, read> bias: array<f32>;
fn load_bias(i: u32) -> f32 { return bias[i]; } //@load bias
//#endif
@group(0) @binding(6) var<storage, read_write> y: array<f32>;
struct Params { m: u32, n: u32, k: u32, blocks: u32, block: u32, row_words: u32, zero_row: u32 }
@group(0) @binding(7) var<uniform> params: Params;

fn load_a(i: u32) -> f32 { return a[i]; } //@load a
fn load4_a(i: u32) -> vec4f { return vec4f(a[i * 4u], a[i * 4u + 1u], a[i * 4u + 2u], a[i * 4u + 3u]); } //@load4 a
fn load_scale(i: u32) -> f32 { return scales[i]; } //@load scales
//#if VEC_Y
fn store4_y(i: u32, v: vec4f) { y[i * 4u] = v.x; y[i * 4u + 1u] = v.y; y[i * 4u + 2u] = v.z; y[i * 4u + 3u] = v.w; } //@store4 y
//#else
fn store_y(i: u32, v: f32) { y[i] = v; } //@store y
//#endif

var<workgroup> partial: array<f32, WG * COLS>;

fn zero_point(col: u32, block: u32) -> f32 {
  //#if ZERO_PACKED
  let bit = block * BITS;
  return f32((load_zero(col * params.zero_row + bit / 8u) >> (bit % 8u)) & MASK);
  //#else
  //#if ZERO_FLOAT
  return load_zero_float(col * params.blocks + block);
  //#else
  return MIDDLE;
  //#endif
  //#endif
}

fn four_a(row: u32, k: u32) -> vec4f {
  var v = vec4f();
  if (k >= params.k) { return v; }
  let i = row * params.k + k;
  if (VEC_A) { return load4_a(i / 4u); }
  for (var j = 0u; j < min(4u, params.k - k); j++) { v[j] = load_a(i + j); }
  return v;
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) count: vec3u,
        @builtin(local_invocation_index) lid: u32) {
  let number = wid.x + wid.y * count.x;
  let lane = lid % LANES;
  let first = number * GROUPS * COLS;
  if (first >= params.n) { return; }
  let col0 = first + lid / LANES * COLS;
  var acc: array<array<f32, COLS>, ROWS>;
  for (var word = lane; word < params.row_words; word += LANES) {
    let k = word * PER_WORD;
    let block = k / params.block;
    var v: array<array<vec4f, FOURS>, ROWS>;
    for (var r = 0u; r < min(ROWS, params.m); r++) {
      for (var j = 0u; j < FOURS; j++) { v[r][j] = four_a(r, k + j * 4u); }
    }
    for (var c = 0u; c < COLS; c++) {
      let col = min(col0 + c, params.n - 1u);
      let packed = b[col * params.row_words + word];
      let zero = zero_point(col, block);
      let scale = load_scale(col * params.blocks + block);
      for (var j = 0u; j < FOURS; j++) {
        let q = (four(packed, j * 4u) - zero) * scale;
        for (var r = 0u; r < ROWS; r++) { acc[r][c] += dot(q, v[r][j]); }
      }
    }
  }
  for (var r = 0u; r < ROWS; r++) {
    for (var c = 0u; c < COLS; c++) { partial[c * WG + lid] = acc[r][c]; }
    workgroupBarrier();
    for (var s = LANES / 2u; s > 0u; s /= 2u) {
      if (lane < s) {
        for (var c = 0u; c < COLS; c++) { partial[c * WG + lid] += partial[c * WG + lid + s]; }
      }
      workgroupBarrier();
    }
    if (lane == 0u && r < params.m && col0 < params.n) {
      put(r, col0, vec4f(partial[lid], partial[WG + lid], partial[2u * WG + lid], partial[3u * WG + lid]));
    }
    workgroupBarrier();
  }
}

fn put(r: u32, col: u32, sums: vec4f) {
  var v = sums;
  //#if BIAS
  for (var j = 0u; j < min(COLS, params.n - col); j++) { v[j] += load_bias(col + j); }
  //#endif
  //#if VEC_Y
  store4_y((r * params.n + col) / 4u, v);
  //#else
  for (var j = 0u; j < min(COLS, params.n - col); j++) { store_y(r * params.n + col + j, v[j]); }
  //#endif
}
