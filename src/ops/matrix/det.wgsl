// Determinants of n by n matrices: a workgroup (number x, then y) eliminates one in `work`, with
// the largest element of each column as its pivot.
const WG = 64u;
//@use pivot

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> work: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
struct Params { n: u32, count: u32 }
@group(0) @binding(3) var<uniform> params: Params;

fn load_x(i: u32) -> f32 { return x[i]; } //@load x
fn store_y(i: u32, v: f32) { y[i] = v; } //@store y

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
    let found = pivot_row(lid, base, n, n, k);
    let pivot = work[base + found * n + k];
    result *= select(pivot, -pivot, found != k);
    // Nothing reads the pivot's column any more: rows change places from the next column on.
    for (var j = k + 1u + lid; j < n; j += WG) {
      let v = work[base + found * n + j];
      work[base + found * n + j] = work[base + k * n + j];
      work[base + k * n + j] = v;
    }
    storageBarrier();
    let top = work[base + k * n + k];
    for (var i = k + 1u; i < n; i++) {
      // The row that gave the pivot holds the first one's element there.
      let factor = select(work[base + i * n + k], top, i == found) / select(pivot, 1.0, pivot == 0.0);
      for (var j = k + 1u + lid; j < n; j += WG) { work[base + i * n + j] -= factor * work[base + k * n + j]; }
    }
    workgroupBarrier();
    storageBarrier();
  }
  if (lid == 0u) { store_y(number, result); }
}
