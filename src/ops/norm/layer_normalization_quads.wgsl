// Long rows brought to mean 0 and variance 1 (or, with RMS, to mean square 1), then scaled and
// shifted, as layer_normalization.wgsl does; a row of neighbours begins anywhere and is one
// workgroup's (number x, then y). It is read twice by aligned fours, the second time from the cache:
// first for mean and squares at once. The divisor is 1. Chan, Golub and LeVeque, "Algorithms for
// Computing the Sample Variance", 1983.
const WG = 256u; //@config
const RMS = false; //@config
const LANES = WG;
//#if SUBGROUP
enable subgroups;
const SUBGROUP = 32u; //@config
//@use reduce_subgroup
//#else
//@use reduce_tree
//#endif
//@use quads

@group(0) @binding(0) var<storage, read> x: array<f32>;
//#if SCALE
@group(0) @binding(1) var<storage, read> scale: array<f32>;
fn load_scale(i: u32) -> f32 { return scale[i]; } //@load scale
//#endif
//#if BIAS
@group(0) @binding(2) var<storage, read> b: array<f32>;
fn load_b(i: u32) -> f32 { return b[i]; } //@load b
//#endif
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
//#if MEAN
@group(0) @binding(4) var<storage, read_write> mean: array<f32>;
fn store_mean(i: u32, v: f32) { mean[i] = v; } //@store mean
//#endif
//#if INV
@group(0) @binding(5) var<storage, read_write> inv_std_dev: array<f32>;
fn store_inv_std_dev(i: u32, v: f32) { inv_std_dev[i] = v; } //@store inv_std_dev
//#endif
struct Params { rows: u32, length: u32, group_rows: u32, group_step: u32, divisor: u32, epsilon: f32 }
@group(0) @binding(6) var<uniform> params: Params;

fn load4_x(i: u32) -> vec4f { return vec4f(x[i * 4u], x[i * 4u + 1u], x[i * 4u + 2u], x[i * 4u + 3u]); } //@load4 x
fn store_y(i: u32, v: f32) { y[i] = v; } //@store y
fn store4_y(i: u32, v: vec4f) { y[i * 4u] = v.x; y[i * 4u + 1u] = v.y; y[i * 4u + 2u] = v.z; y[i * 4u + 3u] = v.w; } //@store4 y

/// v scaled and shifted; `at`: of its first element, which may lie before the row.
fn finished(v: vec4f, at: u32, base: u32, last: u32) -> vec4f {
  var out = v;
  let i = base + vec4u(min(at, last), min(at + 1u, last), min(at + 2u, last), min(at + 3u, last));
  //#if SCALE
  out *= vec4f(load_scale(i.x), load_scale(i.y), load_scale(i.z), load_scale(i.w));
  //#endif
  //#if BIAS
  out += vec4f(load_b(i.x), load_b(i.y), load_b(i.z), load_b(i.w));
  //#endif
  return out;
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) count: vec3u,
        @builtin(local_invocation_index) lid: u32) {
  let row = wid.x + wid.y * count.x;
  if (row >= params.rows) { return; }
  let begin = row * params.length;
  let end = begin + params.length;
  let last = (end + 3u) / 4u;
  let n = f32(params.length);
  // Of each lane of the fours: how many, their mean, the squares of their distances from it.
  var counts = vec4f();
  var means = vec4f();
  var squares = vec4f();
  for (var q = begin / 4u + lid; q < last; q += WG) {
    let own = inside(q, begin, end);
    let v = select(vec4f(), load4_x(q), own);
    if (RMS) {
      squares += v * v;
    } else {
      counts += select(vec4f(), vec4f(1.0), own);
      let d = select(vec4f(), v - means, own);
      means += d / max(counts, vec4f(1.0));
      squares += d * select(vec4f(), v - means, own);
    }
  }
  var center = 0.0;
  if (!RMS) {
    center = tree_sum(lid, dot(counts, means)) / n;
    let d = means - center;
    squares += counts * d * d;
  }
  let square = tree_sum(lid, squares.x + squares.y + squares.z + squares.w);
  let inverse = inverseSqrt(square / n + params.epsilon);
  if (lid == 0u) {
    //#if MEAN
    store_mean(row, center);
    //#endif
    //#if INV
    store_inv_std_dev(row, inverse);
    //#endif
  }
  let base = row % params.group_rows * params.group_step;
  for (var q = begin / 4u + lid; q < last; q += WG) {
    let at = q * 4u - begin;  // may wrap around before the row: such elements aren't stored
    store_inside(q, finished((load4_x(q) - center) * inverse, at, base, params.length - 1u), begin, end);
  }
}
