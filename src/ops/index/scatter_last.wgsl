// For each target the number, from 1, of the last update that names it; 0 stays where none does.
const WG = 256u; //@config

@group(0) @binding(0) var<storage, read> targets: array<u32>;
@group(0) @binding(1) var<storage, read_write> last: array<atomic<u32>>;
struct Params { updates: u32 }
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) count: vec3u,
        @builtin(local_invocation_index) lid: u32) {
  let u = (wid.x + wid.y * count.x) * WG + lid;
  if (u < params.updates) { atomicMax(&last[targets[u]], u + 1u); }
}
