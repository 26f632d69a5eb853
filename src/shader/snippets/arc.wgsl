// Inverses of the circular functions, to about 1e-7: WGSL bounds the error of atan by 4096 units in
// the last place, and asin and acos inherit it.

fn bits_f32(bits: u32) -> f32 {
  return bitcast<f32>(bits);
}

fn is_nan(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

fn atan_f32(x: f32) -> f32 {
  let a = abs(x);
  let far = a > 2.4142135f;
  let near = a <= 0.41421357f;
  let t = select(select((a - 1f) / (a + 1f), -1f / a, far), a, near);
  let base = select(select(0.7853982f, 1.5707964f, far), 0f, near);
  let z = t * t;
  let p = -0.33332955f + z * (0.19977926f + z * (-0.1387985f + z * 0.08060308f));
  let y = base + (t + t * z * p);
  return select(select(y, -y, x < 0f), x, is_nan(x));
}

fn atan2_f32(y: f32, x: f32) -> f32 {
  let ax = abs(x);
  let ay = abs(y);
  if (is_nan(x) || is_nan(y)) {
    return bits_f32(0x7fc00000u);
  }
  // The smaller over the larger: 0 for two zeros, 1 for two infinities.
  let large = max(ax, ay);
  let ratio = select(min(ax, ay) / large, select(0f, 1f, ax == ay && ax > 0f),
                     ax == ay || large == 0f);
  var r = atan_f32(ratio);
  r = select(r, 1.5707964f - r, ay > ax);
  r = select(r, 3.1415927f - r, (bitcast<u32>(x) & 0x80000000u) != 0u);
  return bitcast<f32>((bitcast<u32>(r) & 0x7fffffffu) | (bitcast<u32>(y) & 0x80000000u));
}

// asin for 0 <= x <= 1/2.
fn asin_small(x: f32) -> f32 {
  let z = x * x;
  let p = 0.045477097f + z * (0.024147612f + z * 0.04221855f);
  return x + x * z * (0.16666754f + z * (0.07495242f + z * p));
}

fn asin_f32(x: f32) -> f32 {
  let a = abs(x);
  let half = asin_small(sqrt(max(0.5f - 0.5f * a, 0f)));
  let y = select(1.5707964f - 2f * half, asin_small(a), a < 0.5f);
  return select(select(y, -y, x < 0f), bits_f32(0x7fc00000u), a > 1f || is_nan(x));
}

fn acos_f32(x: f32) -> f32 {
  let a = abs(x);
  let half = 2f * asin_small(sqrt(max(0.5f - 0.5f * a, 0f)));
  let s = asin_small(a);
  let y = select(select(half, 3.1415927f - half, x < 0f), 1.5707964f - select(s, -s, x < 0f),
                 a < 0.5f);
  return select(y, bits_f32(0x7fc00000u), a > 1f || is_nan(x));
}
