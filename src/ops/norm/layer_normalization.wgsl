// Rows brought to mean 0 and variance 1 (or, with RMS, to mean square 1), then scaled and shifted:
// layer, RMS, instance and group normalisation. LANES invocations share a row; a workgroup
// (number x, then y) has WG / LANES neighbouring rows. Element i of row r has scale and bias
// r % group_rows * group_step + i / divisor.
const WG = 64u; //@config
const LANES = 64u; //@config
const RMS = false; //@config
//#if SUBGROUP
enable subgroups;
const SUBGROUP = 32u; //@config
//@use reduce_subgroup
//#else
//@use reduce_tree
//#endif

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

fn load_x(i: u32) -> f32 { return x[i]; } //@load x
fn store_y(i: u32, v: f32) { y[i] = v; } //@store y

fn store_moments(row: u32, center: f32, inverse: f32) {
  //#if MEAN
  store_mean(row, center);
  //#endif
  //#if INV
  store_inv_std_dev(row, inverse);
  //#endif
}

fn long_row(lid: u32, row: u32, lane: u32) {
  let length = select(0u, params.length, row < params.rows);
  let base = row * params.length;
  let n = f32(params.length);
  var center = 0.0;
  if (!RMS) {
    var sum = 0.0;
    for (var i = lane; i < length; i += LANES) { sum += load_x(base + i); }
    center = tree_sum(lid, sum) / n;
  }
  var square = 0.0;
  for (var i = lane; i < length; i += LANES) {
    let d = load_x(base + i) - center;
    square += d * d;
  }
  let inverse = inverseSqrt(tree_sum(lid, square) / n + params.epsilon);
  if (lane == 0u && row < params.rows) { store_moments(row, center, inverse); }
  let first = row % params.group_rows * params.group_step;
  for (var i = lane; i < length; i += LANES) {
    let at = first + i / params.divisor;
    var v = (load_x(base + i) - center) * inverse;
    //#if SCALE
    v *= load_scale(at);
    //#endif
    //#if BIAS
    v += load_b(at);
    //#endif
    store_y(base + i, v);
  }
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) count: vec3u,
        @builtin(local_invocation_index) lid: u32) {
  let row = (wid.x + wid.y * count.x) * (WG / LANES) + lid / LANES;
  long_row(lid, row, lid % LANES);
}
