// Convolution with one input channel a group. One invocation: four neighbouring positions of an
// output row. Invocations run over quads of a row, rows, output channels, batch.
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
  total: u32, channels: u32, multiplier: u32, quads: u32,
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

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) count: vec3u,
        @builtin(local_invocation_index) lid: u32) {
  let number = (wid.x + wid.y * count.x) * WG + lid;
  if (number >= params.total) { return; }
  let col = number % params.quads * 4u;
  let line = number / params.quads;
  let row = line % params.out_h;
  let plane = line / params.out_h;
  let channel = plane % params.channels;
  let in_plane = plane / params.channels * (params.channels / params.multiplier) +
                 channel / params.multiplier;
  let origin_h = i32(row * params.stride_h) - i32(params.pad_h);
  let cols = vec4u(col, col + 1u, col + 2u, col + 3u);
  let origin_w = vec4i(cols * params.stride_w) - i32(params.pad_w);
  var sum = vec4f();
  //#if BIAS
  sum = vec4f(load_b(channel));
  //#endif
  for (var kh = 0u; kh < KH; kh++) {
    let h = origin_h + i32(kh * params.dilation_h);
    if (h < 0 || h >= i32(params.h)) { continue; }
    let base = (in_plane * params.h + u32(h)) * params.w;
    for (var kw = 0u; kw < KW; kw++) {
      let at = origin_w + i32(kw * params.dilation_w);
      let inside = (at >= vec4i()) & (at < vec4i(i32(params.w)));
      let i = base + vec4u(at);
      var v = vec4f();
      if (inside.x) { v.x = load_x(i.x); }
      if (inside.y) { v.y = load_x(i.y); }
      if (inside.z) { v.z = load_x(i.z); }
      if (inside.w) { v.w = load_x(i.w); }
      sum += v * load_w((channel * KH + kh) * KW + kw);
    }
  }
  let out = line * params.out_w + col;
  for (var j = 0u; j < 4u && col + j < params.out_w; j++) { store_y(out + j, sum[j]); }
}
