// Determinants of n by n matrices: a workgroup (number x, then y) eliminates one in `work`, with
// the largest element of each column as its pivot.
const WG = 64u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> work: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
struct Params { n: u32, count: u32 }
@group(0) @binding(3) var<uniform> params: Params;

fn load_x(i: u32) -> f32 { return x[i]; } //@load x
fn store_y(i: u32, v: f32) { y[i] = v; } //@store y

var<workgroup> sizes: array<f32, WG>;
var<workgroup> rows: array<u32, WG>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) count: vec3u,
        @builtin(local_invocation_index) lid: u32) {
  let number = wid.x + wid.y * count.x;
  if (number >= params.count) { return; }
  let n = params.n;
  let base = number * n * n;
  for (var i = lid; i < n * n; i += WG) { work[base + i] = load_x(base + i); }
  storageBarrier();
  var result = 1.0;
  for (var k = 0u; k < n; k++) {
    var size = -1.0;
    var row = k;
    for (var i = k + lid; i < n; i += WG) {
      let v = abs(work[base + i * n + k]);
      if (v > size) { size = v; row = i; }
    }
    sizes[lid] = size;
    rows[lid] = row;
    for (var d = WG / 2u; d > 0u; d /= 2u) {
      workgroupBarrier();
      if (lid < d && sizes[lid + d] > sizes[lid]) { sizes[lid] = sizes[lid + d]; rows[lid] = rows[lid + d]; }
    }
    workgroupBarrier();
    let pivot_row = rows[0];
    let pivot = work[base + pivot_row * n + k];
    result *= select(pivot, -pivot, pivot_row != k);
    // Nothing reads the pivot's column any more: rows change places from the next column on.
    for (var j = k + 1u + lid; j < n; j += WG) {
      let v = work[base + pivot_row * n + j];
      work[base + pivot_row * n + j] = work[base + k * n + j];
      work[base + k * n + j] = v;
    }
    storageBarrier();
    let top = work[base + k * n + k];
    for (var i = k + 1u; i < n; i++) {
      // The row that gave the pivot holds the first one's element there.
      let factor = select(work[base + i * n + k], top, i == pivot_row) / select(pivot, 1.0, pivot == 0.0);
      for (var j = k + 1u + lid; j < n; j += WG) { work[base + i * n + j] -= factor * work[base + k * n + j]; }
    }
    workgroupBarrier();
    storageBarrier();
  }
  if (lid == 0u) { store_y(number, result); }
}
