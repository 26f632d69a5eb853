// Fourier transforms in a workgroup's memory. The including file has WG; roots: array<vec2f>, the
// first params.split roots of unity of order params.length and then every split-th; and in its
// params radix, stages and factors_0 to factors_2: the radix' factors, packed five a word.
const CAP = 2048u;
const EACH = CAP / WG;
var<workgroup> data: array<vec2f, CAP>;

fn complex_mul(a: vec2f, b: vec2f) -> vec2f {
  return vec2f(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x);
}
/// exp(-2 pi i e / length), conjugated where params.sign is -1.
fn root(e: u32) -> vec2f {
  var r = roots[e % params.split];
  if (e >= params.split) { r = complex_mul(r, roots[params.split + e / params.split]); }
  return vec2f(r.x, r.y * params.sign);
}
fn factor(stage: u32) -> u32 {
  let words = vec3u(params.factors_0, params.factors_1, params.factors_2);
  return (words[stage / 5u] >> (stage % 5u * 6u)) & 63u;
}

/// Transforms each `radix` elements of data[0..items]; ends with a barrier.
fn go_through_factors(lid: u32, items: u32) {
  let radix = params.radix;
  var before = 1u;
  for (var stage = 0u; stage < params.stages; stage++) {
    let r = factor(stage);
    let span = before * r;
    let unit = params.length / span;
    var sums: array<vec2f, EACH>;
    for (var c = 0u; c < EACH; c++) {
      let i = lid + c * WG;
      if (i >= items) { break; }
      let turn = i % radix % span;
      let start = i - turn + turn % before - (i % radix - turn) / span * (span - before);
      var sum = vec2f();
      var e = 0u;
      for (var q = 0u; q < r; q++) {
        sum += complex_mul(data[start + q * (radix / r)], root(e * unit));
        e += turn;
        if (e >= span) { e -= span; }
      }
      sums[c] = sum;
    }
    workgroupBarrier();
    for (var c = 0u; c < EACH; c++) {
      if (lid + c * WG < items) { data[lid + c * WG] = sums[c]; }
    }
    workgroupBarrier();
    before = span;
  }
}
