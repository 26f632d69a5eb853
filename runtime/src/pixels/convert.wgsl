// A picture to the elements of an input: each is a weighted sum of source pixels, by tables of rows
// and columns (taps.ts), then a matrix over r, g, b, a. An invocation (number y * row_items + x)
// makes one pixel of 4-byte elements, or one word of smaller ones. source_*.wgsl comes behind it.
struct Params {
  width: u32,
  height: u32,
  channels: u32,
  pixel_stride: u32,   // elements from a pixel to the next
  channel_stride: u32,
  first_word: u32,     // of this picture in result
  per_word: u32,       // elements: 1 (f32), 2 (f16), 4 (u8)
  items: u32,
  row_items: u32,
  x_taps: u32,
  y_taps: u32,
  source_width: u32,
  source_height: u32,
  unused0: u32,
  unused1: u32,
  unused2: u32,
  matrix: mat4x4f,     // a column for each channel of the result
  bias: vec4f,
  pad_color: vec4f,
}

@group(0) @binding(0) var<uniform> params: Params;
// For each column, then for each row: the first pixel (bars have none), and weights.
@group(0) @binding(1) var<storage, read> taps: array<u32>;
@group(0) @binding(2) var<storage, read_write> result: array<u32>;

const bar = 0xffffffffu;

fn color_of(pixel: u32) -> vec4f {
  let column = (pixel % params.width) * (params.x_taps + 1u);
  let row = params.width * (params.x_taps + 1u) + (pixel / params.width) * (params.y_taps + 1u);
  let first = vec2u(taps[column], taps[row]);
  var color = params.pad_color;
  if (first.x != bar && first.y != bar) {
    color = vec4f();
    for (var j = 0u; j < params.y_taps; j++) {
      var line = vec4f();
      for (var i = 0u; i < params.x_taps; i++) {
        line += bitcast<f32>(taps[column + 1u + i]) * load_pixel(first + vec2u(i, j));
      }
      color += bitcast<f32>(taps[row + 1u + j]) * line;
    }
  }
  return color * params.matrix + params.bias;
}

fn word_of(item: u32) -> u32 {
  let plane = params.width * params.height;
  var values = vec4f();
  var known = bar;
  var color = vec4f();
  for (var k = 0u; k < params.per_word; k++) {
    let element = item * params.per_word + k;
    if (element >= plane * params.channels) { break; }
    let pixel = (element / params.pixel_stride) % plane;
    if (pixel != known) { color = color_of(pixel); }
    known = pixel;
    values[k] = color[(element / params.channel_stride) % params.channels];
  }
  if (params.per_word == 2u) { return pack2x16float(values.xy); }
  let bytes = vec4u(floor(clamp(values, vec4f(), vec4f(255.0)) + 0.5));
  return bytes.x | (bytes.y << 8u) | (bytes.z << 16u) | (bytes.w << 24u);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let item = id.y * params.row_items + id.x;
  if (item >= params.items) { return; }
  if (params.per_word > 1u) {
    result[params.first_word + item] = word_of(item);
    return;
  }
  let color = color_of(item);
  for (var c = 0u; c < params.channels; c++) {
    let at = item * params.pixel_stride + c * params.channel_stride;
    result[params.first_word + at] = bitcast<u32>(color[c]);
  }
}
