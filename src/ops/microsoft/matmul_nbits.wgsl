// y = a * transposed(b) + bias, where b is quantised in blocks of BITS bits along the depth and
// unpacked on its way into the tile. Workgroup number (x, then y): column tile, row tile, the first
// fastest; a tile is WM*TM rows by WN*4 columns, TM rows by 4 columns (WN apart) an invocation.
const BITS = 4u; //@config
const WM = 16u; //@config
const WN = 16u; //@config
const TM = 4u;
const VEC_A = false; //@config
const WG = WM * WN;
const BM = WM * TM;
const BN = WN * 4u;
const TK4 = 4u;  // depth of a tile, in fours
const PITCH = TK4 + 1u;
const A_LOADS = BM * TK4 / WG;
const B_LOADS = BN * TK4 / WG;
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
struct Params { m: u32, n: u32, k: u32, blocks: u32, block: u32, row_words: u32, zero_row: u32, tiles_m: u32, tiles_n: u32 }
@group(0) @binding(7) var<uniform> params: Params;

fn load_a(i: u32) -> f32 { return a[i]; } //@load a
fn load4_a(i: u32) -> vec4f { return vec4f(a[i * 4u], a[i * 4u + 1u], a[i * 4u + 2u], a[i * 4u + 3u]); } //@load4 a
fn load_scale(i: u32) -> f32 { return scales[i]; } //@load scales
fn store_y(i: u32, v: f32) { y[i] = v; } //@store y

var<workgroup> a_tile: array<vec4f, BM * PITCH>;
var<workgroup> b_tile: array<vec4f, BN * PITCH>;

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

fn tile_a(row: u32, k: u32) -> vec4f {
  var v = vec4f();
  if (row >= params.m || k >= params.k) { return v; }
  let i = row * params.k + k;
  if (VEC_A) { return load4_a(i / 4u); }
  v.x = load_a(i);
  if (k + 1u < params.k) { v.y = load_a(i + 1u); }
  if (k + 2u < params.k) { v.z = load_a(i + 2u); }
  if (k + 3u < params.k) { v.w = load_a(i + 3u); }
  return v;
}

fn tile_b(col: u32, k: u32) -> vec4f {
  if (col >= params.n || k >= params.k) { return vec4f(); }
  let block = k / params.block;
  let word = b[col * params.row_words + k / PER_WORD];
  return (four(word, k % PER_WORD) - zero_point(col, block)) * load_scale(col * params.blocks + block);
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) count: vec3u,
        @builtin(local_invocation_index) lid: u32) {
  let number = wid.x + wid.y * count.x;
  let col0 = number % params.tiles_n * BN;
  let row0 = number / params.tiles_n * BM;
  if (row0 >= params.m) { return; }
  let x = lid % WN;
  let row = lid / WN * TM;
  var acc: array<vec4f, TM>;
  for (var k = 0u; k < params.k; k += TK4 * 4u) {
    for (var i = lid; i < A_LOADS * WG; i += WG) {
      a_tile[i / TK4 * PITCH + i % TK4] = tile_a(row0 + i / TK4, k + i % TK4 * 4u);
    }
    for (var i = lid; i < B_LOADS * WG; i += WG) {
      b_tile[i / TK4 * PITCH + i % TK4] = tile_b(col0 + i / TK4, k + i % TK4 * 4u);
    }
    workgroupBarrier();
    for (var q = 0u; q < TK4; q++) {
      let b0 = b_tile[x * PITCH + q];
      let b1 = b_tile[(x + WN) * PITCH + q];
      let b2 = b_tile[(x + 2u * WN) * PITCH + q];
      let b3 = b_tile[(x + 3u * WN) * PITCH + q];
      for (var i = 0u; i < TM; i++) {
        let v = a_tile[(row + i) * PITCH + q];
        acc[i] += vec4f(dot(v, b0), dot(v, b1), dot(v, b2), dot(v, b3));
      }
    }
    workgroupBarrier();
  }
  for (var j = 0u; j < 4u; j++) {
    let col = col0 + x + j * WN;
    if (col >= params.n) { continue; }
    var start = 0.0;
    //#if BIAS
    start = load_bias(col);
    //#endif
    for (var i = 0u; i < TM; i++) {
      if (row0 + row + i < params.m) { store_y((row0 + row + i) * params.n + col, acc[i][j] + start); }
    }
  }
}
