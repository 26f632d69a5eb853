// The source as r, g, b, a bytes in rows without gaps.
@group(0) @binding(3) var<storage, read> picture: array<u32>;

fn load_pixel(at: vec2u) -> vec4f {
  return unpack4x8unorm(picture[at.y * params.source_width + at.x]);
}
