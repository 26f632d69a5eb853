// Last of three kernels of a prefix sum: the sum of the numbers before each; or with PLACES, of
// numbers that are 0 or 1, the places of the ones, in order.
const WG = 256u; //@config
const PLACES = false; //@config
//@use scan

@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read> sums: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;
struct Params { count: u32 }
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) count: vec3u,
        @builtin(local_invocation_index) lid: u32) {
  let block = wid.x + wid.y * count.x;
  let first = (block * WG + lid) * 4u;
  var v = vec4u();
  for (var k = 0u; k < 4u; k++) {
    if (first + k < params.count) { v[k] = x[first + k]; }
  }
  let own = v.x + v.y + v.z + v.w;
  let inclusive = scan_sum(lid, own);
  if (first >= params.count) { return; }
  var before = sums[block] + inclusive - own;
  for (var k = 0u; k < 4u; k++) {
    if (first + k < params.count) {
      if (!PLACES) { y[first + k] = before; }
      else if (v[k] != 0u) { y[before] = first + k; }
    }
    before += v[k];
  }
}
