// The search for a pivot of an elimination, by a workgroup of WG invocations. The including file has
// WG and `work`, an array<f32>.
var<workgroup> sizes: array<f32, WG>;
var<workgroup> rows: array<u32, WG>;

/// Which of the rows k to n - 1 has the largest element in column k. Rows are `width` elements, from
/// work[base] on. Every invocation must call it.
fn pivot_row(lid: u32, base: u32, n: u32, width: u32, k: u32) -> u32 {
  var size = -1.0;
  var row = k;
  for (var i = k + lid; i < n; i += WG) {
    let v = abs(work[base + i * width + k]);
    if (v > size) { size = v; row = i; }
  }
  sizes[lid] = size;
  rows[lid] = row;
  for (var d = WG / 2u; d > 0u; d /= 2u) {
    workgroupBarrier();
    if (lid < d && sizes[lid + d] > sizes[lid]) { sizes[lid] = sizes[lid + d]; rows[lid] = rows[lid + d]; }
  }
  workgroupBarrier();
  return rows[0];
}
