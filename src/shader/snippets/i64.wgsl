// 64-bit integers as pairs of words, the low one first; two's complement, wrapping.

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

fn sub_64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
  return vec2<u32>(a.x - b.x, a.y - b.y - select(0u, 1u, a.x < b.x));
}

fn neg_64(a: vec2<u32>) -> vec2<u32> {
  return vec2<u32>(0u - a.x, ~a.y + select(0u, 1u, a.x == 0u));
}

fn mul_64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
  return vec2<u32>(a.x * b.x, mulhi_u32(a.x, b.x) + a.x * b.y + a.y * b.x);
}

fn shl_64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
  let n = select(b.x, 64u, b.y != 0u);
  let s = n & 31u;
  let carried = select(a.x >> ((32u - s) & 31u), 0u, s == 0u);
  let near = vec2<u32>(a.x << s, (a.y << s) | carried);
  return select(select(vec2<u32>(0u, a.x << s), near, n < 32u), vec2<u32>(), n > 63u);
}

fn shr_u64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
  let n = select(b.x, 64u, b.y != 0u);
  let s = n & 31u;
  let carried = select(a.y << ((32u - s) & 31u), 0u, s == 0u);
  let near = vec2<u32>((a.x >> s) | carried, a.y >> s);
  return select(select(vec2<u32>(a.y >> s, 0u), near, n < 32u), vec2<u32>(), n > 63u);
}

fn shr_i64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
  let flip = vec2<u32>(select(0u, 0xffffffffu, a.y >= 0x80000000u));
  return shr_u64(a ^ flip, b) ^ flip;
}

fn lt_u64(a: vec2<u32>, b: vec2<u32>) -> bool {
  return a.y < b.y || (a.y == b.y && a.x < b.x);
}

fn lt_i64(a: vec2<u32>, b: vec2<u32>) -> bool {
  return i32(a.y) < i32(b.y) || (a.y == b.y && a.x < b.x);
}

fn min_u64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
  return select(a, b, lt_u64(b, a));
}

fn max_u64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
  return select(a, b, lt_u64(a, b));
}

fn min_i64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
  return select(a, b, lt_i64(b, a));
}

fn max_i64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
  return select(a, b, lt_i64(a, b));
}

fn abs_i64(a: vec2<u32>) -> vec2<u32> {
  return select(a, neg_64(a), a.y >= 0x80000000u);
}

fn sign_i64(a: vec2<u32>) -> vec2<u32> {
  let positive = vec2<u32>(select(0u, 1u, (a.x | a.y) != 0u), 0u);
  return select(positive, vec2<u32>(0xffffffffu), a.y >= 0x80000000u);
}

fn sign_u64(a: vec2<u32>) -> vec2<u32> {
  return vec2<u32>(select(0u, 1u, (a.x | a.y) != 0u), 0u);
}

fn i64_of_i32(a: i32) -> vec2<u32> {
  return vec2<u32>(u32(a), u32(a >> 31u));
}
