// The rank of each element of a row, put at its place in the row: how many different keys were seen
// up to its own in sorted order, rows counted through.
const WG = 256u; //@config

@group(0) @binding(0) var<storage, read> numbers: array<u32>;
@group(0) @binding(1) var<storage, read> starts: array<u32>;
@group(0) @binding(2) var<storage, read> before: array<u32>;
@group(0) @binding(3) var<storage, read_write> ranks: array<u32>;
struct Params { count: u32, length: u32 }
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) count: vec3u,
        @builtin(local_invocation_index) lid: u32) {
  let i = (wid.x + wid.y * count.x) * WG + lid;
  if (i >= params.count) { return; }
  ranks[i - i % params.length + numbers[i]] = before[i] + starts[i] - 1u;
}
