// y = alpha * a b + beta * c as in matmul.wgsl, of f16 operands by subgroup matrices, with sums in
// f32. A workgroup of GM x GN subgroups does a tile of y, a subgroup FM x FN matrices of MM x MN.
// Operands pass through workgroup memory as they lie, eight to a vec4<u32>; A_T, B_T: neighbours
// in memory are neighbours along m, along k. K_TAIL: k may be no multiple of TK. Matrices stay in
// registers only as variables of main, their loops written out; functions get none of them.
enable f16, subgroups, chromium_experimental_subgroup_matrix;
const SUBGROUP = 32u; //@config
const GM = 2u; //@config
const GN = 1u; //@config
const FM = 2u; //@config
const FN = 4u; //@config
const MM = 16u; //@config
const MN = 16u; //@config
const MK = 16u; //@config
const TK = 32u; //@config
const A_T = false; //@config
const B_T = false; //@config
const VEC_A = false; //@config
const VEC_B = false; //@config
const WG = GM * GN * SUBGROUP;
const BM = GM * FM * MM;
const BN = GN * FN * MN;
// Eights along a row of a tile, and from row to row: odd, so that no two rows fall into one bank.
const A_ROW = select(TK, BM, A_T) / 8u;
const B_ROW = select(BN, TK, B_T) / 8u;
const A_PITCH = A_ROW + 1u;
const B_PITCH = B_ROW + 1u;
const B_AT = select(BM, TK, A_T) * A_PITCH;
const A_LOADS = BM * TK / 8u / WG;
const B_LOADS = BN * TK / 8u / WG;
// On the way out a subgroup lays down FN matrices at a time, four sums to a vec4<u32>.
const ROW = FN * MN / 4u;
const OUT = MM * ROW;
alias Left = subgroup_matrix_left<f16, MK, MM>;
alias Right = subgroup_matrix_right<f16, MN, MK>;
alias Sum = subgroup_matrix_result<f32, MN, MM>;
var<workgroup> tile: array<vec4<u32>, max(B_AT + select(TK, BN, B_T) * B_PITCH, GM * GN * OUT)>;

@group(0) @binding(0) var<storage, read> a: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read> b: array<vec4<u32>>;
//#if BIAS
@group(0) @binding(2) var<storage, read> c: array<f32>;
fn load_c(i: u32) -> f32 { return c[i]; } //@load c
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
//#if VEC_Y
fn store4_y(i: u32, v: vec4f) { y[i * 4u] = v.x; y[i * 4u + 1u] = v.y; y[i * 4u + 2u] = v.z; y[i * 4u + 3u] = v.w; } //@store4 y
//#else
fn store_y(i: u32, v: f32) { y[i] = v; } //@store y
//#endif

var<private> a_base: u32;
var<private> b_base: u32;

