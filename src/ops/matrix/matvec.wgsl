// y = alpha * a b + beta * c where a has at most ROWS rows. Workgroup number (x, then y): a block
// of CQ*4 columns of y, then the batch; each column group is summed by SLICES invocations.
// B_T: b lies along k, so neighbouring invocations are neighbours in k, four steps at a time.
const ROWS = 4u; //@config
const CQ = 16u; //@config
const SLICES = 16u; //@config
const B_T = false; //@config
const VEC_A = false; //@config
const VEC_B = false; //@config
const WG = CQ * SLICES;

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
//#if BIAS
@group(0) @binding(2) var<storage, read> c: array<f32>;
//#endif
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
struct Params {
  m: u32, n: u32, k: u32, tiles_n: u32, batch: u32,
  batch1: u32, batch2: u32,
  a_batch0: u32, a_batch1: u32, a_batch2: u32, a_row: u32, a_col: u32,
  b_batch0: u32, b_batch1: u32, b_batch2: u32, b_row: u32, b_col: u32,
  a_start: u32, b_start: u32, y_start: u32,
  alpha: f32, beta: f32, c_row: u32, c_col: u32, y_row: u32, y_col: u32,
}
@group(0) @binding(4) var<uniform> params: Params;

fn load_a(i: u32) -> f32 { return a[i]; } //@load a
fn load4_a(i: u32) -> vec4f { return vec4f(a[i * 4u], a[i * 4u + 1u], a[i * 4u + 2u], a[i * 4u + 3u]); } //@load4 a
fn load_b(i: u32) -> f32 { return b[i]; } //@load b
fn load4_b(i: u32) -> vec4f { return vec4f(b[i * 4u], b[i * 4u + 1u], b[i * 4u + 2u], b[i * 4u + 3u]); } //@load4 b
//#if BIAS
fn load_c(i: u32) -> f32 { return c[i]; } //@load c
//#endif
//#if VEC_Y
fn store4_y(i: u32, v: vec4f) { y[i * 4u] = v.x; y[i * 4u + 1u] = v.y; y[i * 4u + 2u] = v.z; y[i * 4u + 3u] = v.w; } //@store4 y
//#else
fn store_y(i: u32, v: f32) { y[i] = v; } //@store y
//#endif

var<workgroup> partial: array<vec4f, WG>;

/// Four elements of a (or b) from flat index i, `step` apart, the first `valid` of them.
fn four_a(i: u32, step: u32, valid: u32) -> vec4f {
  if (VEC_A) { return load4_a(i / 4u); }
  var v = vec4f(load_a(i), 0.0, 0.0, 0.0);
  if (valid > 1u) { v.y = load_a(i + step); }
  if (valid > 2u) { v.z = load_a(i + 2u * step); }
  if (valid > 3u) { v.w = load_a(i + 3u * step); }
  return v;
}
fn four_b(i: u32, step: u32, valid: u32) -> vec4f {
  if (VEC_B) { return load4_b(i / 4u); }
  var v = vec4f(load_b(i), 0.0, 0.0, 0.0);
  if (valid > 1u) { v.y = load_b(i + step); }
  if (valid > 2u) { v.z = load_b(i + 2u * step); }
  if (valid > 3u) { v.w = load_b(i + 3u * step); }
  return v;
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) count: vec3u,
        @builtin(local_invocation_index) lid: u32) {
  let number = wid.x + wid.y * count.x;
  let batch = number / params.tiles_n;
  if (batch >= params.batch) { return; }
  let i2 = batch % params.batch2;
  let i1 = batch / params.batch2 % params.batch1;
  let i0 = batch / params.batch2 / params.batch1;
  let a_base = params.a_start + i0 * params.a_batch0 + i1 * params.a_batch1 + i2 * params.a_batch2;
  let b_base = params.b_start + i0 * params.b_batch0 + i1 * params.b_batch1 + i2 * params.b_batch2;
  let slice = select(lid / CQ, lid % SLICES, B_T);
  let quad = select(lid % CQ, lid / SLICES, B_T);
  let col = (number % params.tiles_n * CQ + quad) * 4u;
  var acc: array<vec4f, ROWS>;
  if (col < params.n) {
    // Four steps of k at a time: their loads overlap.
    for (var k = slice * select(1u, 4u, B_T); k < params.k; k += SLICES * 4u) {
      let at = b_base + k * params.b_row + col * params.b_col;
      let left = params.k - k;
      if (B_T) {
        let b0 = four_b(at, params.b_row, left);
        var b1 = vec4f();
        var b2 = vec4f();
        var b3 = vec4f();
        if (col + 1u < params.n) { b1 = four_b(at + params.b_col, params.b_row, left); }
        if (col + 2u < params.n) { b2 = four_b(at + 2u * params.b_col, params.b_row, left); }
        if (col + 3u < params.n) { b3 = four_b(at + 3u * params.b_col, params.b_row, left); }
        for (var r = 0u; r < ROWS; r++) {
          if (r < params.m) {
            let v = four_a(a_base + r * params.a_row + k * params.a_col, params.a_col, left);
            acc[r] += vec4f(dot(v, b0), dot(v, b1), dot(v, b2), dot(v, b3));
          }
        }
      } else {
        var v = array<vec4f, 4>();
        for (var u = 0u; u < 4u; u++) {
          if (u * SLICES < left) { v[u] = four_b(at + u * SLICES * params.b_row, params.b_col, params.n - col); }
        }
        for (var r = 0u; r < ROWS; r++) {
          let row = a_base + r * params.a_row + k * params.a_col;
          for (var u = 0u; u < 4u; u++) {
            if (u * SLICES < left && r < params.m) { acc[r] += load_a(row + u * SLICES * params.a_col) * v[u]; }
          }
        }
      }
    }
  }
  for (var r = 0u; r < ROWS; r++) {
    partial[quad * SLICES + slice] = acc[r];
    workgroupBarrier();
    for (var s = SLICES / 2u; s > 0u; s /= 2u) {
      if (slice < s) { partial[quad * SLICES + slice] += partial[quad * SLICES + slice + s]; }
      workgroupBarrier();
    }
    if (slice == 0u && r < params.m && col < params.n) { put(batch, r, col, params.alpha * partial[quad * SLICES]); }
    workgroupBarrier();
  }
}

fn put(batch: u32, r: u32, col: u32, sum: vec4f) {
  let at = params.y_start + batch * params.m * params.n + r * params.y_row + col * params.y_col;
  var v = sum;
  //#if BIAS
  for (var j = 0u; j < min(4u, params.n - col); j++) { v[j] += params.beta * load_c(r * params.c_row + (col + j) * params.c_col); }
  //#endif
  //#if VEC_Y
  store4_y(at / 4u, v);
  //#else
  for (var j = 0u; j < min(4u, params.n - col); j++) { store_y(at + j * params.y_col, v[j]); }
  //#endif
}
