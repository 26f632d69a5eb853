// Softmax (or its logarithm) of long rows of neighbours, which begin anywhere: one a workgroup
// (number x, then y). A row is read twice by aligned fours, the second time from the cache: first
// for its largest element and the sum of exponentials below it at once.
const WG = 256u; //@config
const LOG = false; //@config
const LANES = WG;
const LOWEST = -3.402823466e38;
//#if SUBGROUP
enable subgroups;
const SUBGROUP = 32u; //@config
//@use reduce_subgroup
//#else
//@use reduce_tree
//#endif
//@use quads

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
struct Params { rows: u32, length: u32 }
@group(0) @binding(2) var<uniform> params: Params;

fn load4_x(i: u32) -> vec4f { return vec4f(x[i * 4u], x[i * 4u + 1u], x[i * 4u + 2u], x[i * 4u + 3u]); } //@load4 x
fn store_y(i: u32, v: f32) { y[i] = v; } //@store y
fn store4_y(i: u32, v: vec4f) { y[i * 4u] = v.x; y[i * 4u + 1u] = v.y; y[i * 4u + 2u] = v.z; y[i * 4u + 3u] = v.w; } //@store4 y

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) count: vec3u,
        @builtin(local_invocation_index) lid: u32) {
  let row = wid.x + wid.y * count.x;
  if (row >= params.rows) { return; }
  let begin = row * params.length;
  let end = begin + params.length;
  let last = (end + 3u) / 4u;
  var own_top = LOWEST;
  var own_sum = 0.0;
  // Two at a time, whose loads overlap.
  for (var q = begin / 4u + lid; q < last; q += 2u * WG) {
    let r = min(q + WG, last - 1u);
    let own_a = inside(q, begin, end);
    let own_b = inside(r, begin, end) & vec4<bool>(q + WG < last);
    let a = select(vec4f(LOWEST), load4_x(q), own_a);
    let b = select(vec4f(LOWEST), load4_x(r), own_b);
    let tops = max(a, b);
    let before = own_top;
    own_top = max(own_top, max(max(tops.x, tops.y), max(tops.z, tops.w)));
    let sums = select(vec4f(), exp(a - own_top), own_a) + select(vec4f(), exp(b - own_top), own_b);
    own_sum = own_sum * exp(before - own_top) + sums.x + sums.y + sums.z + sums.w;
  }
  let top = tree_max(lid, own_top);
  let sum = tree_sum(lid, own_sum * exp(own_top - top));
  let scale = 1.0 / sum;
  let log_sum = log(sum);
  for (var q = begin / 4u + lid; q < last; q += WG) {
    let v = load4_x(q) - top;
    if (LOG) {
      store_inside(q, v - log_sum, begin, end);
    } else {
      store_inside(q, exp(v) * scale, begin, end);
    }
  }
}
