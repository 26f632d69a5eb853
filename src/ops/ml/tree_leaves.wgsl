// The leaf that each row of features reaches in each tree: an invocation for each of them. Features,
// thresholds and members of sets are keys: unsigned numbers (pairs where WIDE) in their order.
const WG = 64u; //@config
const WIDE = false; //@config
const MEMBERS = false; //@config

@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read> nodes: array<u32>;
@group(0) @binding(2) var<storage, read> thresholds: array<u32>;
@group(0) @binding(3) var<storage, read> roots: array<u32>;
//#if MEMBERS
@group(0) @binding(4) var<storage, read> members: array<u32>;
fn member_at(i: u32) -> vec2u {
  if (WIDE) { return vec2u(members[2u * i], members[2u * i + 1u]); }
  return vec2u(0u, members[i]);
}
//#endif
@group(0) @binding(5) var<storage, read_write> leaves: array<u32>;
struct Params { rows: u32, trees: u32, features: u32, nodes: u32 }
@group(0) @binding(6) var<uniform> params: Params;

fn feature_at(i: u32) -> vec2u {
  if (WIDE) { return vec2u(x[2u * i], x[2u * i + 1u]); }
  return vec2u(0u, x[i]);
}
fn threshold_at(i: u32) -> vec2u {
  if (WIDE) { return vec2u(thresholds[2u * i], thresholds[2u * i + 1u]); }
  return vec2u(0u, thresholds[i]);
}
fn less(a: vec2u, b: vec2u) -> bool { return a.y < b.y || (a.y == b.y && a.x < b.x); }

fn takes_yes(node: u32, mode: u32, v: vec2u) -> bool {
  let is_nan = v.y == 0xffffffffu && (!WIDE || v.x == 0xffffffffu);
  if (is_nan && (mode & 256u) != 0u) { return true; }
  let kind = mode & 255u;
  //#if MEMBERS
  if (kind == 6u) {
    var low = nodes[6u * node + 4u];
    var high = nodes[6u * node + 5u];
    let end = high;
    while (low < high) {
      let middle = (low + high) / 2u;
      if (less(member_at(middle), v)) { low = middle + 1u; } else { high = middle; }
    }
    return !is_nan && low < end && all(member_at(low) == v);
  }
  //#endif
  let t = threshold_at(node);
  if (is_nan) { return kind == 5u; }
  switch kind {
    case 0u: { return !less(t, v); }
    case 1u: { return less(v, t); }
    case 2u: { return !less(v, t); }
    case 3u: { return less(t, v); }
    case 4u: { return all(v == t); }
    default: { return any(v != t); }
  }
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) count: vec3u,
        @builtin(local_invocation_index) lid: u32) {
  let i = (wid.x + wid.y * count.x) * WG + lid;
  let row = i / params.trees;
  if (row >= params.rows) { return; }
  var node = roots[i % params.trees];
  // No path is longer than all nodes, whatever the model says.
  for (var step = 0u; step < params.nodes; step++) {
    let mode = nodes[6u * node + 1u];
    if ((mode & 255u) == 7u) { break; }
    let feature = min(nodes[6u * node], params.features - 1u);
    let yes = takes_yes(node, mode, feature_at(row * params.features + feature));
    node = nodes[6u * node + select(3u, 2u, yes)];
  }
  leaves[i] = nodes[6u * node + 4u];
}
