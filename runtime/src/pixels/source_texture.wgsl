// The source as a texture of any float format.
@group(0) @binding(3) var picture: texture_2d<f32>;

fn load_pixel(at: vec2u) -> vec4f {
  return textureLoad(picture, at, 0);
}
