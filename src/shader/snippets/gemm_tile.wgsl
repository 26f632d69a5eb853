// One workgroup's tile of a matrix product: WM*TM rows by WN*TN4*4 columns. An invocation has TM
// rows by TN4 groups of 4 columns, which lie WN*4 apart. PARTS invocations have the same ones, share
// the depth of each tile, and end with the sums of ROWS of the rows each. The including file has WM,
// WN, TM, TN4 (1 or 2), TK, PARTS, A_T, B_T, and tile_a(row, k): elements k..k+3 of a row of the left
// matrix; tile_b(k, col): elements col..col+3 of a row of the right one; both give zeros outside, as
// Held. A_T, B_T: neighbouring invocations load along the other axis.
const PART = WM * WN;
const WG = PART * PARTS;
const ROWS = TM / PARTS;
const BM = WM * TM;
const BN4 = WN * TN4;
const BN = BN4 * 4u;
const TK4 = TK / 4u;
const A_PITCH = TK4 + 1u;
const B_PITCH = select(BN4, BN4 + 1u, B_T);
//#if SHARED
// Both tiles, at last the sums of all parts.
const B_TILE = BM * A_PITCH;
var<workgroup> tile: array<vec4f, max(B_TILE + TK * B_PITCH, WG * TM * TN4)>;
fn get_a(i: u32) -> vec4f { return tile[i]; }
fn get_b(i: u32) -> vec4f { return tile[B_TILE + i]; }
fn set_a(i: u32, v: vec4f) { tile[i] = v; }
fn set_b(i: u32, v: vec4f) { tile[B_TILE + i] = v; }
//#else
var<workgroup> a_tile: array<vec4f, BM * A_PITCH>;
var<workgroup> b_tile: array<vec4f, TK * B_PITCH>;
fn get_a(i: u32) -> vec4f { return a_tile[i]; }
fn get_b(i: u32) -> vec4f { return b_tile[i]; }
fn set_a(i: u32, v: vec4f) { a_tile[i] = v; }
fn set_b(i: u32, v: vec4f) { b_tile[i] = v; }
//#endif
const A_COUNT = BM * TK4;
const B_COUNT = TK * BN4;
const A_LOADS = (A_COUNT + WG - 1u) / WG;
const B_LOADS = (B_COUNT + WG - 1u) / WG;
/// Where load number i of an invocation belongs: row and group of four k of a; k and column of b.
fn a_place(i: u32) -> vec2u { return select(vec2u(i / TK4, i % TK4), vec2u(i % BM, i / BM), A_T); }
fn b_place(i: u32) -> vec2u { return select(vec2u(i / BN4, i % BN4), vec2u(i % TK, i / TK), B_T); }
/// Has an invocation load number i at all?
fn has_a(i: u32) -> bool { return A_COUNT % WG == 0u || i < A_COUNT; }
fn has_b(i: u32) -> bool { return B_COUNT % WG == 0u || i < B_COUNT; }

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

/// The first of an invocation's ROWS rows in the tile.
fn own_row(lid: u32) -> u32 { return lid % PART / WN * TM + lid / PART * ROWS; }

/// Adds to the first ROWS rows of `acc` (row by row, its groups of columns together; with PARTS
/// acc begins with zeros) the products over depth k_begin to k_end, whose distance need be no
/// multiple of TK where the tiles are zero beyond.
fn gemm_tile(lid: u32, row0: u32, col0: u32, k_begin: u32, k_end: u32,
             acc: ptr<function, array<vec4f, TM * TN4>>) {
  let x = lid % WN;
  let y = lid % PART / WN * TM;
  let part = lid / PART;
  // The next tile is on its way while this one is multiplied.
  var a_next: array<Held, A_LOADS>;
  var b_next: array<Held, B_LOADS>;
  for (var k0 = k_begin; k0 < k_end + TK; k0 += TK) {
    if (k0 > k_begin) {
      workgroupBarrier();
      for (var i = 0u; i < A_LOADS; i++) { //@unroll
        let at = a_place(lid + i * WG);
        if (has_a(lid + i * WG)) { set_a(at.x * A_PITCH + at.y, widened(a_next[i])); }
      }
      for (var i = 0u; i < B_LOADS; i++) { //@unroll
        let at = b_place(lid + i * WG);
        if (has_b(lid + i * WG)) { set_b(at.x * B_PITCH + at.y, widened(b_next[i])); }
      }
      workgroupBarrier();
    }
    for (var i = 0u; i < A_LOADS; i++) { //@unroll
      let at = a_place(lid + i * WG);
      if (has_a(lid + i * WG)) { a_next[i] = tile_a(row0 + at.x, k0 + at.y * 4u); }
    }
    for (var i = 0u; i < B_LOADS; i++) { //@unroll
      let at = b_place(lid + i * WG);
      if (has_b(lid + i * WG)) { b_next[i] = tile_b(k0 + at.x, col0 + at.y * 4u); }
    }
    if (k0 == k_begin) { continue; }
    //#if EXACT
    for (var kq = 0u; kq < TK4; kq++) { //@unroll
    //#else
    // Ends where the depth does; written out by a driver, it takes twice as long to compile.
    let kq0 = part * (TK4 / PARTS);
    for (var kq = kq0; kq < kq0 + TK4 / PARTS && k0 + kq * 4u < k_end + TK; kq++) {
    //#endif
      let b = kq * 4u * B_PITCH + x;
      let b0 = get_b(b);
      let b1 = get_b(b + B_PITCH);
      let b2 = get_b(b + 2u * B_PITCH);
      let b3 = get_b(b + 3u * B_PITCH);
      if (TN4 == 1u) {
        for (var i = 0u; i < TM; i++) { //@unroll
          (*acc)[i] = multiply_add(get_a((y + i) * A_PITCH + kq), b0, b1, b2, b3, (*acc)[i]);
        }
      } else {
        let c0 = get_b(b + WN);
        let c1 = get_b(b + B_PITCH + WN);
        let c2 = get_b(b + 2u * B_PITCH + WN);
        let c3 = get_b(b + 3u * B_PITCH + WN);
        for (var i = 0u; i < TM; i++) { //@unroll
          let a = get_a((y + i) * A_PITCH + kq);
          (*acc)[i * TN4] = multiply_add(a, b0, b1, b2, b3, (*acc)[i * TN4]);
          (*acc)[(i + 1u) * TN4 - 1u] = multiply_add(a, c0, c1, c2, c3, (*acc)[(i + 1u) * TN4 - 1u]);
        }
      }
    }
  }
  //#if SHARED
  workgroupBarrier();
  for (var i = 0u; i < TM * TN4; i++) { //@unroll
    tile[(part * TM * TN4 + i) * PART + lid % PART] = (*acc)[i];
  }
  workgroupBarrier();
  for (var i = 0u; i < ROWS * TN4; i++) { //@unroll
    var sum = vec4f();
    for (var p = 0u; p < PARTS; p++) { sum += tile[((p * PARTS + part) * ROWS * TN4 + i) * PART + lid % PART]; }
    (*acc)[i] = sum;
  }
  //#endif
}
