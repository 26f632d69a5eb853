// Exponentials, logarithms and their kin. WGSL's own lose all relative accuracy near 0 (sinh,
// tanh, log near 1) or overflow early on some devices (tanh). Polynomials: minimax fits, relative
// error below 3e-8 before rounding.

fn bits_f32(bits: u32) -> f32 {
  return bitcast<f32>(bits);
}

fn is_nan(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

// log(1 + f) for 1 + f in [sqrt(1/2), sqrt(2)].
fn log_near_1(f: f32) -> f32 {
  let s = f / (2f + f);
  let z = s * s;
  return f - s * (f - z * (0.66666776f + z * (0.39977542f + z * 0.29871728f)));
}

// k and f where x = 2^k (1 + f), for positive finite x; k as a float.
fn split_f32(x: f32) -> vec2<f32> {
  let bits = bitcast<u32>(x);
  let subnormal = bits < 0x00800000u;
  let b = select(bits, bitcast<u32>(f32(bits)), subnormal) + 0x004afb0du;  // 1 - sqrt(1/2)
  let k = f32(i32(b >> 23u) - 127) - select(0f, 149f, subnormal);
  return vec2<f32>(k, bitcast<f32>((b & 0x007fffffu) + 0x3f3504f3u) - 1f);
}

fn log_f32(x: f32) -> f32 {
  let s = split_f32(x);
  let y = s.x * 0.69311523f + (log_near_1(s.y) + s.x * 3.1946185e-5f);
  let bits = bitcast<u32>(x);
  if ((bits & 0x7fffffffu) == 0u) {
    return bits_f32(0xff800000u);
  }
  return select(y, bits_f32(select(0x7fc00000u, 0x7f800000u, bits == 0x7f800000u)),
                bits >= 0x7f800000u);
}

fn log1p_f32(x: f32) -> f32 {
  if (x > -0.29f && x < 0.41f) {
    return log_near_1(x);
  }
  if (x > 16777216f || x <= -1f || is_nan(x)) {
    return log_f32(x + 1f);
  }
  let u = 1f + x;
  let s = split_f32(u);
  // What rounding 1 + x lost, relative to u.
  let lost = select(x - (u - 1f), 1f - (u - x), x > 1f) / u;
  return s.x * 0.69311523f + (log_near_1(s.y) + (lost + s.x * 3.1946185e-5f));
}

fn expm1_f32(x: f32) -> f32 {
  if (abs(x) < 0.5f) {
    let p = 0.008333072f + x * (0.0013997447f + x * 0.00019993181f);
    return x + x * x * (0.50000004f + x * (0.16666668f + x * (0.041665316f + x * p)));
  }
  return select(exp(x) - 1f, x, is_nan(x));
}

fn tanh_f32(x: f32) -> f32 {
  let z = x * x;
  if (z < 0.390625f) {
    let p = -0.053743498f + z * (0.020650587f + z * -0.005717045f);
    return x + x * z * (-0.33333284f + z * (0.13331491f + z * p));
  }
  let y = 1f - 2f / (exp(2f * min(abs(x), 10f)) + 1f);
  return select(select(y, -y, x < 0f), x, is_nan(x));
}

fn sinh_f32(x: f32) -> f32 {
  let z = x * x;
  if (z < 1f) {
    return x + x * z * (0.16666718f + z * (0.008330211f + z * 0.00020377404f));
  }
  let a = abs(x);
  let h = exp(min(a, 20f));
  // Beyond, half of exp(a), which overflows later than exp(a).
  let y = select(0.5f * (h - 1f / h), exp(a - 0.6931472f), a > 20f);
  return select(select(y, -y, x < 0f), x, is_nan(x));
}

fn cosh_f32(x: f32) -> f32 {
  let a = abs(x);
  let h = exp(min(a, 20f));
  let y = select(0.5f * (h + 1f / h), exp(a - 0.6931472f), a > 20f);
  return select(y, x, is_nan(x));
}

fn asinh_f32(x: f32) -> f32 {
  let a = abs(x);
  let y = select(log1p_f32(a + a * a / (1f + sqrt(1f + a * a))), log_f32(a) + 0.6931472f, a > 1e8f);
  return select(select(y, -y, x < 0f), x, is_nan(x));
}

fn acosh_f32(x: f32) -> f32 {
  let t = x - 1f;
  let y = select(log1p_f32(t + sqrt(t * (2f + t))), log_f32(x) + 0.6931472f, x > 1e8f);
  return select(y, bits_f32(0x7fc00000u), x < 1f || is_nan(x));
}

fn atanh_f32(x: f32) -> f32 {
  let a = abs(x);
  let y = select(0.5f * log1p_f32(2f * a / (1f - a)), bits_f32(0x7f800000u), a == 1f);
  return select(select(y, -y, x < 0f), bits_f32(0x7fc00000u), a > 1f || is_nan(x));
}
