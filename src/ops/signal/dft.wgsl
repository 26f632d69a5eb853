// One pass of fast Fourier transforms (ops/common/fft.h): `radix`, a product of factors, at once,
// with `before` the product of earlier passes. A transform has length / radix lines; a workgroup
// (number x, then y) takes `together` neighbouring ones into its memory and goes through the
// factors there. FIRST: signals come from x, of one part or two; LAST: they go to y. PRE and POST
// multiply by tables, by positions in the signal.
const WG = 256u; //@config
//@use fft

//#if FIRST
@group(0) @binding(0) var<storage, read> x: array<f32>;
fn load_x(i: u32) -> f32 { return x[i]; } //@load x
//#else
@group(0) @binding(0) var<storage, read> source: array<vec2f>;
//#endif
// Roots of unity of order `length`: the first `split` ones, then every split-th.
@group(0) @binding(1) var<storage, read> roots: array<vec2f>;
//#if PRE
@group(0) @binding(2) var<storage, read> pre: array<vec2f>;
//#endif
//#if POST
@group(0) @binding(3) var<storage, read> post: array<vec2f>;
//#endif
//#if LAST
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
fn store_y(i: u32, v: f32) { y[i] = v; } //@store y
//#else
@group(0) @binding(4) var<storage, read_write> result: array<vec2f>;
//#endif
// `signal`: the transform's own length, which `length` passes where it is done by a convolution;
// `mirror`: that length where the signal's second half mirrors the first; by_row: lines are
// loaded or stored one after another, not next to each other.
struct Params {
  length: u32, radix: u32, before: u32, lines: u32, total: u32, together: u32, stages: u32,
  factors_0: u32, factors_1: u32, factors_2: u32, split: u32, signal: u32, mirror: u32,
  in_length: u32, in_parts: u32, out_length: u32, out_parts: u32, inner: u32,
  load_by_row: u32, store_by_row: u32, sign: f32, scale: f32,
}
@group(0) @binding(5) var<uniform> params: Params;

/// Element `at` of transform `t`.
fn element(t: u32, at: u32) -> vec2f {
  //#if FIRST
  let mirrored = at > params.mirror / 2u && params.mirror > 0u;
  let place = select(at, params.mirror - at, mirrored);
  if (at >= params.signal || place >= params.in_length) { return vec2f(); }
  let i = ((t / params.inner * params.in_length + place) * params.inner + t % params.inner) * params.in_parts;
  var v = vec2f(load_x(i), 0.0);
  if (params.in_parts == 2u) { v.y = select(1.0, -1.0, mirrored) * load_x(i + 1u); }
  //#else
  var v = source[t * params.length + at];
  //#endif
  //#if PRE
  v = complex_mul(v, pre[at]);
  //#endif
  return v;
}
fn put(t: u32, at: u32, value: vec2f) {
  var v = value;
  //#if LAST
  if (at >= params.out_length) { return; }
  //#endif
  //#if POST
  v = complex_mul(v, post[at]);
  //#endif
  //#if LAST
  let i = ((t / params.inner * params.out_length + at) * params.inner + t % params.inner) * params.out_parts;
  store_y(i, v.x * params.scale);
  if (params.out_parts == 2u) { store_y(i + 1u, v.y * params.scale); }
  //#else
  result[t * params.length + at] = v;
  //#endif
}

/// Line and element of item i.
fn place_of(i: u32, lines: u32, by_row: bool) -> vec2u {
  return select(vec2u(i % lines, i / lines), vec2u(i / params.radix, i % params.radix), by_row);
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) count: vec3u,
        @builtin(local_invocation_index) lid: u32) {
  let first = (wid.x + wid.y * count.x) * params.together;
  if (first >= params.total) { return; }
  let here = min(params.together, params.total - first);
  let radix = params.radix;
  let items = here * radix;
  for (var i = lid; i < items; i += WG) {
    let at = place_of(i, here, params.load_by_row != 0u);
    let line = (first + at.x) % params.lines;
    let e = at.y * (line % params.before) * (params.lines / params.before);
    data[at.x * radix + at.y] = complex_mul(element((first + at.x) / params.lines, line + at.y * params.lines), root(e));
  }
  workgroupBarrier();
  go_through_factors(lid, items);
  for (var i = lid; i < items; i += WG) {
    let at = place_of(i, here, params.store_by_row != 0u);
    let line = (first + at.x) % params.lines;
    let k = line % params.before;
    put((first + at.x) / params.lines, (line - k) * radix + k + at.y * params.before, data[at.x * radix + at.y]);
  }
}
