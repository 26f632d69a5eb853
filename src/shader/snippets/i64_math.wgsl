// Division and powers of 64-bit integers, pairs of words, the low one first.

fn mulhi_u32(a: u32, b: u32) -> u32 {
  let al = a & 0xffffu;
  let ah = a >> 16u;
  let bl = b & 0xffffu;
  let bh = b >> 16u;
  let mid = ah * bl + ((al * bl) >> 16u);
  let low = al * bh + (mid & 0xffffu);
  return ah * bh + (mid >> 16u) + (low >> 16u);
}

fn add_64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
  let low = a.x + b.x;
  return vec2<u32>(low, a.y + b.y + select(0u, 1u, low < a.x));
}

fn neg_64(a: vec2<u32>) -> vec2<u32> {
  return vec2<u32>(0u - a.x, ~a.y + select(0u, 1u, a.x == 0u));
}

fn mul_64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
  return vec2<u32>(a.x * b.x, mulhi_u32(a.x, b.x) + a.x * b.y + a.y * b.x);
}

fn abs_i64(a: vec2<u32>) -> vec2<u32> {
  return select(a, neg_64(a), a.y >= 0x80000000u);
}

// Quotient (xy) and remainder (zw), both 0 for a zero divisor.
fn divide_u64(a: vec2<u32>, b: vec2<u32>) -> vec4<u32> {
  if ((b.x | b.y) == 0u) {
    return vec4<u32>();
  }
  if ((a.y | b.y) == 0u) {
    return vec4<u32>(a.x / b.x, 0u, a.x % b.x, 0u);
  }
  // The upper word by one division; it is less than a divisor of two words. Then bit by bit.
  var q = vec2<u32>();
  var r = vec2<u32>(a.y, 0u);
  if (b.y == 0u) {
    q.y = a.y / b.x;
    r.x = a.y % b.x;
  }
  var n = 32u;
  while (n > 0u) {
    n--;
    let out = r.y >> 31u;
    r = vec2<u32>((r.x << 1u) | ((a.x >> n) & 1u), (r.y << 1u) | (r.x >> 31u));
    if (out != 0u || r.y > b.y || (r.y == b.y && r.x >= b.x)) {
      r = vec2<u32>(r.x - b.x, r.y - b.y - select(0u, 1u, r.x < b.x));
      q.x |= 1u << n;
    }
  }
  return vec4<u32>(q, r);
}

fn div_u64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
  return divide_u64(a, b).xy;
}

fn rem_u64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
  return divide_u64(a, b).zw;
}

fn div_i64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
  let q = divide_u64(abs_i64(a), abs_i64(b)).xy;
  return select(q, neg_64(q), ((a.y ^ b.y) & 0x80000000u) != 0u);
}

fn rem_i64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
  let r = divide_u64(abs_i64(a), abs_i64(b)).zw;
  return select(r, neg_64(r), a.y >= 0x80000000u);
}

fn mod_i64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
  let r = rem_i64(a, b);
  return select(r, add_64(r, b), (r.x | r.y) != 0u && ((r.y ^ b.y) & 0x80000000u) != 0u);
}

fn pow_u64(base: vec2<u32>, exponent: vec2<u32>) -> vec2<u32> {
  var r = vec2<u32>(1u, 0u);
  var s = base;
  var e = exponent;
  while ((e.x | e.y) != 0u) {
    if ((e.x & 1u) != 0u) {
      r = mul_64(r, s);
    }
    s = mul_64(s, s);
    e = vec2<u32>((e.x >> 1u) | (e.y << 31u), e.y >> 1u);
  }
  return r;
}

fn pow_i64(base: vec2<u32>, exponent: vec2<u32>) -> vec2<u32> {
  if (exponent.y < 0x80000000u) {
    return pow_u64(base, exponent);
  }
  let unit = all(base == vec2<u32>(1u, 0u));
  let odd_power = all(base == vec2<u32>(0xffffffffu)) && (exponent.x & 1u) != 0u;
  let even_power = all(base == vec2<u32>(0xffffffffu)) && (exponent.x & 1u) == 0u;
  return select(vec2<u32>(select(0u, 1u, unit || even_power), 0u), base, odd_power);
}
