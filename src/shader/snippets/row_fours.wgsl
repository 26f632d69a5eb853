// Elements k..k+3 of a row of params.k, which a kernel loads by load_a, or with VEC_A by load4_a; 0
// past its end.
fn four_a(k: u32) -> vec4f {
  var v = vec4f();
  if (k >= params.k) { return v; }
  if (VEC_A) { return load4_a(k / 4u); }
  for (var j = 0u; j < min(4u, params.k - k); j++) { v[j] = load_a(k + j); }
  return v;
}
