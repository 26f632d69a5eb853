// 64-bit integers, pairs of words, the low one first, to and from f32.

fn is_nan(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

fn neg_64(a: vec2<u32>) -> vec2<u32> {
  return vec2<u32>(0u - a.x, ~a.y + select(0u, 1u, a.x == 0u));
}

fn abs_i64(a: vec2<u32>) -> vec2<u32> {
  return select(a, neg_64(a), a.y >= 0x80000000u);
}

// Rounded to nearest, ties to even; some devices convert the upper half of u32 otherwise.
fn f32_of_u32(x: u32) -> f32 {
  let half = f32(i32((x >> 1u) | (x & 1u)));
  return select(f32(i32(x)), 2f * half, x >= 0x80000000u);
}

// Rounded to nearest, ties to even.
fn f32_of_u64(a: vec2<u32>) -> f32 {
  if (a.y == 0u) {
    return f32_of_u32(a.x);
  }
  let lead = countLeadingZeros(a.y);
  let high = (a.y << lead) | select(a.x >> ((32u - lead) & 31u), 0u, lead == 0u);
  let rest = ((high & 0xffu) << 1u) | select(0u, 1u, (a.x << lead) != 0u);
  let m = high >> 8u;
  let up = rest > 0x100u || (rest == 0x100u && (m & 1u) != 0u);
  return f32(m + u32(up)) * bitcast<f32>((167u - lead) << 23u);
}

fn f32_of_i64(a: vec2<u32>) -> f32 {
  let m = f32_of_u64(abs_i64(a));
  return select(m, -m, a.y >= 0x80000000u);
}

// Truncates and saturates; NaN gives 0.
fn u64_of_f32(x: f32) -> vec2<u32> {
  let bits = bitcast<u32>(x);
  if (x < 1f || is_nan(x)) {
    return vec2<u32>();
  }
  let e = bits >> 23u;  // at least 127
  let m = (bits & 0x7fffffu) | 0x800000u;
  if (e >= 191u) {
    return vec2<u32>(0xffffffffu);
  }
  if (e <= 150u) {
    return vec2<u32>(m >> (150u - e), 0u);
  }
  let s = e - 150u;  // up to 40
  let near = vec2<u32>(m << (s & 31u), m >> ((32u - s) & 31u));
  return select(near, vec2<u32>(0u, m << (s & 31u)), s >= 32u);
}

fn i64_of_f32(x: f32) -> vec2<u32> {
  let m = u64_of_f32(abs(x));
  if (m.y >= 0x80000000u) {
    return select(vec2<u32>(0xffffffffu, 0x7fffffffu), vec2<u32>(0u, 0x80000000u), x < 0f);
  }
  return select(m, neg_64(m), x < 0f);
}
