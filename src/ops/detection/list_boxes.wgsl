// The boxes that each row (batch and class) has taken, one row's behind another's, as triples of
// i64: batch, class, box.
const WG = 256u; //@config

@group(0) @binding(0) var<storage, read> picks: array<u32>;
@group(0) @binding(1) var<storage, read> counts: array<u32>;
@group(0) @binding(2) var<storage, read> before: array<u32>;
@group(0) @binding(3) var<storage, read_write> selected: array<vec2u>;
struct Params { rows: u32, classes: u32, limit: u32 }
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) count: vec3u,
        @builtin(local_invocation_index) lid: u32) {
  let i = (wid.x + wid.y * count.x) * WG + lid;
  let row = i / params.limit;
  let k = i % params.limit;
  if (row >= params.rows) { return; }
  if (k >= counts[row]) { return; }
  let at = 3u * (before[row] + k);
  selected[at] = vec2u(row / params.classes, 0u);
  selected[at + 1u] = vec2u(row % params.classes, 0u);
  selected[at + 2u] = vec2u(picks[i], 0u);
}
