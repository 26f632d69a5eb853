// As layer_normalization.wgsl, for rows so short that each invocation holds HELD fours of its row,
// which is read once. The divisor is 1, and group_step a multiple of 4.
const WG = 64u; //@config
const LANES = 64u; //@config
const HELD = 3u; //@config
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
fn load4_scale(i: u32) -> vec4f { return vec4f(scale[i * 4u], scale[i * 4u + 1u], scale[i * 4u + 2u], scale[i * 4u + 3u]); } //@load4 scale
//#endif
//#if BIAS
@group(0) @binding(2) var<storage, read> b: array<f32>;
fn load4_b(i: u32) -> vec4f { return vec4f(b[i * 4u], b[i * 4u + 1u], b[i * 4u + 2u], b[i * 4u + 3u]); } //@load4 b
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
fn store4_y(i: u32, v: vec4f) { y[i * 4u] = v.x; y[i * 4u + 1u] = v.y; y[i * 4u + 2u] = v.z; y[i * 4u + 3u] = v.w; } //@store4 y

fn store_moments(row: u32, center: f32, inverse: f32) {
  //#if MEAN
  store_mean(row, center);
  //#endif
  //#if INV
  store_inv_std_dev(row, inverse);
  //#endif
}

fn held_row(lid: u32, row: u32, lane: u32) {
  // Invocations past the last row take part in the barriers with nothing to add.
  let fours = select(0u, params.length / 4u, row < params.rows);
  let base = row * (params.length / 4u);
  let n = f32(params.length);
  var held: array<vec4f, HELD>;
  var sums = vec4f();
  for (var j = 0u; j < HELD; j++) {
    if (lane + j * LANES < fours) {
      held[j] = load4_x(base + lane + j * LANES);
      sums += held[j];
    }
  }
  var center = 0.0;
  if (!RMS) { center = tree_sum(lid, sums.x + sums.y + sums.z + sums.w) / n; }
  var square = 0.0;
  for (var j = 0u; j < HELD; j++) {
    if (lane + j * LANES < fours) {
      held[j] -= center;
      square += dot(held[j], held[j]);
    }
  }
  let inverse = inverseSqrt(tree_sum(lid, square) / n + params.epsilon);
  if (lane == 0u && row < params.rows) { store_moments(row, center, inverse); }
  let first = row % params.group_rows * (params.group_step / 4u);
  for (var j = 0u; j < HELD; j++) {
    let i = lane + j * LANES;
    if (i >= fours) { continue; }
    var v = held[j] * inverse;
    //#if SCALE
    v *= load4_scale(first + i);
    //#endif
    //#if BIAS
    v += load4_b(first + i);
    //#endif
    store4_y(base + i, v);
  }
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) count: vec3u,
        @builtin(local_invocation_index) lid: u32) {
  let row = (wid.x + wid.y * count.x) * (WG / LANES) + lid / LANES;
  held_row(lid, row, lid % LANES);
}
