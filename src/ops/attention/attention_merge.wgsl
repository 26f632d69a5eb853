// The slices of attention_vector.wgsl put together: x has for each batch, head and slice HEAD_V
// sums of values, then the largest score, the sum of weights and two unused. A workgroup (number x,
// then y) has a head; GROUPS invocations share the slices of four columns.
const HEAD_V = 64u; //@config
const WG = 128u;
const V4 = HEAD_V / 4u;
const PITCH = V4 + 1u;
const ACROSS = min(V4, WG);
const GROUPS = WG / ACROSS;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
struct Params { batch: u32, heads: u32, slices: u32, y_batch: u32, y_head: u32, empty_row: f32 }
@group(0) @binding(2) var<uniform> params: Params;

fn load4_x(i: u32) -> vec4f { return vec4f(x[i * 4u], x[i * 4u + 1u], x[i * 4u + 2u], x[i * 4u + 3u]); } //@load4 x
fn store4_y(i: u32, v: vec4f) { y[i * 4u] = v.x; y[i * 4u + 1u] = v.y; y[i * 4u + 2u] = v.z; y[i * 4u + 3u] = v.w; } //@store4 y

const LOWEST = -3.402823466e38;
var<workgroup> sums: array<vec4f, WG>;
var<workgroup> ends: array<vec2f, WG>;  // the largest score, the sum of weights

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) count: vec3u,
        @builtin(local_invocation_index) lid: u32) {
  let row = wid.x + wid.y * count.x;
  if (row >= params.batch * params.heads) { return; }
  let first = row * params.slices * PITCH;
  let y_base = row / params.heads * params.y_batch + row % params.heads * params.y_head;
  for (var c0 = 0u; c0 < V4; c0 += ACROSS) {
    let column = min(c0 + lid % ACROSS, V4 - 1u);
    var top = LOWEST;
    var sum = vec4f();
    var total = 0.0;
    for (var s = lid / ACROSS; s < params.slices; s += GROUPS) {
      let end = load4_x(first + s * PITCH + V4).xy;
      let one = load4_x(first + s * PITCH + column);
      let was = top;
      top = max(top, end.x);
      let fade = exp(was - top);
      let weight = exp(end.x - top);
      sum = sum * fade + one * weight;
      total = total * fade + end.y * weight;
    }
    sums[lid] = sum;
    ends[lid] = vec2f(top, total);
    workgroupBarrier();
    if (lid < ACROSS && c0 + lid < V4) {
      for (var g = 1u; g < GROUPS; g++) { top = max(top, ends[g * ACROSS].x); }
      sum = vec4f();
      total = 0.0;
      for (var g = 0u; g < GROUPS; g++) {
        let weight = exp(ends[g * ACROSS].x - top);
        sum += sums[g * ACROSS + lid] * weight;
        total += ends[g * ACROSS].y * weight;
      }
      store4_y(y_base / 4u + column, select(sum / total, vec4f(params.empty_row), total == 0.0));
    }
    workgroupBarrier();
  }
}
