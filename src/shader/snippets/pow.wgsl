// x^y as C has it, and the error function.

fn bits_f32(bits: u32) -> f32 {
  return bitcast<f32>(bits);
}

fn is_nan(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

fn is_inf(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) == 0x7f800000u;
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

// x^y for positive finite x: the exponent's whole part is kept apart, so that it costs no accuracy.
fn pow_positive(x: f32, y: f32) -> f32 {
  let s = split_f32(x);
  let log2f = log_near_1(s.y) * 1.442695f;
  let exponent = y * (s.x + log2f);
  if (abs(exponent) > 160f) {
    return bits_f32(select(0u, 0x7f800000u, exponent > 0f));
  }
  let yk = y * s.x;
  let whole = round(exponent);
  let rest = fma(y, s.x, -yk) + ((yk - whole) + y * log2f);
  // In two factors, each a normal number.
  let part = i32(whole) / 2;
  let scale = bitcast<f32>(u32(part + 127) << 23u);
  return (exp2(rest) * scale) * bitcast<f32>(u32(i32(whole) - part + 127) << 23u);
}

fn pow_whole(x: f32, y: f32) -> f32 {
  var r = 1f;
  var s = x;
  for (var n = u32(abs(y)); n != 0u; n >>= 1u) {
    r = select(r, r * s, (n & 1u) != 0u);
    s *= s;
  }
  return select(r, 1f / r, y < 0f);
}

fn pow_f32(x: f32, y: f32) -> f32 {
  if (y == 0f || x == 1f) {
    return 1f;
  }
  if (is_nan(x) || is_nan(y)) {
    return bits_f32(0x7fc00000u);
  }
  let a = abs(x);
  if (is_inf(y)) {
    return select(bits_f32(select(0u, 0x7f800000u, (a > 1f) == (y > 0f))), 1f, a == 1f);
  }
  let whole = floor(y) == y;
  let odd = whole && abs(y) < 16777216f && (i32(clamp(y, -16777216f, 16777216f)) & 1) != 0;
  let negative = (bitcast<u32>(x) & 0x80000000u) != 0u;
  var r: f32;
  if (a == 0f || is_inf(a)) {
    r = bits_f32(select(0u, 0x7f800000u, (a > 1f) == (y > 0f)));
  } else if (negative && !whole) {
    return bits_f32(0x7fc00000u);
  } else if (whole && abs(y) <= 64f) {
    // Whole numbers give whole numbers, though exp2 is off by an ulp or two.
    r = pow_whole(a, y);
  } else {
    r = pow_positive(a, y);
  }
  return select(r, -r, negative && odd);
}

// Absolute error below 1e-7. Both forms at once: lanes that part and meet again cost more.
fn erf_f32(x: f32) -> f32 {
  let a = abs(x);
  let z = x * x;
  let q = -0.026663808f + z * (0.0048707018f + z * -0.0005462923f);
  let near = x * (1.1283789f + z * (-0.3761194f + z * (0.11278064f + z * q)));
  let t = min(a, 4f);  // erf is 1 beyond, and exp(p) the complement before
  let p = -0.09820768f + t * (0.019608688f + t * (-0.0024220151f + t * 0.00013620285f));
  let far = 1f - exp(-0.0012688947f + t * (-1.1234219f + t * (-0.6440299f + t * p)));
  return select(select(select(far, -far, x < 0f), near, a < 1f), x, is_nan(x));
}
