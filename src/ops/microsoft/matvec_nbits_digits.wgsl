// y = a * transposed(b) + bias for one row of a, b as in matmul_nbits.wgsl, by products of four bytes
// at once: of a come the digits that nbits_digits.wgsl makes. Sums of digits are exact, so that a
// result is as close as sums in f32 are. A workgroup (number x, then y) has a block of columns; LANES
// invocations share COLS of them as in matvec_nbits.wgsl, with FOUR_WORDS.
const BITS = 4u; //@config
const LANES = 8u; //@config
const COLS = 4u; //@config
const WG = 256u;
const BLOCK = WG / LANES * COLS;
const PER_GROUP = 4u * PER_WORD;
/// Numbers in a byte, and words of a digit in a group.
const FIELDS = 8u / BITS;
const WORDS = 4u * FIELDS;
/// Groups of a that workgroup memory holds at a time.
const HELD = 2048u / PER_GROUP;
/// Of a group: its digits, the sum of its integers, what 1 stands for.
const PARTS = 3u * WORDS + 2u;
const BYTES = MASK * 0x01010101u;
//@use nbits

@group(0) @binding(0) var<storage, read> digits: array<u32>;
@group(0) @binding(1) var<storage, read> b: array<vec4<u32>>;
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
struct Params { n: u32, blocks: u32, block: u32, row_words: u32, zero_row: u32 }
@group(0) @binding(7) var<uniform> params: Params;

fn load_digits(i: u32) -> u32 { return digits[i]; } //@load digits
fn load_scale(i: u32) -> f32 { return scales[i]; } //@load scales
//#if VEC_Y
fn store4_y(i: u32, v: vec4f) { y[i * 4u] = v.x; y[i * 4u + 1u] = v.y; y[i * 4u + 2u] = v.z; y[i * 4u + 3u] = v.w; } //@store4 y
//#else
fn store_y(i: u32, v: f32) { y[i] = v; } //@store y
//#endif

/// Of groups, part number p of group g at p * HELD + g.
var<workgroup> parts: array<u32, PARTS * HELD>;
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

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) count: vec3u,
        @builtin(local_invocation_index) lid: u32) {
  let first = (wid.x + wid.y * count.x) * BLOCK;
  if (first >= params.n) { return; }
  let lane = lid % LANES;
  let col0 = first + lid / LANES * COLS;
  let groups = params.row_words / 4u;
  var acc = array<f32, COLS>();
  // What is to be read next is on its way.
  var next: array<vec4u, COLS>;
  for (var c = 0u; c < COLS; c++) { //@unroll
    next[c] = b[min(col0 + c, params.n - 1u) * groups + min(lane, groups - 1u)];
  }
  for (var held = 0u; held < groups; held += HELD) {
    for (var i = lid; i < PARTS * HELD; i += WG) {
      parts[i] = load_digits(i / HELD * groups + min(held + i % HELD, groups - 1u));
    }
    workgroupBarrier();
    for (var g = lane; g < HELD && held + g < groups; g += LANES) {
      let group = held + g;
      let block = group * PER_GROUP / params.block;
      let total = bitcast<f32>(parts[3u * WORDS * HELD + g]);
      let unit = bitcast<f32>(parts[(3u * WORDS + 1u) * HELD + g]);
      let packed = next;
      for (var c = 0u; c < COLS; c++) { //@unroll
        next[c] = b[min(col0 + c, params.n - 1u) * groups + min(group + min(LANES, HELD), groups - 1u)];
      }
      var low: array<u32, WORDS>;
      var middle: array<u32, WORDS>;
      var high: array<u32, WORDS>;
      for (var j = 0u; j < WORDS; j++) { //@unroll
        low[j] = parts[j * HELD + g];
        middle[j] = parts[(WORDS + j) * HELD + g];
        high[j] = parts[(2u * WORDS + j) * HELD + g];
      }
      for (var c = 0u; c < COLS; c++) { //@unroll
        var u = 0u;
        var v = 0u;
        var w = 0;
        for (var j = 0u; j < WORDS; j++) { //@unroll
          let q = (packed[c][j / FIELDS] >> (j % FIELDS * BITS)) & BYTES;
          u += dot4U8Packed(q, low[j]);
          v += dot4U8Packed(q, middle[j]);
          // The high digit has a sign, for which numbers of 8 bits leave no room.
          if (BITS == 8u) {
            w += bitcast<i32>(dot4U8Packed(q, high[j] ^ 0x80808080u)) - 128 * bitcast<i32>(dot4U8Packed(q, 0x01010101u));
          } else {
            w += dot4I8Packed(q, high[j]);
          }
        }
        let col = min(col0 + c, params.n - 1u);
        let sum = f32(u + 256u * v) + 65536.0 * f32(w) - zero_point(col, block) * total;
        acc[c] = fma(load_scale(col * params.blocks + block) * unit, sum, acc[c]);
      }
    }
    workgroupBarrier();
  }
  for (var c = 0u; c < COLS; c++) { partial[c * WG + lid] = acc[c]; }
  workgroupBarrier();
  for (var s = LANES / 2u; s > 0u; s /= 2u) {
    if (lane < s) {
      for (var c = 0u; c < COLS; c++) { partial[c * WG + lid] += partial[c * WG + lid + s]; }
    }
    workgroupBarrier();
  }
  //#if VEC_Y
  for (var c = lid * 4u; c < BLOCK && first + c < params.n; c += WG * 4u) {
    store4_y((first + c) / 4u, vec4f(sum_of(c, first), sum_of(c + 1u, first), sum_of(c + 2u, first), sum_of(c + 3u, first)));
  }
  //#else
  for (var c = lid; c < BLOCK && first + c < params.n; c += WG) { store_y(first + c, sum_of(c, first)); }
  //#endif
}

/// Of column `c` of the workgroup's, whose first one is `first`.
fn sum_of(c: u32, first: u32) -> f32 {
  var v = partial[c % COLS * WG + c / COLS * LANES];
  //#if BIAS
  v += load_bias(first + c);
  //#endif
  return v;
}
