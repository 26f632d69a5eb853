// y = a * transposed(b) + bias for at most ROWS rows of a; b as in matmul_nbits.wgsl. Workgroup
// number (x, then y): a block of columns; LANES invocations share COLS of them, each taking every
// LANES-th word of a column (with FOUR_WORDS every LANES-th four of words, which lie in one block of the
// scales), so that neighbours read neighbours.
const BITS = 4u; //@config
const ROWS = 4u; //@config
const LANES = 32u; //@config
const COLS = 4u; //@config
const VEC_A = false; //@config
const WG = 64u;
const GROUPS = WG / LANES;
//#if FOUR_WORDS
const WORDS = 4u;
//#else
const WORDS = 1u;
//#endif
const FOURS = PER_WORD / 4u;
//@use nbits

@group(0) @binding(0) var<storage, read> a: array<f32>;
//#if FOUR_WORDS
@group(0) @binding(1) var<storage, read> b: array<vec4<u32>>;
fn words(i: u32) -> array<u32, WORDS> { return array<u32, WORDS>(b[i].x, b[i].y, b[i].z, b[i].w); }
//#else
@group(0) @binding(1) var<storage, read> b: array<u32>;
fn words(i: u32) -> array<u32, WORDS> { return array<u32, WORDS>(b[i]); }
//#endif
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
  let groups = params.row_words / WORDS;
  for (var group = lane; group < groups; group += LANES) {
    let k = group * WORDS * PER_WORD;
    let block = k / params.block;
    var v: array<array<vec4f, WORDS * FOURS>, ROWS>;
    var total = array<f32, ROWS>();
    for (var r = 0u; r < min(ROWS, params.m); r++) {
      for (var j = 0u; j < WORDS * FOURS; j++) {
        let x = four_a(r, k + j * 4u);
        total[r] += dot(x, vec4f(1.0));
        v[r][j] = x * unscale(j % FOURS * 4u);
      }
    }
    for (var c = 0u; c < COLS; c++) {
      let col = min(col0 + c, params.n - 1u);
      let packed = words(col * groups + group);
      let zero = zero_point(col, block);
      let scale = load_scale(col * params.blocks + block);
      // The sum of (q - zero) v, with one product by the zero point and one by the scale a column.
      var sums: array<f32, ROWS>;
      for (var r = 0u; r < ROWS; r++) { sums[r] = -zero * total[r]; }
      for (var j = 0u; j < WORDS * FOURS; j++) {
        let q = four_scaled(packed[j / FOURS], j % FOURS * 4u);
        for (var r = 0u; r < ROWS; r++) { sums[r] += dot(q, v[r][j]); }
      }
      for (var r = 0u; r < ROWS; r++) { acc[r][c] = fma(scale, sums[r], acc[r][c]); }
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
    if (r < params.m) {
      //#if VEC_Y
      for (var c = lid * 4u; c < GROUPS * COLS && first + c < params.n; c += WG * 4u) {
        put(r, first + c, vec4f(sum_of(c), sum_of(c + 1u), sum_of(c + 2u), sum_of(c + 3u)));
      }
      //#else
      for (var c = lid; c < GROUPS * COLS && first + c < params.n; c += WG) { put(r, first + c, sum_of(c)); }
      //#endif
    }
    workgroupBarrier();
  }
}

/// Of column `c` of the workgroup's.
fn sum_of(c: u32) -> f32 { return partial[c % COLS * WG + c / COLS * LANES]; }

//#if VEC_Y
fn put(r: u32, col: u32, sums: vec4f) {
  var v = sums;
  //#if BIAS
  v += vec4f(load_bias(col), load_bias(col + 1u), load_bias(col + 2u), load_bias(col + 3u));
  //#endif
  store4_y((r * params.n + col) / 4u, v);
}
//#else
fn put(r: u32, col: u32, sum: f32) {
  var v = sum;
  //#if BIAS
  v += load_bias(col);
  //#endif
  store_y(r * params.n + col, v);
}
//#endif
