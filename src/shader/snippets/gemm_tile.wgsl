// One workgroup's tile of a matrix product: WM*TM rows by WN*TN4*4 columns. An invocation has TM
// rows by TN4 groups of 4 columns, which lie WN*4 apart. The including file has WM, WN, TM, TN4 (1
// or 2), TK, A_T, B_T, and tile_a(row, k): elements k..k+3 of a row of the left matrix; tile_b(k,
// col): elements col..col+3 of a row of the right one; both give zeros outside, as Held. A_T, B_T:
// neighbouring invocations load along the other axis.
const WG = WM * WN;
const BM = WM * TM;
const BN4 = WN * TN4;
const BN = BN4 * 4u;
const TK4 = TK / 4u;
const A_PITCH = select(TK4, TK4 + 1u, TK4 < 8u);
const B_PITCH = select(BN4, BN4 + 1u, B_T);
var<workgroup> a_tile: array<vec4f, BM * A_PITCH>;
var<workgroup> b_tile: array<vec4f, TK * B_PITCH>;

const A_LOADS = BM * TK4 / WG;
const B_LOADS = TK * BN4 / WG;

/// Where load number i of an invocation belongs: row and group of four k of a; k and column of b.
fn a_place(i: u32) -> vec2u { return select(vec2u(i / TK4, i % TK4), vec2u(i % BM, i / BM), A_T); }
fn b_place(i: u32) -> vec2u { return select(vec2u(i / BN4, i % BN4), vec2u(i % TK, i / TK), B_T); }

//#if HALF
// Halves are widened on their way into a tile: done when they are loaded, it waits for memory.
alias Held = vec2<u32>;
fn widened(h: Held) -> vec4f { return vec4f(unpack2x16float(h.x), unpack2x16float(h.y)); }
fn held(v: vec4f) -> Held { return vec2<u32>(pack2x16float(v.xy), pack2x16float(v.zw)); }
//#else
alias Held = vec4f;
fn widened(h: Held) -> vec4f { return h; }
fn held(v: vec4f) -> Held { return v; }
//#endif

/// sum + a b0..b3, as one chain: drivers do not contract sums of products over vectors.
fn multiply_add(a: vec4f, b0: vec4f, b1: vec4f, b2: vec4f, b3: vec4f, sum: vec4f) -> vec4f {
  return fma(vec4f(a.w), b3, fma(vec4f(a.z), b2, fma(vec4f(a.y), b1, fma(vec4f(a.x), b0, sum))));
}

/// Adds to `acc` (row by row, its groups of columns together) the products over depth k_begin to
/// k_end, whose distance need be no multiple of TK where the tiles are zero beyond.
fn gemm_tile(lid: u32, row0: u32, col0: u32, k_begin: u32, k_end: u32,
             acc: ptr<function, array<vec4f, TM * TN4>>) {
  let x = lid % WN;
  let y = (lid / WN) * TM;
  // The next tile is on its way while this one is multiplied.
  var a_next: array<Held, A_LOADS>;
  var b_next: array<Held, B_LOADS>;
  for (var k0 = k_begin; k0 < k_end + TK; k0 += TK) {
    if (k0 > k_begin) {
      workgroupBarrier();
      for (var i = 0u; i < A_LOADS; i++) { //@unroll
        let at = a_place(lid + i * WG);
        a_tile[at.x * A_PITCH + at.y] = widened(a_next[i]);
      }
      for (var i = 0u; i < B_LOADS; i++) { //@unroll
        let at = b_place(lid + i * WG);
        b_tile[at.x * B_PITCH + at.y] = widened(b_next[i]);
      }
      workgroupBarrier();
    }
    for (var i = 0u; i < A_LOADS; i++) { //@unroll
      let at = a_place(lid + i * WG);
      a_next[i] = tile_a(row0 + at.x, k0 + at.y * 4u);
    }
    for (var i = 0u; i < B_LOADS; i++) { //@unroll
      let at = b_place(lid + i * WG);
      b_next[i] = tile_b(k0 + at.x, col0 + at.y * 4u);
    }
    if (k0 == k_begin) { continue; }
    // Ends where the depth does; written out by a driver, it takes twice as long to compile.
    for (var kq = 0u; kq < TK4 && k0 + kq * 4u < k_end + TK; kq++) {
      let b = kq * 4u * B_PITCH + x;
      let b0 = b_tile[b];
      let b1 = b_tile[b + B_PITCH];
      let b2 = b_tile[b + 2u * B_PITCH];
      let b3 = b_tile[b + 3u * B_PITCH];
      if (TN4 == 1u) {
        for (var i = 0u; i < TM; i++) { //@unroll
          (*acc)[i] = multiply_add(a_tile[(y + i) * A_PITCH + kq], b0, b1, b2, b3, (*acc)[i]);
        }
      } else {
        let c0 = b_tile[b + WN];
        let c1 = b_tile[b + B_PITCH + WN];
        let c2 = b_tile[b + 2u * B_PITCH + WN];
        let c3 = b_tile[b + 3u * B_PITCH + WN];
        for (var i = 0u; i < TM; i++) { //@unroll
          let a = a_tile[(y + i) * A_PITCH + kq];
          (*acc)[i * TN4] = multiply_add(a, b0, b1, b2, b3, (*acc)[i * TN4]);
          (*acc)[(i + 1u) * TN4 - 1u] = multiply_add(a, c0, c1, c2, c3, (*acc)[(i + 1u) * TN4 - 1u]);
        }
      }
    }
  }
}
