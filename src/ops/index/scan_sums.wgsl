// First of three kernels of a prefix sum: the sum of each block of 4 * WG numbers.
const WG = 256u; //@config

@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> sums: array<u32>;
struct Params { count: u32 }
@group(0) @binding(2) var<uniform> params: Params;

var<workgroup> tree: array<u32, WG>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) count: vec3u,
        @builtin(local_invocation_index) lid: u32) {
  let block = wid.x + wid.y * count.x;
  var sum = 0u;
  for (var k = 0u; k < 4u; k++) {
    let i = block * 4u * WG + k * WG + lid;
    if (i < params.count) { sum += x[i]; }
  }
  tree[lid] = sum;
  workgroupBarrier();
  for (var s = WG / 2u; s > 0u; s /= 2u) {
    if (lid < s) { tree[lid] += tree[lid + s]; }
    workgroupBarrier();
  }
  if (lid == 0u && block * 4u * WG < params.count) { sums[block] = tree[0]; }
}
