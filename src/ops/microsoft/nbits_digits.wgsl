// The numbers of a row as matvec_nbits_digits.wgsl multiplies them: integers of 24 bits by the largest
// of their group, which are those that one load of packed weights takes, in three digits. An invocation
// (workgroup number x, then y) has a quarter of a group, which is a word of the weights. y has of digit
// d the word w of group g at (d * WORDS + w) * groups + g, then f32: the sum of each group's integers,
// and what 1 stands for in it.
const BITS = 4u; //@config
const VEC_A = false; //@config
const WG = 64u;
const PER_GROUP = 4u * PER_WORD;
/// Numbers in a byte, and words of a digit in a group.
const FIELDS = 8u / BITS;
const WORDS = 4u * FIELDS;
/// What the largest number of a group becomes: less than 24 bits hold, for roundings.
const WHOLE = 8388600.0;
//@use nbits
//@use row_fours

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
struct Params { k: u32, groups: u32 }
@group(0) @binding(2) var<uniform> params: Params;

fn load_a(i: u32) -> f32 { return a[i]; } //@load a
fn load4_a(i: u32) -> vec4f { return vec4f(a[i * 4u], a[i * 4u + 1u], a[i * 4u + 2u], a[i * 4u + 3u]); } //@load4 a
fn store_y(i: u32, v: u32) { y[i] = v; } //@store y

/// Of a quarter of a group: the bits of its largest number, the sum of its integers.
var<workgroup> tops: array<u32, WG>;
var<workgroup> sums: array<i32, WG>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) count: vec3u,
        @builtin(local_invocation_index) lid: u32) {
  let number = (wid.x + wid.y * count.x) * WG + lid;
  let group = number / 4u;
  let k = number * PER_WORD;
  // Infinities and NaN are larger than all numbers, so that results are none either.
  var most = vec4u();
  for (var i = 0u; i < PER_WORD; i += 4u) { most = max(most, bitcast<vec4u>(four_a(k + i)) & vec4u(0x7fffffffu)); }
  tops[lid] = max(max(most.x, most.y), max(most.z, most.w));
  workgroupBarrier();
  let first = lid / 4u * 4u;
  let top = bitcast<f32>(max(max(tops[first], tops[first + 1u]), max(tops[first + 2u], tops[first + 3u])));
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
  sums[lid] = sum.x + sum.y + sum.z + sum.w;
  workgroupBarrier();
  if (group >= params.groups) { return; }
  for (var f = 0u; f < FIELDS; f++) { //@unroll
    for (var d = 0u; d < 3u; d++) { //@unroll
      store_y((d * WORDS + number % 4u * FIELDS + f) * params.groups + group, own[f][d]);
    }
  }
  if (number % 4u == 0u) {
    let total = sums[lid] + sums[lid + 1u] + sums[lid + 2u] + sums[lid + 3u];
    store_y(3u * WORDS * params.groups + group, bitcast<u32>(f32(total)));
    store_y((3u * WORDS + 1u) * params.groups + group, bitcast<u32>(top / WHOLE));
  }
}
