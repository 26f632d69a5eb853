// A tensor as colours on a target: each pixel samples the tensor, makes a colour and how opaque it
// is of the value, and lays it over what is below. Colours come out multiplied by alpha.
struct Params {
  matrix: mat4x4f,      // of an image: a column for each of r, g, b, a
  bias: vec4f,
  stops: array<vec4f, 17>, // of the colour map
  map: vec4f,           // from the target's pixels to the tensor's elements: scale, offset
  inside: vec4f,        // the elements that show something: x, y, ends
  top_color: vec4f,
  under_color: vec4f,   // alpha 0: nothing
  range: vec2f,         // values are scaled, then offset
  threshold: f32,
  opacity: f32,
  target_size: vec2f,
  width: u32,
  pixel_stride: u32,
  channel_stride: u32,
  first_element: u32,
  channels: u32,        // 1 where a value is asked for
  kind: u32,            // of elements: f32, f16, bytes, i32, i64
  mode: u32,            // image, mask, heatmap, blend
  nearest: u32,
  pictures: u32,        // bit 0: top is a picture, bit 1: under is
  unused: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> elements: array<u32>;
@group(0) @binding(2) var top: texture_2d<f32>;
@group(0) @binding(3) var under: texture_2d<f32>;

fn element(at: u32) -> f32 {
  switch (params.kind) {
    case 0u: { return bitcast<f32>(elements[at]); }
    case 1u: { return unpack2x16float(elements[at / 2u])[at % 2u]; }
    case 2u: { return f32((elements[at / 4u] >> (8u * (at % 4u))) & 255u); }
    case 3u: { return f32(bitcast<i32>(elements[at])); }
    default: { return f32(bitcast<i32>(elements[at * 2u])); }
  }
}

fn channels_at(at: vec2f) -> vec4f {
  let inside = clamp(at, params.inside.xy, params.inside.zw - 1.0);
  let first = params.first_element +
    (u32(inside.y) * params.width + u32(inside.x)) * params.pixel_stride;
  var values = vec4f();
  for (var c = 0u; c < params.channels; c++) {
    values[c] = element(first + c * params.channel_stride);
  }
  return values;
}

fn sample_tensor(at: vec2f) -> vec4f {
  if (params.nearest != 0u) { return channels_at(floor(at)); }
  let base = floor(at - 0.5);
  let part = at - 0.5 - base;
  let upper = mix(channels_at(base), channels_at(base + vec2f(1.0, 0.0)), part.x);
  let lower = mix(channels_at(base + vec2f(0.0, 1.0)), channels_at(base + 1.0), part.x);
  return mix(upper, lower, part.y);
}

fn sample_picture(picture: texture_2d<f32>, uv: vec2f) -> vec4f {
  let size = vec2f(textureDimensions(picture));
  let base = floor(uv * size - 0.5);
  let part = uv * size - 0.5 - base;
  let low = vec2i(clamp(base, vec2f(), size - 1.0));
  let high = vec2i(clamp(base + 1.0, vec2f(), size - 1.0));
  let a = textureLoad(picture, low, 0);
  let b = textureLoad(picture, vec2i(high.x, low.y), 0);
  let c = textureLoad(picture, vec2i(low.x, high.y), 0);
  let d = textureLoad(picture, high, 0);
  return mix(mix(a, b, part.x), mix(c, d, part.x), part.y);
}

fn color_of(value: f32) -> vec3f {
  let at = clamp(value, 0.0, 1.0) * 16.0;
  let low = u32(min(at, 15.0));
  return mix(params.stops[low], params.stops[low + 1u], at - f32(low)).rgb;
}

@vertex
fn corner(@builtin(vertex_index) i: u32) -> @builtin(position) vec4f {
  return vec4f(f32(i & 1u) * 4.0 - 1.0, f32(i >> 1u) * 4.0 - 1.0, 0.0, 1.0); // a triangle over all
}

@fragment
fn shade(@builtin(position) position: vec4f) -> @location(0) vec4f {
  let uv = position.xy / params.target_size;
  let at = position.xy * params.map.xy + params.map.zw;
  let shown = all(at >= params.inside.xy) && all(at < params.inside.zw);
  let values = sample_tensor(at) * params.range.x + params.range.y;
  var value = clamp(values.x, 0.0, 1.0);
  if (params.threshold >= 0.0) { value = select(0.0, 1.0, values.x >= params.threshold); }

  var below = params.under_color;
  if ((params.pictures & 2u) != 0u) { below = vec4f(sample_picture(under, uv).rgb, 1.0); }
  var above = params.top_color.rgb;
  if ((params.pictures & 1u) != 0u) { above = sample_picture(top, uv).rgb; }
  var alpha = params.opacity;
  switch (params.mode) {
    case 0u: {
      let color = clamp(values * params.matrix + params.bias, vec4f(), vec4f(1.0));
      above = color.rgb;
      alpha *= color.a;
    }
    case 2u: { above = color_of(value); }
    default: { alpha *= value; }
  }
  if (!shown) { alpha = 0.0; }
  let rgb = mix(below.rgb * below.a, above, alpha);
  return vec4f(rgb, alpha + below.a * (1.0 - alpha));
}
