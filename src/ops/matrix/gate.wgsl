// y = silu(gate) * up, of f32 products: after them, in common/gated.cc. One invocation (number x, then
// y): four neighbours with VEC, else an element.
const WG = 64u;

@group(0) @binding(0) var<storage, read> gate: array<f32>;
@group(0) @binding(1) var<storage, read> up: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
/// Of fours, with VEC.
struct Params { count: u32, y_start: u32 }
@group(0) @binding(3) var<uniform> params: Params;

//#if VEC
fn load4_gate(i: u32) -> vec4f { return vec4f(gate[i * 4u], gate[i * 4u + 1u], gate[i * 4u + 2u], gate[i * 4u + 3u]); } //@load4 gate
fn load4_up(i: u32) -> vec4f { return vec4f(up[i * 4u], up[i * 4u + 1u], up[i * 4u + 2u], up[i * 4u + 3u]); } //@load4 up
fn store4_y(i: u32, v: vec4f) { y[i * 4u] = v.x; y[i * 4u + 1u] = v.y; y[i * 4u + 2u] = v.z; y[i * 4u + 3u] = v.w; } //@store4 y
//#else
fn load_gate(i: u32) -> f32 { return gate[i]; } //@load gate
fn load_up(i: u32) -> f32 { return up[i]; } //@load up
fn store_y(i: u32, v: f32) { y[i] = v; } //@store y
//#endif

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) count: vec3u,
        @builtin(local_invocation_index) lid: u32) {
  let at = (wid.x + wid.y * count.x) * WG + lid;
  if (at >= params.count) { return; }
  //#if VEC
  let g = load4_gate(at);
  store4_y(params.y_start + at, g / (1.0 + exp(-g)) * load4_up(at));
  //#else
  let one = load_gate(at);
  store_y(params.y_start + at, one / (1.0 + exp(-one)) * load_up(at));
  //#endif
}
