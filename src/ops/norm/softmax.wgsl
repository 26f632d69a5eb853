// Softmax (or its logarithm) of rows, whose elements lie `inner` apart. LANES invocations share a
// row; a workgroup (number x, then y) has WG / LANES neighbouring rows. With HELD, an invocation
// holds so many fours of its row, which is read once; else the row is read twice, the first time
// for its largest element and the sum of exponentials below it at once.
const WG = 64u; //@config
const LANES = 64u; //@config
const HELD = 3u; //@config
const LOG = false; //@config
//#if SUBGROUP
enable subgroups;
const SUBGROUP = 32u; //@config
//@use reduce_subgroup
//#else
//@use reduce_tree
//#endif

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
struct Params { rows: u32, length: u32, inner: u32 }
@group(0) @binding(2) var<uniform> params: Params;

//#if HELD
fn load4_x(i: u32) -> vec4f { return vec4f(x[i * 4u], x[i * 4u + 1u], x[i * 4u + 2u], x[i * 4u + 3u]); } //@load4 x
fn store4_y(i: u32, v: vec4f) { y[i * 4u] = v.x; y[i * 4u + 1u] = v.y; y[i * 4u + 2u] = v.z; y[i * 4u + 3u] = v.w; } //@store4 y

fn held_row(lid: u32, row: u32, lane: u32) {
  // Invocations past the last row take part in the barriers with nothing to add.
  let fours = select(0u, params.length / 4u, row < params.rows);
  let base = row * (params.length / 4u);
  var held: array<vec4f, HELD>;
  var tops = vec4f(LOWEST);
  for (var j = 0u; j < HELD; j++) {
    if (lane + j * LANES < fours) {
      held[j] = load4_x(base + lane + j * LANES);
      tops = max(tops, held[j]);
    }
  }
  let top = tree_max(lid, max(max(tops.x, tops.y), max(tops.z, tops.w)));
  var sums = vec4f();
  for (var j = 0u; j < HELD; j++) {
    if (lane + j * LANES < fours) {
      let e = exp(held[j] - top);
      sums += e;
      if (LOG) { held[j] -= top; } else { held[j] = e; }
    }
  }
  let sum = tree_sum(lid, sums.x + sums.y + sums.z + sums.w);
  let scale = 1.0 / sum;
  let log_sum = log(sum);
  for (var j = 0u; j < HELD; j++) {
    if (lane + j * LANES < fours) {
      store4_y(base + lane + j * LANES, select(held[j] * scale, held[j] - log_sum, LOG));
    }
  }
}
//#else
fn load_x(i: u32) -> f32 { return x[i]; } //@load x
fn store_y(i: u32, v: f32) { y[i] = v; } //@store y

fn long_row(lid: u32, row: u32, lane: u32) {
  let length = select(0u, params.length, row < params.rows);
  let base = row / params.inner * params.length * params.inner + row % params.inner;
  // Four at a time, whose loads overlap, and of which the first one always exists.
  var own_top = LOWEST;
  var own_sum = 0.0;
  for (var i = lane; i < length; i += 4u * LANES) {
    let last = length - 1u;
    var v = vec4f(load_x(base + i * params.inner),
                  load_x(base + min(i + LANES, last) * params.inner),
                  load_x(base + min(i + 2u * LANES, last) * params.inner),
                  load_x(base + min(i + 3u * LANES, last) * params.inner));
    let before = own_top;
    own_top = max(own_top, max(max(v.x, v.y), max(v.z, v.w)));
    v = select(exp(v - own_top), vec4f(), vec4u(i, i + LANES, i + 2u * LANES, i + 3u * LANES) >= vec4u(length));
    own_sum = own_sum * exp(before - own_top) + v.x + v.y + v.z + v.w;
  }
  let top = tree_max(lid, own_top);
  let sum = tree_sum(lid, own_sum * exp(own_top - top));
  let scale = 1.0 / sum;
  let log_sum = log(sum);
  for (var i = lane; i < length; i += LANES) {
    let at = base + i * params.inner;
    let v = load_x(at);
    if (LOG) { store_y(at, v - top - log_sum); } else { store_y(at, exp(v - top) * scale); }
  }
}
//#endif

const LOWEST = -3.402823466e38;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) count: vec3u,
        @builtin(local_invocation_index) lid: u32) {
  let row = (wid.x + wid.y * count.x) * (WG / LANES) + lid / LANES;
  //#if HELD
  held_row(lid, row, lid % LANES);
  //#else
  long_row(lid, row, lid % LANES);
  //#endif
}
