// Winograd F(2x2, 3x3), the output: of every channel's tile the 2 x 2 positions of transposed(A) m A,
// where m are 16 numbers, each in a matrix of its own of channels x pitch. An invocation (number x,
// then y): a channel's tile.
const WG = 64u;

@group(0) @binding(0) var<storage, read> m: array<f32>;
//#if BIAS
@group(0) @binding(1) var<storage, read> b: array<f32>;
fn load_b(i: u32) -> f32 { return b[i]; } //@load b
//#endif
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
struct Params {
  channels: u32, pitch: u32, tiles: u32, tiles_h: u32, tiles_w: u32,
  out_h: u32, out_w: u32, image: u32,
}
@group(0) @binding(3) var<uniform> params: Params;

fn store_y(i: u32, v: f32) { y[i] = v; } //@store y

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) count: vec3u,
        @builtin(local_invocation_index) lid: u32) {
  let number = (wid.x + wid.y * count.x) * WG + lid;
  let channel = number / params.pitch;
  let tile = number % params.pitch;
  if (channel >= params.channels || tile >= params.tiles) { return; }
  let step = params.channels * params.pitch;
  var rows: array<vec4f, 4>;
  for (var i = 0u; i < 4u; i++) {
    let at = i * 4u * step + number;
    rows[i] = vec4f(m[at], m[at + step], m[at + 2u * step], m[at + 3u * step]);
  }
  var start = 0.0;
  //#if BIAS
  start = load_b(channel);
  //#endif
  let sums = array<vec4f, 2>(rows[0] + rows[1] + rows[2], rows[1] - rows[2] - rows[3]);
  let image = params.image + tile / params.tiles_w / params.tiles_h;
  let row = tile / params.tiles_w % params.tiles_h * 2u;
  let col = tile % params.tiles_w * 2u;
  let plane = image * params.channels + channel;
  for (var i = 0u; i < 2u; i++) {
    if (row + i >= params.out_h) { break; }
    let r = sums[i];
    let at = (plane * params.out_h + row + i) * params.out_w + col;
    store_y(at, start + r.x + r.y + r.z);
    if (col + 1u < params.out_w) { store_y(at + 1u, start + r.y - r.z - r.w); }
  }
}
