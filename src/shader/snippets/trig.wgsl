// Circular functions to about 1e-7 for every argument: WGSL bounds the error of sin and cos only
// in [-pi, pi].

fn bits_f32(bits: u32) -> f32 {
  return bitcast<f32>(bits);
}

// The upper word of a * b.
fn mulhi_u32(a: u32, b: u32) -> u32 {
  let al = a & 0xffffu;
  let ah = a >> 16u;
  let bl = b & 0xffffu;
  let bh = b >> 16u;
  let mid = ah * bl + ((al * bl) >> 16u);
  let low = al * bh + (mid & 0xffffu);
  return ah * bh + (mid >> 16u) + (low >> 16u);
}

// a = q pi/2 + r with |r| <= pi/4 for finite a >= 0; gives r and q mod 4.
fn quadrant(a: f32) -> vec2<f32> {
  if (a < 1e5f) {
    // pi/2 in parts of 8 bits, so that q times each of the first three is exact.
    let q = round(a * 0.63661975f);
    let r = ((a - q * 1.5703125f) - q * 0.0004825592f) - q * 1.2665987e-6f;
    return vec2<f32>(r - q * 9.920936e-10f, f32(u32(q) & 3u));
  }
  // Payne and Hanek: the 24-bit significand times those 96 bits of 2/pi that decide.
  var pi_bits = array<u32, 8>(0u, 0x517cc1b7u, 0x27220a94u, 0xfe13abe8u, 0xfa9a6ee0u, 0x6db14accu,
                              0x9e21c820u, 0xff28b1d5u);
  let bits = bitcast<u32>(a);
  let m = (bits & 0x7fffffu) | 0x800000u;
  let at = min((bits >> 23u) - 119u, 135u);
  let i = at >> 5u;
  let s = at & 31u;
  let up = (32u - s) & 31u;
  let keep = select(0xffffffffu, 0u, s == 0u);
  let f0 = (pi_bits[i] << s) | ((pi_bits[i + 1u] >> up) & keep);
  let f1 = (pi_bits[i + 1u] << s) | ((pi_bits[i + 2u] >> up) & keep);
  let f2 = (pi_bits[i + 2u] << s) | ((pi_bits[i + 3u] >> up) & keep);
  let low = mulhi_u32(m, f2);
  let mid = m * f1 + low;
  let high = m * f0 + mulhi_u32(m, f1) + select(0u, 1u, mid < low);
  // high.mid is a / (pi/2) mod 4, two bits before the point.
  var h = (high << 2u) | (mid >> 30u);
  var l = mid << 2u;
  let negative = h >= 0x80000000u;
  if (negative) {
    h = ~h + select(0u, 1u, l == 0u);
    l = ~l + 1u;
  }
  let r = (f32(h) * 2.3283064e-10f + f32(l) * 5.421011e-20f) * 1.5707964f;
  return vec2<f32>(select(r, -r, negative), f32(((high >> 30u) + u32(negative)) & 3u));
}

// Sine of r + q pi/2.
fn sin_in_quadrant(r: f32, q: u32) -> f32 {
  let z = r * r;
  let s = r + r * z * (-0.16666655f + z * (0.008332155f + z * -0.00019514085f));
  let c = 1f - 0.5f * z + z * z * (0.041666646f + z * (-0.0013887337f + z * 2.4434846e-5f));
  let y = select(s, c, (q & 1u) != 0u);
  return select(y, -y, (q & 2u) != 0u);
}

fn sin_f32(x: f32) -> f32 {
  let v = quadrant(abs(x));
  let y = sin_in_quadrant(v.x, u32(v.y));
  let finite = (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u;
  return select(bits_f32(0x7fc00000u), select(y, -y, x < 0f), finite);
}

fn cos_f32(x: f32) -> f32 {
  let v = quadrant(abs(x));
  let finite = (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u;
  return select(bits_f32(0x7fc00000u), sin_in_quadrant(v.x, u32(v.y) + 1u), finite);
}

fn tan_f32(x: f32) -> f32 {
  let v = quadrant(abs(x));
  let q = u32(v.y);
  let y = sin_in_quadrant(v.x, q) / sin_in_quadrant(v.x, q + 1u);
  let finite = (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u;
  return select(bits_f32(0x7fc00000u), select(y, -y, x < 0f), finite);
}
