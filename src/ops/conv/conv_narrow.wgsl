// Convolution with few output positions. Workgroup number (x, then y): four positions, output
// channel (group by group), batch, the first fastest; invocations share the sum over input
// channels and taps.
const KH = 3u; //@config
const KW = 3u; //@config
const WG = 64u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
//#if BIAS
@group(0) @binding(2) var<storage, read> b: array<f32>;
//#endif
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
struct Params {
  in_channels: u32, out_channels: u32, groups: u32, batch: u32, quads: u32,
  h: u32, w: u32, out_h: u32, out_w: u32, stride_h: u32, stride_w: u32,
  dilation_h: u32, dilation_w: u32, pad_h: u32, pad_w: u32,
}
@group(0) @binding(4) var<uniform> params: Params;

fn load_x(i: u32) -> f32 { return x[i]; } //@load x
fn load_w(i: u32) -> f32 { return w[i]; } //@load w
//#if BIAS
fn load_b(i: u32) -> f32 { return b[i]; } //@load b
//#endif
fn store_y(i: u32, v: f32) { y[i] = v; } //@store y

var<workgroup> partial: array<vec4f, WG>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) count: vec3u,
        @builtin(local_invocation_index) lid: u32) {
  let number = wid.x + wid.y * count.x;
  let channels = params.groups * params.out_channels;
  let plane = number / params.quads;
  if (plane >= params.batch * channels) { return; }
  let channel = plane % channels;
  let depth = params.in_channels * KH * KW;
  let positions = params.out_h * params.out_w;
  let col = number % params.quads * 4u;
  let cols = vec4u(col, col + 1u, col + 2u, col + 3u);
  var origin_h = vec4i(cols / params.out_w * params.stride_h) - i32(params.pad_h);
  origin_h = select(vec4i(-1073741824), origin_h, cols < vec4u(positions));
  let origin_w = vec4i(cols % params.out_w * params.stride_w) - i32(params.pad_w);
  let size = vec2i(i32(params.h), i32(params.w));
  let x_base = (plane / channels * params.groups + channel / params.out_channels) *
               params.in_channels * params.h * params.w;
  var sum = vec4f();
  for (var k = lid; k < depth; k += WG) {
    let tap = k % (KH * KW);
    let h = origin_h + i32(tap / KW * params.dilation_h);
    let w = origin_w + i32(tap % KW * params.dilation_w);
    let inside = (h >= vec4i()) & (h < vec4i(size.x)) & (w >= vec4i()) & (w < vec4i(size.y));
    let i = x_base + k / (KH * KW) * params.h * params.w + vec4u(h) * params.w + vec4u(w);
    var v = vec4f();
    if (inside.x) { v.x = load_x(i.x); }
    if (inside.y) { v.y = load_x(i.y); }
    if (inside.z) { v.z = load_x(i.z); }
    if (inside.w) { v.w = load_x(i.w); }
    sum += v * load_w(channel * depth + k);
  }
  partial[lid] = sum;
  workgroupBarrier();
  for (var s = WG / 2u; s > 0u; s /= 2u) {
    if (lid < s) { partial[lid] += partial[lid + s]; }
    workgroupBarrier();
  }
  if (lid < 4u && col + lid < positions) {
    var v = partial[0][lid];
    //#if BIAS
    v += load_b(channel);
    //#endif
    store_y(plane * positions + col + lid, v);
  }
}
