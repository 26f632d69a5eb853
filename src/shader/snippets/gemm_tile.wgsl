// One workgroup's tile of a matrix product: WM*TM rows by WN*4 columns, TM rows by 4 columns an
// invocation. The including file has WM, WN, TM, TK, A_T, B_T, and tile_a(row, k): elements
// k..k+3 of a row of the left matrix; tile_b(k, col): elements col..col+3 of a row of the right
// one; both give zeros outside. A_T, B_T: neighbouring invocations load along the other axis.
const WG = WM * WN;
const BM = WM * TM;
const BN = WN * 4u;
const TK4 = TK / 4u;
const A_PITCH = select(TK4, TK4 + 1u, TK4 < 8u);
const B_PITCH = select(WN, WN + 1u, B_T);
var<workgroup> a_tile: array<vec4f, BM * A_PITCH>;
var<workgroup> b_tile: array<vec4f, TK * B_PITCH>;

const A_LOADS = BM * TK4 / WG;
const B_LOADS = TK * WN / WG;

/// Where load number i of an invocation belongs: row and group of four k of a; k and column of b.
fn a_place(i: u32) -> vec2u { return select(vec2u(i / TK4, i % TK4), vec2u(i % BM, i / BM), A_T); }
fn b_place(i: u32) -> vec2u { return select(vec2u(i / WN, i % WN), vec2u(i % TK, i / TK), B_T); }

fn gemm_tile(lid: u32, row0: u32, col0: u32, depth: u32, acc: ptr<function, array<vec4f, TM>>) {
  let x = lid % WN;
  let y = (lid / WN) * TM;
  // The next tile is on its way while this one is multiplied.
  var a_next: array<vec4f, A_LOADS>;
  var b_next: array<vec4f, B_LOADS>;
  for (var k0 = 0u; k0 < depth + TK; k0 += TK) {
    if (k0 > 0u) {
      workgroupBarrier();
      for (var i = 0u; i < A_LOADS; i++) {
        let at = a_place(lid + i * WG);
        a_tile[at.x * A_PITCH + at.y] = a_next[i];
      }
      for (var i = 0u; i < B_LOADS; i++) {
        let at = b_place(lid + i * WG);
        b_tile[at.x * B_PITCH + at.y] = b_next[i];
      }
      workgroupBarrier();
    }
    for (var i = 0u; i < A_LOADS; i++) {
      let at = a_place(lid + i * WG);
      a_next[i] = tile_a(row0 + at.x, k0 + at.y * 4u);
    }
    for (var i = 0u; i < B_LOADS; i++) {
      let at = b_place(lid + i * WG);
      b_next[i] = tile_b(k0 + at.x, col0 + at.y * 4u);
    }
    if (k0 == 0u) { continue; }
    for (var kq = 0u; kq < TK4; kq++) {
      let b = kq * 4u * B_PITCH + x;
      let b0 = b_tile[b];
      let b1 = b_tile[b + B_PITCH];
      let b2 = b_tile[b + 2u * B_PITCH];
      let b3 = b_tile[b + 3u * B_PITCH];
      for (var i = 0u; i < TM; i++) {
        let a = a_tile[(y + i) * A_PITCH + kq];
        (*acc)[i] += a.x * b0 + a.y * b1 + a.z * b2 + a.w * b3;
      }
    }
  }
}
