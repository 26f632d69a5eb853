// y = silu(a transposed(gate)) * (a transposed(up)) for one row a; matrices as in matmul_nbits.wgsl.
// Workgroup number (x, then y): a block of columns; LANES invocations share COLS of them in each
// matrix, as in matvec_nbits.wgsl.
const BITS = 4u; //@config
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
//@use row_fours

@group(0) @binding(0) var<storage, read> a: array<f32>;
//#if FOUR_WORDS
@group(0) @binding(1) var<storage, read> gate: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> up: array<vec4<u32>>;
fn words(is_gate: bool, i: u32) -> array<u32, WORDS> {
  var v: vec4u;
  if (is_gate) { v = gate[i]; } else { v = up[i]; }
  return array<u32, WORDS>(v.x, v.y, v.z, v.w);
}
//#else
@group(0) @binding(1) var<storage, read> gate: array<u32>;
@group(0) @binding(2) var<storage, read> up: array<u32>;
fn words(is_gate: bool, i: u32) -> array<u32, WORDS> {
  var v: u32;
  if (is_gate) { v = gate[i]; } else { v = up[i]; }
  return array<u32, WORDS>(v);
}
//#endif
@group(0) @binding(3) var<storage, read> gate_scales: array<f32>;
@group(0) @binding(4) var<storage, read> up_scales: array<f32>;
//#if ZERO_POINTS
@group(0) @binding(5) var<storage, read> gate_zeros: array<u32>;
@group(0) @binding(6) var<storage, read> up_zeros: array<u32>;
fn load_gate_zero(i: u32) -> u32 { return gate_zeros[i]; } //@load gate_zeros
fn load_up_zero(i: u32) -> u32 { return up_zeros[i]; } //@load up_zeros
//#endif
@group(0) @binding(7) var<storage, read_write> y: array<f32>;
struct Params { n: u32, k: u32, blocks: u32, block: u32, row_words: u32, zero_row: u32 }
@group(0) @binding(8) var<uniform> params: Params;

fn load_a(i: u32) -> f32 { return a[i]; } //@load a
fn load4_a(i: u32) -> vec4f { return vec4f(a[i * 4u], a[i * 4u + 1u], a[i * 4u + 2u], a[i * 4u + 3u]); } //@load4 a
fn load_gate_scale(i: u32) -> f32 { return gate_scales[i]; } //@load gate_scales
fn load_up_scale(i: u32) -> f32 { return up_scales[i]; } //@load up_scales
//#if VEC_Y
fn store4_y(i: u32, v: vec4f) { y[i * 4u] = v.x; y[i * 4u + 1u] = v.y; y[i * 4u + 2u] = v.z; y[i * 4u + 3u] = v.w; } //@store4 y
//#else
fn store_y(i: u32, v: f32) { y[i] = v; } //@store y
//#endif

var<workgroup> partial: array<f32, WG * COLS * 2u>;

fn scale_of(is_gate: bool, i: u32) -> f32 {
  if (is_gate) { return load_gate_scale(i); }
  return load_up_scale(i);
}

fn zero_point(is_gate: bool, col: u32, block: u32) -> f32 {
  //#if ZERO_POINTS
  let bit = block * BITS;
  let at = col * params.zero_row + bit / 8u;
  var byte: u32;
  if (is_gate) { byte = load_gate_zero(at); } else { byte = load_up_zero(at); }
  return f32((byte >> (bit % 8u)) & MASK);
  //#else
  return MIDDLE;
  //#endif
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) count: vec3u,
        @builtin(local_invocation_index) lid: u32) {
  let first = (wid.x + wid.y * count.x) * GROUPS * COLS;
  if (first >= params.n) { return; }
  let lane = lid % LANES;
  let col0 = first + lid / LANES * COLS;
  var acc: array<f32, COLS * 2u>;
  let groups = params.row_words / WORDS;
  for (var group = lane; group < groups; group += LANES) {
    let k = group * WORDS * PER_WORD;
    let block = k / params.block;
    var v: array<vec4f, WORDS * FOURS>;
    var total = 0.0;
    for (var j = 0u; j < WORDS * FOURS; j++) {
      let x = four_a(k + j * 4u);
      total += dot(x, vec4f(1.0));
      v[j] = x * unscale(j % FOURS * 4u);
    }
    for (var c = 0u; c < COLS * 2u; c++) {
      let is_gate = c < COLS;
      let col = min(col0 + c % COLS, params.n - 1u);
      let packed = words(is_gate, col * groups + group);
      var sum = -zero_point(is_gate, col, block) * total;
      for (var j = 0u; j < WORDS * FOURS; j++) { sum += dot(four_scaled(packed[j / FOURS], j % FOURS * 4u), v[j]); }
      acc[c] = fma(scale_of(is_gate, col * params.blocks + block), sum, acc[c]);
    }
  }
  for (var c = 0u; c < COLS * 2u; c++) { partial[c * WG + lid] = acc[c]; }
  workgroupBarrier();
  for (var s = LANES / 2u; s > 0u; s /= 2u) {
    if (lane < s) {
      for (var c = 0u; c < COLS * 2u; c++) { partial[c * WG + lid] += partial[c * WG + lid + s]; }
    }
    workgroupBarrier();
  }
  //#if VEC_Y
  for (var c = lid * 4u; c < GROUPS * COLS && first + c < params.n; c += WG * 4u) {
    store4_y((first + c) / 4u, vec4f(gated(c), gated(c + 1u), gated(c + 2u), gated(c + 3u)));
  }
  //#else
  for (var c = lid; c < GROUPS * COLS && first + c < params.n; c += WG) { store_y(first + c, gated(c)); }
  //#endif
}

/// Of column `c` of the workgroup's.
fn gated(c: u32) -> f32 {
  let at = c % COLS * WG + c / COLS * LANES;
  let g = partial[at];
  return g / (1.0 + exp(-g)) * partial[at + COLS * WG];
}
