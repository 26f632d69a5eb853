// Softmax (or its logarithm) of rows, whose elements lie `inner` apart. LANES invocations share a
// row; a workgroup (number x, then y) has WG / LANES neighbouring rows.
const WG = 64u; //@config
const LANES = 64u; //@config
const LOG = false; //@config
//@use reduce_tree

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
struct Params { rows: u32, length: u32, inner: u32 }
@group(0) @binding(2) var<uniform> params: Params;

fn load_x(i: u32) -> f32 { return x[i]; } //@load x
fn store_y(i: u32, v: f32) { y[i] = v; } //@store y

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) count: vec3u,
        @builtin(local_invocation_index) lid: u32) {
  let row = (wid.x + wid.y * count.x) * (WG / LANES) + lid / LANES;
  // Invocations past the last row take part in the barriers with nothing to add.
  let length = select(0u, params.length, row < params.rows);
  let base = row / params.inner * params.length * params.inner + row % params.inner;
  let lane = lid % LANES;
  var top = -3.402823466e38;
  for (var i = lane; i < length; i += LANES) { top = max(top, load_x(base + i * params.inner)); }
  top = tree_max(lid, top);
  var sum = 0.0;
  for (var i = lane; i < length; i += LANES) { sum += exp(load_x(base + i * params.inner) - top); }
  sum = tree_sum(lid, sum);
  let scale = 1.0 / sum;
  let log_sum = log(sum);
  for (var i = lane; i < length; i += LANES) {
    let at = base + i * params.inner;
    let v = load_x(at);
    if (LOG) { store_y(at, v - top - log_sum); } else { store_y(at, exp(v - top) * scale); }
  }
}
