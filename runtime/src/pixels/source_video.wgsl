// The source as a frame of a video: its planes need not have the size at which it is shown.
@group(0) @binding(3) var picture: texture_external;

fn load_pixel(at: vec2u) -> vec4f {
  let shown = vec2f(f32(params.source_width), f32(params.source_height));
  let size = vec2f(textureDimensions(picture));
  return textureLoad(picture, vec2u((vec2f(at) + 0.5) * size / shown));
}
