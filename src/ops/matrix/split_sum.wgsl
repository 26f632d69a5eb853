// y = alpha * (the sum of x over its slices) + beta * c: the second pass of a product whose depth
// was split. One invocation (number x, then y): four neighbours with VEC, else an element.
const WG = 64u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
//#if BIAS
@group(0) @binding(1) var<storage, read> c: array<f32>;
//#endif
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
struct Params {
  count: u32, slices: u32, m: u32, n: u32, y_start: u32,
  alpha: f32, beta: f32, c_row: u32, c_col: u32,
}
@group(0) @binding(3) var<uniform> params: Params;

//#if BIAS
fn load_c(i: u32) -> f32 { return c[i]; } //@load c
fn bias(i: u32) -> f32 {
  return params.beta * load_c(i / params.n % params.m * params.c_row + i % params.n * params.c_col);
}
//#endif
//#if VEC
fn load4_x(i: u32) -> vec4f { return vec4f(x[i * 4u], x[i * 4u + 1u], x[i * 4u + 2u], x[i * 4u + 3u]); } //@load4 x
fn store4_y(i: u32, v: vec4f) { y[i * 4u] = v.x; y[i * 4u + 1u] = v.y; y[i * 4u + 2u] = v.z; y[i * 4u + 3u] = v.w; } //@store4 y
//#else
fn load_x(i: u32) -> f32 { return x[i]; } //@load x
fn store_y(i: u32, v: f32) { y[i] = v; } //@store y
//#endif

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) count: vec3u,
        @builtin(local_invocation_index) lid: u32) {
  let at = (wid.x + wid.y * count.x) * WG + lid;
  if (at >= params.count) { return; }
  //#if VEC
  var v = vec4f();
  for (var s = 0u; s < params.slices; s++) { v += load4_x(s * params.count + at); }
  v *= params.alpha;
  //#if BIAS
  v += vec4f(bias(at * 4u), bias(at * 4u + 1u), bias(at * 4u + 2u), bias(at * 4u + 3u));
  //#endif
  store4_y(params.y_start / 4u + at, v);
  //#else
  var one = 0.0;
  for (var s = 0u; s < params.slices; s++) { one += load_x(s * params.count + at); }
  one *= params.alpha;
  //#if BIAS
  one += bias(at);
  //#endif
  store_y(params.y_start + at, one);
  //#endif
}
