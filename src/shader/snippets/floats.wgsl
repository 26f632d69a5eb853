// f32 with the special values that WGSL leaves open: implementations may assume that NaN and
// infinity don't occur, so both are told and made by their bits.

fn bits_f32(bits: u32) -> f32 {
  return bitcast<f32>(bits);
}

fn is_nan(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

fn is_inf(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) == 0x7f800000u;
}

// True where either is NaN; some devices say false.
fn ne_f32(a: f32, b: f32) -> bool {
  return a != b || is_nan(a) || is_nan(b);
}

// NaN if either is.
fn min_f32(a: f32, b: f32) -> f32 {
  return select(select(min(a, b), b, is_nan(b)), a, is_nan(a));
}

fn max_f32(a: f32, b: f32) -> f32 {
  return select(select(max(a, b), b, is_nan(b)), a, is_nan(a));
}

fn sign_f32(x: f32) -> f32 {
  return select(sign(x), x, is_nan(x));
}

fn sqrt_f32(x: f32) -> f32 {
  return select(sqrt(x), bits_f32(0x7fc00000u), x < 0f);
}

// Some devices give infinity for NaN.
fn exp_f32(x: f32) -> f32 {
  return select(exp(x), x, is_nan(x));
}

// Rounded to nearest, ties to even; some devices convert the upper half of u32 otherwise.
fn f32_of_u32(x: u32) -> f32 {
  let half = f32(i32((x >> 1u) | (x & 1u)));
  return select(f32(i32(x)), 2f * half, x >= 0x80000000u);
}

// Truncates and saturates; NaN gives 0.
fn i32_of_f32(x: f32) -> i32 {
  let inside = i32(clamp(x, -2147483648f, 2147483520f));
  return select(select(inside, 2147483647, x >= 2147483648f), 0, is_nan(x));
}

fn u32_of_f32(x: f32) -> u32 {
  let inside = u32(clamp(x, 0f, 4294967040f));
  return select(select(inside, 4294967295u, x >= 4294967296f), 0u, is_nan(x));
}

// The remainder of x / y with the sign of x, exact (C's fmod): long division of the significands.
fn rem_f32(x: f32, y: f32) -> f32 {
  let sign = bitcast<u32>(x) & 0x80000000u;
  var a = bitcast<u32>(x) & 0x7fffffffu;
  let b = bitcast<u32>(y) & 0x7fffffffu;
  if (a >= 0x7f800000u || b > 0x7f800000u || b == 0u) {
    return bits_f32(0x7fc00000u);
  }
  if (a < b) {
    return x;
  }
  var shift = i32(max(a >> 23u, 1u)) - i32(max(b >> 23u, 1u));
  let exponent = max(b >> 23u, 1u);
  a = select(a & 0x7fffffu, (a & 0x7fffffu) | 0x800000u, a >= 0x800000u);
  let m = select(b & 0x7fffffu, (b & 0x7fffffu) | 0x800000u, b >= 0x800000u);
  a %= m;
  while (shift > 0 && a != 0u) {
    let step = min(shift, 8);
    a = (a << u32(step)) % m;
    shift -= step;
  }
  // a < m is the remainder in units of the last place of y; make it a number again.
  if (a == 0u) {
    return bitcast<f32>(sign);
  }
  let up = min(countLeadingZeros(a) - 8u, exponent - 1u);
  let top = exponent - up;
  a <<= up;
  let magnitude = select(a, (a & 0x7fffffu) | (top << 23u), a >= 0x800000u);
  return bitcast<f32>(magnitude | sign);
}

// The remainder with the sign of y (Python's %).
fn mod_f32(x: f32, y: f32) -> f32 {
  let r = rem_f32(x, y);
  if (r == 0f) {
    return bitcast<f32>(bitcast<u32>(y) & 0x80000000u);
  }
  return select(r, r + y, (r < 0f) != (y < 0f));
}

// round(x / y) as if the quotient had been rounded correctly before, which WGSL does not promise:
// a number half way between two integers must be seen to be there. Where the quotient is near an
// odd number of halves c2, the sign and size of 2x - c2 y tell, in integers: only the low 32 bits
// count, since the difference is small.
fn round_div_f32(x: f32, y: f32) -> f32 {
  let q = x / y;
  let ex = (bitcast<u32>(x) >> 23u) & 255u;
  let ey = (bitcast<u32>(y) >> 23u) & 255u;
  let c2 = u32(round(2f * clamp(abs(q), 0f, 262144f)));
  if ((c2 & 1u) == 0u || ex == 0u || ey == 0u) {
    return round(q);
  }
  let mx = (bitcast<u32>(x) & 0x7fffffu) | 0x800000u;
  let my = (bitcast<u32>(y) & 0x7fffffu) | 0x800000u;
  let difference = bitcast<i32>((mx << ((ex + 2u - ey) & 31u)) - 2u * c2 * my);
  let half_ulp = i32(my >> (countLeadingZeros(c2) - 8u));
  let low = c2 >> 1u;
  let n = f32(low + select(select(0u, 1u, difference > 0), low & 1u, abs(difference) <= half_ulp));
  return select(n, -n, q < 0f);
}
