// One workgroup's tile of a matrix product: WM*TM rows by WN*4 columns, TM rows by 4 columns an
// invocation. The including file has WM, WN, TM, TK, A_T, B_T, and tile_a(row, k): elements
// k..k+3 of a row of the left matrix; tile_b(k, col): elements col..col+3 of a row of the right
// one; both give zeros outside. A_T, B_T: neighbouring invocations load along the other axis.
const WG = WM * WN;
const BM = WM * TM;
const BN = WN * 4u;
const TK4 = TK / 4u;
const A_PITCH = TK4 + 1u;
const B_PITCH = WN + 1u;
var<workgroup> a_tile: array<vec4f, BM * A_PITCH>;
var<workgroup> b_tile: array<vec4f, TK * B_PITCH>;

fn gemm_tile(lid: u32, row0: u32, col0: u32, depth: u32, acc: ptr<function, array<vec4f, TM>>) {
  let x = lid % WN;
  let y = (lid / WN) * TM;
  for (var k0 = 0u; k0 < depth; k0 += TK) {
    for (var i = lid; i < BM * TK4; i += WG) {
      let row = select(i / TK4, i % BM, A_T);
      let kq = select(i % TK4, i / BM, A_T);
      a_tile[row * A_PITCH + kq] = tile_a(row0 + row, k0 + kq * 4u);
    }
    for (var i = lid; i < TK * WN; i += WG) {
      let k = select(i / WN, i % TK, B_T);
      let colq = select(i % WN, i / TK, B_T);
      b_tile[k * B_PITCH + colq] = tile_b(k0 + k, col0 + colq * 4u);
    }
    workgroupBarrier();
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
    workgroupBarrier();
  }
}
