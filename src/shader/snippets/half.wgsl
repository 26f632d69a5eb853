// f16, bf16 and double to and from f32, rounding to nearest, ties to even.

fn bits_f32(bits: u32) -> f32 {
  return bitcast<f32>(bits);
}

fn is_nan(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

// The builtin pack2x16float leaves rounding and overflow open.
fn f16_bits(x: f32) -> u32 {
  let bits = bitcast<u32>(x);
  let a = bits & 0x7fffffffu;
  let sign = (bits >> 16u) & 0x8000u;
  if (a >= 0x47800000u) {
    return sign | select(0x7c00u, 0x7e00u, a > 0x7f800000u);
  }
  if (a < 0x38800000u) {
    // Adding 0.5 makes the device round at 2^-24, the spacing of subnormals.
    return sign | (bitcast<u32>(bitcast<f32>(a) + 0.5f) - 0x3f000000u);
  }
  return sign | ((a - 0x37fff001u + ((a >> 13u) & 1u)) >> 13u);
}

fn bf16_bits(x: f32) -> u32 {
  let bits = bitcast<u32>(x);
  let rounded = (bits + 0x7fffu + ((bits >> 16u) & 1u)) >> 16u;
  return select(rounded, 0x7fc0u | ((bits >> 16u) & 0x8000u), is_nan(x));
}

// A double; exact where it is a normal f32, else rounded; below that range 0.
fn f32_of_f64(v: vec2<u32>) -> f32 {
  let sign = v.y & 0x80000000u;
  let e = i32((v.y >> 20u) & 0x7ffu) - 896;
  let a = ((v.y & 0xfffffu) << 3u) | (v.x >> 29u);
  let rest = v.x & 0x1fffffffu;
  let up = rest > 0x10000000u || (rest == 0x10000000u && (a & 1u) != 0u);
  if (e >= 1151) {
    return bits_f32(sign | select(0x7f800000u, 0x7fc00000u, (a | rest) != 0u));
  }
  if (e <= 0) {
    return bits_f32(sign | select(0u, 0x800000u, e == 0 && a == 0x7fffffu && up));
  }
  return bits_f32(sign | select(0x7f800000u, (u32(e) << 23u) + a + u32(up), e < 255));
}

fn f64_of_f32(x: f32) -> vec2<u32> {
  let bits = bitcast<u32>(x);
  let sign = bits & 0x80000000u;
  let e = (bits >> 23u) & 0xffu;
  var m = bits & 0x7fffffu;
  if (e == 255u) {
    return vec2<u32>(0u, sign | select(0x7ff00000u, 0x7ff80000u, m != 0u));
  }
  if (e == 0u) {
    if (m == 0u) {
      return vec2<u32>(0u, sign);
    }
    let up = countLeadingZeros(m) - 8u;
    m = (m << up) & 0x7fffffu;
    return vec2<u32>(m << 29u, sign | ((897u - up) << 20u) | (m >> 3u));
  }
  return vec2<u32>(m << 29u, sign | ((e + 896u) << 20u) | (m >> 3u));
}