/// Eight elements, along k (A_T: along m). Rows past the last are another row's: they aren't stored.
fn eight_a(row: u32, k: u32) -> vec4<u32> {
  //#if K_TAIL
  if (k >= params.k) { return vec4<u32>(); }
  //#endif
  if (VEC_A) { return a[(a_base + min(row, params.m - select(1u, 8u, A_T)) * params.a_row + k * params.a_col) / 8u]; }
  var v = vec4<u32>();
  for (var j = 0u; j < 8u; j++) {
    let at = vec2u(row, k) + select(vec2u(0u, j), vec2u(j, 0u), A_T);
    if (at.y >= params.k) { break; }
    let i = a_base + min(at.x, params.m - 1u) * params.a_row + at.y * params.a_col;
    v[j / 2u] |= ((a[i / 8u][i / 2u % 4u] >> (i % 2u * 16u)) & 0xffffu) << (j % 2u * 16u);
  }
  return v;
}
/// Eight elements, along n (B_T: along k). Columns past the last are others.
fn eight_b(k: u32, col: u32) -> vec4<u32> {
  //#if K_TAIL
  if (k >= params.k) { return vec4<u32>(); }
  //#endif
  if (VEC_B) { return b[(b_base + k * params.b_row + min(col, params.n - select(8u, 1u, B_T)) * params.b_col) / 8u]; }
  var v = vec4<u32>();
  for (var j = 0u; j < 8u; j++) {
    let at = vec2u(k, col) + select(vec2u(0u, j), vec2u(j, 0u), B_T);
    if (at.x >= params.k) { break; }
    let i = b_base + at.x * params.b_row + min(at.y, params.n - 1u) * params.b_col;
    v[j / 2u] |= ((b[i / 8u][i / 2u % 4u] >> (i % 2u * 16u)) & 0xffffu) << (j % 2u * 16u);
  }
  return v;
}
/// What number e of the tile's eights holds: row (or column) and depth.
fn place_a(e: u32) -> vec2u { return select(vec2u(e / A_ROW, e % A_ROW * 8u), vec2u(e % A_ROW * 8u, e / A_ROW), A_T); }
fn place_b(e: u32) -> vec2u { return select(vec2u(e / B_ROW, e % B_ROW * 8u), vec2u(e % B_ROW * 8u, e / B_ROW), B_T); }

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) count: vec3u,
        @builtin(local_invocation_index) lid: u32, @builtin(subgroup_id) subgroup: u32,
        @builtin(subgroup_invocation_id) lane: u32) {
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
  let k_begin = slice * params.slice_depth;
  let k_end = min(k_begin + params.slice_depth, params.k);
  let row0 = tile_m * BM;
  let col0 = tile_n * BN;
  let own_row = subgroup / GN * FM * MM;
  let own_col = subgroup % GN * FN * MN;
  var acc: array<Sum, FM * FN>;
  // The next tile is on its way while this one is multiplied.
  var a_next: array<vec4<u32>, A_LOADS>;
  var b_next: array<vec4<u32>, B_LOADS>;
  for (var i = 0u; i < A_LOADS; i++) { //@unroll
    let at = place_a(lid + i * WG);
    a_next[i] = eight_a(row0 + at.x, k_begin + at.y);
  }
  for (var i = 0u; i < B_LOADS; i++) { //@unroll
    let at = place_b(lid + i * WG);
    b_next[i] = eight_b(k_begin + at.x, col0 + at.y);
  }
  for (var k0 = k_begin; k0 < k_end; k0 += TK) {
    workgroupBarrier();
    for (var i = 0u; i < A_LOADS; i++) { //@unroll
      tile[(lid + i * WG) / A_ROW * A_PITCH + (lid + i * WG) % A_ROW] = a_next[i];
    }
    for (var i = 0u; i < B_LOADS; i++) { //@unroll
      tile[B_AT + (lid + i * WG) / B_ROW * B_PITCH + (lid + i * WG) % B_ROW] = b_next[i];
    }
    workgroupBarrier();
    if (k0 + TK < k_end) {
      for (var i = 0u; i < A_LOADS; i++) { //@unroll
        let at = place_a(lid + i * WG);
        a_next[i] = eight_a(row0 + at.x, k0 + TK + at.y);
      }
      for (var i = 0u; i < B_LOADS; i++) { //@unroll
        let at = place_b(lid + i * WG);
        b_next[i] = eight_b(k0 + TK + at.x, col0 + at.y);
      }
    }
    for (var kk = 0u; kk < TK; kk += MK) { //@unroll
      var left: array<Left, FM>;
      for (var i = 0u; i < FM; i++) { //@unroll
        //#if A_T
        left[i] = subgroupMatrixLoad<Left, col_major>(&tile, kk * A_PITCH + (own_row + i * MM) / 8u, A_PITCH);
        //#else
        left[i] = subgroupMatrixLoad<Left, row_major>(&tile, (own_row + i * MM) * A_PITCH + kk / 8u, A_PITCH);
        //#endif
      }
      for (var j = 0u; j < FN; j++) { //@unroll
        //#if B_T
        let right = subgroupMatrixLoad<Right, col_major>(&tile, B_AT + (own_col + j * MN) * B_PITCH + kk / 8u, B_PITCH);
        //#else
        let right = subgroupMatrixLoad<Right, row_major>(&tile, B_AT + kk * B_PITCH + (own_col + j * MN) / 8u, B_PITCH);
        //#endif
        for (var i = 0u; i < FM; i++) { //@unroll
          acc[i * FN + j] = subgroupMatrixMultiplyAccumulate(left[i], right, acc[i * FN + j]);
        }
      }
    }
  }
  for (var i = 0u; i < FM; i++) { //@unroll
    workgroupBarrier();
    for (var j = 0u; j < FN; j++) { //@unroll
      subgroupMatrixStore<row_major>(&tile, subgroup * OUT + j * MN / 4u, acc[i * FN + j], ROW);
    }
    workgroupBarrier();
    for (var e = lane; e < OUT; e += SUBGROUP) {
      put(part, row0 + own_row + i * MM + e / ROW, col0 + own_col + e % ROW * 4u, bitcast<vec4f>(tile[subgroup * OUT + e]));
    }
  }
}

fn put(part: u32, row: u32, col: u32, sum: vec4f) {
  if (row >= params.m || col >= params.n) { return; }
  let at = params.y_start + (part * params.m + row) * params.n + col;
  var v = params.alpha * sum;
  //#if BIAS
  let c_at = row * params.c_row + col * params.c_col;
  let last = (min(params.n, col + 4u) - col - 1u) * params.c_col;
  v += params.beta * vec4f(load_c(c_at), load_c(c_at + min(params.c_col, last)),
                           load_c(c_at + min(2u * params.c_col, last)), load_c(c_at + last));
  //#endif
  //#if VEC_Y
  store4_y(at / 4u, v);
  //#else
  for (var j = 0u; j < 4u && col + j < params.n; j++) { store_y(at + j, v[j]); }
  //#endif
}
