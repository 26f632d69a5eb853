// Rows that begin anywhere, by aligned fours: of a row's first and last four only some elements are
// its own. The including file has load4_x and, where it stores, store4_y and store_y.

/// Which elements of four `q` lie in [begin, end)?
fn inside(q: u32, begin: u32, end: u32) -> vec4<bool> {
  let at = vec4u(q * 4u) + vec4u(0u, 1u, 2u, 3u);
  return (at >= vec4u(begin)) & (at < vec4u(end));
}

fn store_inside(q: u32, v: vec4f, begin: u32, end: u32) {
  if (q * 4u >= begin && q * 4u + 4u <= end) {
    store4_y(q, v);
    return;
  }
  for (var j = 0u; j < 4u; j++) {
    let at = q * 4u + j;
    if (at >= begin && at < end) { store_y(at, v[j]); }
  }
}
