// y = a * transposed(b) + bias for one row of a, b as in matmul_nbits.wgsl, by products of four bytes
// at once: numbers of a become integers of 24 bits by the largest of their group, which are those that
// one load of b's takes, and those three digits. Sums of digits are exact, so that a result is as
// close as sums in f32 are. A workgroup (number x, then y) has a block of columns; LANES invocations
// share COLS of them as in matvec_nbits.wgsl, with FOUR_WORDS.
const BITS = 4u; //@config
const LANES = 8u; //@config
const COLS = 4u; //@config
const VEC_A = false; //@config
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
//@use row_fours

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
fn load4_a(i: u32) -> vec4f { return vec4f(a[i * 4u], a[i * 4u + 1u], a[i * 4u + 2u], a[i * 4u + 3u]); } //@load4 a
fn load_scale(i: u32) -> f32 { return scales[i]; } //@load scales
//#if VEC_Y
fn store4_y(i: u32, v: vec4f) { y[i * 4u] = v.x; y[i * 4u + 1u] = v.y; y[i * 4u + 2u] = v.z; y[i * 4u + 3u] = v.w; } //@store4 y
//#else
fn store_y(i: u32, v: f32) { y[i] = v; } //@store y
//#endif

/// Of digit d the word w of group g at (d * WORDS + w) * HELD + g.
var<workgroup> digits: array<u32, 3u * WORDS * HELD>;
/// Of a quarter of a group: the bits of its largest number, then the sum of its integers.
var<workgroup> tops: array<u32, 4u * HELD>;
var<workgroup> sums: array<i32, 4u * HELD>;
/// What 1 stands for in a group.
var<workgroup> units: array<f32, HELD>;
var<workgroup> partial: array<f32, WG * COLS>;

/// Fills `digits`, `sums` and `units` with the groups from `first` on. Quarter q of a group is word q
/// of b's. Infinities and NaN are larger than all numbers, so that results are none either.
fn take(first: u32, lid: u32) {
  for (var t = lid; t < 4u * HELD; t += WG) {
    let k = (first + t % HELD) * PER_GROUP + t / HELD * PER_WORD;
    var top = vec4u();
    for (var i = 0u; i < PER_WORD; i += 4u) { top = max(top, bitcast<vec4u>(four_a(k + i)) & vec4u(0x7fffffffu)); }
    tops[t] = max(max(top.x, top.y), max(top.z, top.w));
  }
  workgroupBarrier();
  for (var t = lid; t < 4u * HELD; t += WG) {
    let g = t % HELD;
    let quarter = t / HELD;
    let k = (first + g) * PER_GROUP + quarter * PER_WORD;
    let top = bitcast<f32>(max(max(tops[g], tops[HELD + g]), max(tops[2u * HELD + g], tops[3u * HELD + g])));
    if (quarter == 0u) { units[g] = top / WHOLE; }
    // Of what is too small for the quotient nothing is left.
    let factor = select(WHOLE / top, 0.0, top < 1e-31);
    var sum = vec4i();
    var own = array<vec3u, FIELDS>();
    for (var i = 0u; i < 4u * FIELDS; i += 4u) { //@unroll
      let whole = vec4i(round(four_a(k + i) * factor));
      sum += whole;
      for (var j = 0u; j < 4u; j++) { //@unroll
        let digit = (vec3u(bitcast<u32>(whole[j])) >> vec3u(0u, 8u, 16u)) & vec3u(255u);
        own[(i + j) % FIELDS] |= digit << vec3u((i + j) / FIELDS * 8u);
      }
    }
    for (var f = 0u; f < FIELDS; f++) { //@unroll
      for (var d = 0u; d < 3u; d++) { //@unroll
        digits[(d * WORDS + quarter * FIELDS + f) * HELD + g] = own[f][d];
      }
    }
    sums[t] = sum.x + sum.y + sum.z + sum.w;
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
  // What is to be read next is on its way while the numbers of a become digits.
  var next: array<vec4u, COLS>;
  for (var c = 0u; c < COLS; c++) { //@unroll
    next[c] = b[min(col0 + c, params.n - 1u) * groups + min(lane, groups - 1u)];
  }
  for (var held = 0u; held < groups; held += HELD) {
    take(held, lid);
    for (var g = lane; g < HELD && held + g < groups; g += LANES) {
      let group = held + g;
      let block = group * PER_GROUP / params.block;
      let total = f32(sums[g] + sums[HELD + g] + sums[2u * HELD + g] + sums[3u * HELD + g]);
      let packed = next;
      for (var c = 0u; c < COLS; c++) { //@unroll
        next[c] = b[min(col0 + c, params.n - 1u) * groups + min(group + min(LANES, HELD), groups - 1u)];
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
        acc[c] = fma(load_scale(col * params.blocks + block) * units[g], sum, acc[c]);
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
