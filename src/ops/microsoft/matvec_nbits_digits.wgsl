// y = a * transposed(b) + bias for one row of a, b as in matmul_nbits.wgsl, by products of four bytes
// at once: numbers of a become integers of 24 bits by the largest of their group, which are those that
// one load of b's takes, and those three digits. Sums of digits are exact, so that a result is as
// close as sums in f32 are. A workgroup (number x, then y) has a block of columns; LANES invocations
// share COLS of them as in matvec_nbits.wgsl, with FOUR_WORDS.
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
/// What the largest number of a group becomes: less than 24 bits hold, for roundings.
const WHOLE = 8388600.0;
const BYTES = MASK * 0x01010101u;
//@use nbits

@group(0) @binding(0) var<storage, read> a: array<f32>;
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
struct Params { n: u32, k: u32, blocks: u32, block: u32, row_words: u32, zero_row: u32 }
@group(0) @binding(7) var<uniform> params: Params;

fn load_a(i: u32) -> f32 { return a[i]; } //@load a
fn load_scale(i: u32) -> f32 { return scales[i]; } //@load scales
fn store_y(i: u32, v: f32) { y[i] = v; } //@store y

/// Of digit d the word w of group g at (d * WORDS + w) * HELD + g.
var<workgroup> digits: array<u32, 3u * WORDS * HELD>;
/// Of a quarter of a group: the bits of its largest number, then the sum of its integers.
var<workgroup> tops: array<u32, 4u * HELD>;
var<workgroup> sums: array<i32, 4u * HELD>;
var<workgroup> partial: array<f32, WG * COLS>;

fn number(k: u32) -> f32 {
  if (k >= params.k) { return 0.0; }
  return load_a(k);
}

/// Infinities and NaN are larger than all numbers, so that results are none either.
fn top_of(g: u32) -> f32 {
  return bitcast<f32>(max(max(tops[g], tops[HELD + g]), max(tops[2u * HELD + g], tops[3u * HELD + g])));
}

/// Fills `digits` and `sums` with the groups from `first` on. Quarter q of a group is word q of b's.
fn take(first: u32, lid: u32) {
  for (var t = lid; t < 4u * HELD; t += WG) {
    let k = (first + t % HELD) * PER_GROUP + t / HELD * PER_WORD;
    var top = 0u;
    for (var i = 0u; i < PER_WORD; i++) { top = max(top, bitcast<u32>(number(k + i)) & 0x7fffffffu); }
    tops[t] = top;
  }
  workgroupBarrier();
  for (var t = lid; t < 4u * HELD; t += WG) {
    let g = t % HELD;
    let k = (first + g) * PER_GROUP + t / HELD * PER_WORD;
    let top = top_of(g);
    // Of what is too small for the quotient nothing is left.
    let factor = select(WHOLE / top, 0.0, top < 1e-31);
    var sum = 0;
    for (var f = 0u; f < FIELDS; f++) {
      var own = array<u32, 3>();
      for (var i = 0u; i < 4u; i++) {
        let whole = i32(round(number(k + i * FIELDS + f) * factor));
        sum += whole;
        for (var d = 0u; d < 3u; d++) { own[d] |= ((bitcast<u32>(whole) >> (8u * d)) & 255u) << (8u * i); }
      }
      for (var d = 0u; d < 3u; d++) { digits[(d * WORDS + t / HELD * FIELDS + f) * HELD + g] = own[d]; }
    }
    sums[t] = sum;
  }
  workgroupBarrier();
}

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
  for (var held = 0u; held < groups; held += HELD) {
    take(held, lid);
    for (var g = lane; g < HELD && held + g < groups; g += LANES) {
      let group = held + g;
      let block = group * PER_GROUP / params.block;
      let unit = top_of(g) / WHOLE;
      let total = f32(sums[g] + sums[HELD + g] + sums[2u * HELD + g] + sums[3u * HELD + g]);
      var packed: array<vec4u, COLS>;
      for (var c = 0u; c < COLS; c++) { //@unroll
        packed[c] = b[min(col0 + c, params.n - 1u) * groups + group];
      }
      var low: array<u32, WORDS>;
      var middle: array<u32, WORDS>;
      var high: array<u32, WORDS>;
      for (var j = 0u; j < WORDS; j++) { //@unroll
        low[j] = digits[j * HELD + g];
        middle[j] = digits[(WORDS + j) * HELD + g];
        high[j] = digits[(2u * WORDS + j) * HELD + g];
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
  for (var c = lid; c < BLOCK && first + c < params.n; c += WG) {
    var v = partial[c % COLS * WG + c / COLS * LANES];
    //#if BIAS
    v += load_bias(first + c);
    //#endif
    store_y(first + c, v);
  }
}
