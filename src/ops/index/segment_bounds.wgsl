// Where the run of each key begins and ends among sorted keys; keys that do not occur keep what
// was there (zeros).
const WG = 256u; //@config

@group(0) @binding(0) var<storage, read> keys: array<u32>;
@group(0) @binding(1) var<storage, read_write> bounds: array<u32>;
struct Params { count: u32 }
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) count: vec3u,
        @builtin(local_invocation_index) lid: u32) {
  let i = (wid.x + wid.y * count.x) * WG + lid;
  if (i >= params.count) { return; }
  let key = keys[i];
  if (i == 0u || keys[max(i, 1u) - 1u] != key) { bounds[2u * key] = i; }
  if (i + 1u == params.count || keys[min(i + 1u, params.count - 1u)] != key) {
    bounds[2u * key + 1u] = i + 1u;
  }
}
