// Inverses of n by n matrices: a workgroup (number x, then y) has one beside the unit matrix in
// `work`, n rows of 2 n, and makes the left half the unit matrix; the largest element of each column
// is its pivot.
const WG = 128u;
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
  let width = n * 2u;
  let source = number * n * n;
  let base = source * 2u;
  for (var i = lid; i < n * width; i += WG) {
    let row = i / width;
    let column = i % width;
    if (column < n) { work[base + i] = load_x(source + row * n + column); }
    else { work[base + i] = select(0.0, 1.0, column - n == row); }
  }
  storageBarrier();
  for (var k = 0u; k < n; k++) {
    let top = base + k * width;
    let found = base + pivot_row(lid, base, n, width, k) * width;
    let pivot = work[found + k];
    storageBarrier();
    for (var j = k + lid; j < width; j += WG) {
      let v = work[found + j];
      work[found + j] = work[top + j];
      work[top + j] = v / pivot;
    }
    storageBarrier();
    // Nothing reads a column left of the next pivot again: column k stays as it is.
    let columns = width - k - 1u;
    for (var i = lid; i < n * columns; i += WG) {
      let at = i / columns;
      let j = k + 1u + i % columns;
      if (at != k) { work[base + at * width + j] -= work[base + at * width + k] * work[top + j]; }
    }
    workgroupBarrier();
    storageBarrier();
  }
  for (var i = lid; i < n * n; i += WG) { store_y(source + i, work[base + i / n * width + n + i % n]); }
}
