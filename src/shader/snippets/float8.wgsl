// Floats of 8 and 4 bits to and from f32, rounding to nearest, ties to even, and saturating as in
// src/base/float.h.

fn bits_f32(bits: u32) -> f32 {
  return bitcast<f32>(bits);
}

fn is_nan(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

// A finite code without sign, of a format with `m` bits of significand.
fn f32_of_small(code: u32, m: u32, bias: u32) -> f32 {
  let low = code & ((1u << m) - 1u);
  let subnormal = f32(low) * bitcast<f32>((128u - bias - m) << 23u);
  let normal = bitcast<f32>((((code >> m) + 127u - bias) << 23u) | (low << (23u - m)));
  return select(normal, subnormal, code < (1u << m));
}

// The code without sign of |x|, not NaN, at most `largest`.
fn small_bits(x: f32, m: u32, bias: u32, largest: u32) -> u32 {
  let a = min(abs(x), 131072f);
  let e = max(i32(bitcast<u32>(a) >> 23u) - 127, 1 - i32(bias));
  let units = u32(round(a * bitcast<f32>(u32(127 + i32(m) - e) << 23u)));
  return min((u32(e + i32(bias) - 1) << m) + units, largest);
}

fn with_sign(x: f32, negative: bool) -> f32 {
  return select(x, -x, negative);
}

fn f32_of_f8e4m3fn(c: u32) -> f32 {
  let v = with_sign(f32_of_small(c & 0x7fu, 3u, 7u), c > 0x7fu);
  return select(v, bits_f32(0x7fc00000u), (c & 0x7fu) == 0x7fu);
}

fn f32_of_f8e4m3fnuz(c: u32) -> f32 {
  let v = with_sign(f32_of_small(c & 0x7fu, 3u, 8u), c > 0x7fu);
  return select(v, bits_f32(0x7fc00000u), c == 0x80u);
}

fn f32_of_f8e5m2(c: u32) -> f32 {
  let v = with_sign(f32_of_small(c & 0x7fu, 2u, 15u), c > 0x7fu);
  let special = ((c & 0x80u) << 24u) | select(0x7f800000u, 0x7fc00000u, (c & 3u) != 0u);
  return select(v, bits_f32(special), (c & 0x7fu) >= 0x7cu);
}

fn f32_of_f8e5m2fnuz(c: u32) -> f32 {
  let v = with_sign(f32_of_small(c & 0x7fu, 2u, 16u), c > 0x7fu);
  return select(v, bits_f32(0x7fc00000u), c == 0x80u);
}

fn f32_of_f4e2m1(c: u32) -> f32 {
  return with_sign(f32_of_small(c & 7u, 1u, 1u), c > 7u);
}

fn f32_of_f8e8m0(c: u32) -> f32 {
  return bits_f32(select(select(c << 23u, 0x400000u, c == 0u), 0x7fc00000u, c == 255u));
}

fn f8e4m3fn_bits(x: f32) -> u32 {
  let c = select(small_bits(x, 3u, 7u, 0x7eu), 0x7fu, is_nan(x));
  return c | ((bitcast<u32>(x) >> 24u) & 0x80u);
}

fn f8e4m3fnuz_bits(x: f32) -> u32 {
  let c = small_bits(x, 3u, 8u, 0x7fu);
  return select(select(c | ((bitcast<u32>(x) >> 24u) & 0x80u), 0u, c == 0u), 0x80u, is_nan(x));
}

fn f8e5m2_bits(x: f32) -> u32 {
  let a = bitcast<u32>(x) & 0x7fffffffu;
  let c = select(small_bits(x, 2u, 15u, 0x7bu), select(0x7cu, 0x7eu, a > 0x7f800000u), a >= 0x7f800000u);
  return c | ((bitcast<u32>(x) >> 24u) & 0x80u);
}

fn f8e5m2fnuz_bits(x: f32) -> u32 {
  let c = small_bits(x, 2u, 16u, 0x7fu);
  return select(select(c | ((bitcast<u32>(x) >> 24u) & 0x80u), 0u, c == 0u), 0x80u, is_nan(x));
}

fn f4e2m1_bits(x: f32) -> u32 {
  let c = select(small_bits(x, 1u, 1u, 7u), 7u, is_nan(x));
  return c | ((bitcast<u32>(x) >> 28u) & 8u);
}

// Rounds up, whatever the sign.
fn f8e8m0_bits(x: f32) -> u32 {
  let a = bitcast<u32>(x) & 0x7fffffffu;
  let code = (a >> 23u) + select(0u, 1u, (a & 0x7fffffu) > select(0u, 0x400000u, a < 0x800000u));
  return select(min(code, 254u), 255u, a >= 0x7f800000u);
}
