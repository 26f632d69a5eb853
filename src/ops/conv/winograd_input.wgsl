// Winograd F(2x2, 3x3), the input: of every channel and every tile of 4 x 4, two apart, the 16
// numbers of transposed(B) d B, each in a matrix of its own of channels x pitch (tiles, padded).
// An invocation (number x, then y): a channel's tile. Lavin and Gray, arXiv:1509.09308, section 4.1.
const WG = 64u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> v: array<f32>;
struct Params {
  channels: u32, pitch: u32, tiles: u32, tiles_h: u32, tiles_w: u32,
  h: u32, w: u32, pad_h: u32, pad_w: u32, image: u32,
}
@group(0) @binding(2) var<uniform> params: Params;

fn load_x(i: u32) -> f32 { return x[i]; } //@load x

/// Four neighbours of a row; zeros in the padding.
fn load_row(plane: u32, row: i32, col: i32) -> vec4f {
  var d = vec4f();
  if (row < 0 || row >= i32(params.h)) { return d; }
  let base = (plane * params.h + u32(row)) * params.w;
  let end = i32(params.w);
  if (col >= 0 && col < end) { d.x = load_x(base + u32(col)); }
  if (col + 1 >= 0 && col + 1 < end) { d.y = load_x(base + u32(col + 1)); }
  if (col + 2 >= 0 && col + 2 < end) { d.z = load_x(base + u32(col + 2)); }
  if (col + 3 >= 0 && col + 3 < end) { d.w = load_x(base + u32(col + 3)); }
  return d;
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) count: vec3u,
        @builtin(local_invocation_index) lid: u32) {
  let number = (wid.x + wid.y * count.x) * WG + lid;
  let channel = number / params.pitch;
  let tile = number % params.pitch;
  if (channel >= params.channels || tile >= params.tiles) { return; }
  let image = params.image + tile / params.tiles_w / params.tiles_h;
  let row = i32(tile / params.tiles_w % params.tiles_h * 2u) - i32(params.pad_h);
  let col = i32(tile % params.tiles_w * 2u) - i32(params.pad_w);
  let plane = image * params.channels + channel;
  let d0 = load_row(plane, row, col);
  let d1 = load_row(plane, row + 1, col);
  let d2 = load_row(plane, row + 2, col);
  let d3 = load_row(plane, row + 3, col);
  let rows = array<vec4f, 4>(d0 - d2, d1 + d2, d2 - d1, d1 - d3);
  let step = params.channels * params.pitch;
  for (var i = 0u; i < 4u; i++) {
    let r = rows[i];
    let at = i * 4u * step + number;
    v[at] = r.x - r.z;
    v[at + step] = r.y + r.z;
    v[at + 2u * step] = r.z - r.y;
    v[at + 3u * step] = r.y - r.w;
  }
}
