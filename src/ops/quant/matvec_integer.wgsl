// y = (a - a_zero) (b - b_zero) of 8-bit integers where a has at most ROWS rows, exact in i32.
// Workgroups and invocations as in matvec.wgsl.
const ROWS = 4u; //@config
const CQ = 16u; //@config
const SLICES = 16u; //@config
const B_T = false; //@config
const VEC_A = false; //@config
const VEC_B = false; //@config
const WG = CQ * SLICES;

@group(0) @binding(0) var<storage, read> a: array<i32>;
@group(0) @binding(1) var<storage, read> b: array<i32>;
//#if A_ZERO
@group(0) @binding(2) var<storage, read> a_zero: array<i32>;
//#endif
//#if B_ZERO
@group(0) @binding(3) var<storage, read> b_zero: array<i32>;
//#endif
@group(0) @binding(4) var<storage, read_write> y: array<i32>;
struct Params {
  m: u32, n: u32, k: u32, tiles_n: u32, batch: u32,
  batch1: u32, batch2: u32,
  a_batch0: u32, a_batch1: u32, a_batch2: u32, a_row: u32, a_col: u32,
  b_batch0: u32, b_batch1: u32, b_batch2: u32, b_row: u32, b_col: u32,
  a_start: u32, b_start: u32, y_start: u32,
  a_zero_step: u32, b_zero_step: u32, y_row: u32, y_col: u32,
}
@group(0) @binding(5) var<uniform> params: Params;

fn load_a(i: u32) -> i32 { return a[i]; } //@load a
fn load4_a(i: u32) -> vec4i { return vec4i(a[i * 4u], a[i * 4u + 1u], a[i * 4u + 2u], a[i * 4u + 3u]); } //@load4 a
fn load_b(i: u32) -> i32 { return b[i]; } //@load b
fn load4_b(i: u32) -> vec4i { return vec4i(b[i * 4u], b[i * 4u + 1u], b[i * 4u + 2u], b[i * 4u + 3u]); } //@load4 b
//#if A_ZERO
fn load_a_zero(i: u32) -> i32 { return a_zero[i]; } //@load a_zero
//#endif
//#if B_ZERO
fn load_b_zero(i: u32) -> i32 { return b_zero[i]; } //@load b_zero
//#endif
fn store_y(i: u32, v: i32) { y[i] = v; } //@store y

var<workgroup> partial: array<vec4i, WG>;

/// Four elements of row r of a from step k on, less the zero point; 0 past the first `left`.
fn four_a(base: u32, r: u32, k: u32, left: u32) -> vec4i {
  var zero = 0;
  //#if A_ZERO
  zero = load_a_zero(r * params.a_zero_step);
  //#endif
  let i = base + r * params.a_row + k * params.a_col;
  if (VEC_A) { return load4_a(i / 4u) - zero; }
  var v = vec4i(load_a(i) - zero, 0, 0, 0);
  if (left > 1u) { v.y = load_a(i + params.a_col) - zero; }
  if (left > 2u) { v.z = load_a(i + 2u * params.a_col) - zero; }
  if (left > 3u) { v.w = load_a(i + 3u * params.a_col) - zero; }
  return v;
}
/// Four elements of b from flat index i, `step` apart, the first `valid` of them.
fn four_b(i: u32, step: u32, valid: u32) -> vec4i {
  if (VEC_B) { return load4_b(i / 4u); }
  var v = vec4i(load_b(i), 0, 0, 0);
  if (valid > 1u) { v.y = load_b(i + step); }
  if (valid > 2u) { v.z = load_b(i + 2u * step); }
  if (valid > 3u) { v.w = load_b(i + 3u * step); }
  return v;
}
fn zero_b(col: u32) -> i32 {
  //#if B_ZERO
  return load_b_zero(min(col, params.n - 1u) * params.b_zero_step);
  //#else
  return 0;
  //#endif
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
  var acc: array<vec4i, ROWS>;
  if (col < params.n) {
    let zero = vec4i(zero_b(col), zero_b(col + 1u), zero_b(col + 2u), zero_b(col + 3u));
    for (var k = slice * select(1u, 4u, B_T); k < params.k; k += SLICES * 4u) {
      let at = b_base + k * params.b_row + col * params.b_col;
      let left = params.k - k;
      if (B_T) {
        var b4 = array<vec4i, 4>();
        for (var j = 0u; j < 4u; j++) {
          if (col + j < params.n) { b4[j] = four_b(at + j * params.b_col, params.b_row, left) - zero[j]; }
        }
        for (var r = 0u; r < min(ROWS, params.m); r++) {
          let v = four_a(a_base, r, k, left);
          acc[r] += vec4i(dot(v, b4[0]), dot(v, b4[1]), dot(v, b4[2]), dot(v, b4[3]));
        }
      } else {
        var v = array<vec4i, 4>();
        for (var u = 0u; u < 4u; u++) {
          if (u * SLICES < left) { v[u] = four_b(at + u * SLICES * params.b_row, params.b_col, params.n - col) - zero; }
        }
        for (var r = 0u; r < min(ROWS, params.m); r++) {
          var zero_a = 0;
          //#if A_ZERO
          zero_a = load_a_zero(r * params.a_zero_step);
          //#endif
          let row = a_base + r * params.a_row + k * params.a_col;
          for (var u = 0u; u < 4u; u++) {
            if (u * SLICES < left) { acc[r] += (load_a(row + u * SLICES * params.a_col) - zero_a) * v[u]; }
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
    if (slice < 4u && col + slice < params.n && r < params.m) {
      store_y(params.y_start + batch * params.m * params.n + r * params.y_row +
              (col + slice) * params.y_col, partial[quad * SLICES][slice]);
    }
    workgroupBarrier();
  }
}
