// i32 and u32 where WGSL differs from Quern: division by zero gives 0, shifts past the width 0 or
// the sign.

fn div_i32(a: i32, b: i32) -> i32 {
  // With -1, i32's lowest number overflows: negation wraps.
  return select(select(a / select(b, 1, b == 0 || b == -1), -a, b == -1), 0, b == 0);
}

fn rem_i32(a: i32, b: i32) -> i32 {
  // Not %: wgpu on SwiftShader takes it for another function where a sign is negative.
  let d = select(b, 1, b == 0 || b == -1);
  return a - a / d * d;
}

fn mod_i32(a: i32, b: i32) -> i32 {
  let r = rem_i32(a, b);
  return select(r, r + b, r != 0 && (r ^ b) < 0);
}

fn div_u32(a: u32, b: u32) -> u32 {
  return select(a / max(b, 1u), 0u, b == 0u);
}

fn rem_u32(a: u32, b: u32) -> u32 {
  return select(a % max(b, 1u), 0u, b == 0u);
}

fn shl_u32(a: u32, b: u32) -> u32 {
  return select(a << (b & 31u), 0u, b > 31u);
}

fn shr_u32(a: u32, b: u32) -> u32 {
  return select(a >> (b & 31u), 0u, b > 31u);
}

fn shl_i32(a: i32, b: i32) -> i32 {
  return select(a << (u32(b) & 31u), 0, u32(b) > 31u);
}

fn shr_i32(a: i32, b: i32) -> i32 {
  return a >> min(u32(b), 31u);
}

fn pow_u32(base: u32, exponent: u32) -> u32 {
  var r = 1u;
  var s = base;
  var e = exponent;
  while (e != 0u) {
    if ((e & 1u) != 0u) {
      r *= s;
    }
    s *= s;
    e >>= 1u;
  }
  return r;
}

fn pow_i32(base: i32, exponent: i32) -> i32 {
  if (exponent < 0) {
    return select(select(0, select(1, -1, (exponent & 1) != 0), base == -1), 1, base == 1);
  }
  return i32(pow_u32(u32(base), u32(exponent)));
}
