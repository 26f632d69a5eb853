// The slices of attention_vector.wgsl or attention_tiles.wgsl put together: x has for each batch,
// head, query and slice HEAD_V sums of values, then the largest score, the sum of weights and two
// unused. A workgroup (number x, then y) has ROWS queries; GROUPS invocations share the slices of
// four columns.
const HEAD_V = 64u; //@config
const GROUPS = 8u; //@config
const WG = 128u;
const V4 = HEAD_V / 4u;
const PITCH = V4 + 1u;
const ACROSS = min(V4, WG);
const ROWS = WG / (ACROSS * GROUPS);

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
struct Params {
  rows: u32, heads: u32, queries: u32, slices: u32, y_batch: u32, y_head: u32, y_row: u32,
  empty_row: f32,
}
@group(0) @binding(2) var<uniform> params: Params;

fn load4_x(i: u32) -> vec4f { return vec4f(x[i * 4u], x[i * 4u + 1u], x[i * 4u + 2u], x[i * 4u + 3u]); } //@load4 x
fn store4_y(i: u32, v: vec4f) { y[i * 4u] = v.x; y[i * 4u + 1u] = v.y; y[i * 4u + 2u] = v.z; y[i * 4u + 3u] = v.w; } //@store4 y

const LOWEST = -3.402823466e38;
var<workgroup> sums: array<vec4f, WG>;
var<workgroup> ends: array<vec2f, WG>;  // the largest score, the sum of weights

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) count: vec3u,
        @builtin(local_invocation_index) lid: u32) {
  let part = lid / ACROSS;
  let row = (wid.x + wid.y * count.x) * ROWS + part / GROUPS;
  let works = part < ROWS * GROUPS && row < params.rows;
  let first = row * params.slices * PITCH;
  let head = row / params.queries % params.heads;
  let batch = row / params.queries / params.heads;
  let y_base = batch * params.y_batch + head * params.y_head + row % params.queries * params.y_row;
  for (var c0 = 0u; c0 < V4; c0 += ACROSS) {
    let column = c0 + lid % ACROSS;
    var top = LOWEST;
    var sum = vec4f();
    var total = 0.0;
    if (works) {
      for (var s = part % GROUPS; s < params.slices; s += GROUPS) {
        let end = load4_x(first + s * PITCH + V4).xy;
        let one = load4_x(first + s * PITCH + min(column, V4 - 1u));
        let was = top;
        top = max(top, end.x);
        let fade = exp(was - top);
        let weight = exp(end.x - top);
        sum = sum * fade + one * weight;
        total = total * fade + end.y * weight;
      }
    }
    sums[lid] = sum;
    ends[lid] = vec2f(top, total);
    workgroupBarrier();
    if (works && part % GROUPS == 0u && column < V4) {
      for (var g = 1u; g < GROUPS; g++) { top = max(top, ends[lid + g * ACROSS].x); }
      sum = vec4f();
      total = 0.0;
      for (var g = 0u; g < GROUPS; g++) {
        let end = ends[lid + g * ACROSS];
        let weight = exp(end.x - top);
        sum += sums[lid + g * ACROSS] * weight;
        total += end.y * weight;
      }
      store4_y(y_base / 4u + column, select(sum / total, vec4f(params.empty_row), total == 0.0));
    }
    workgroupBarrier();
  }
}
