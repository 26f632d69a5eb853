// Reductions over groups of LANES neighbouring invocations of a workgroup of WG; every invocation
// must call them and gets its group's result. The including file has WG and LANES (powers of two).
var<workgroup> tree: array<f32, WG>;

fn tree_sum(lid: u32, v: f32) -> f32 {
  if (LANES == 1u) { return v; }
  tree[lid] = v;
  workgroupBarrier();
  for (var s = LANES / 2u; s > 0u; s /= 2u) {
    if (lid % LANES < s) { tree[lid] += tree[lid + s]; }
    workgroupBarrier();
  }
  let result = tree[lid - lid % LANES];
  workgroupBarrier();
  return result;
}

fn tree_max(lid: u32, v: f32) -> f32 {
  if (LANES == 1u) { return v; }
  tree[lid] = v;
  workgroupBarrier();
  for (var s = LANES / 2u; s > 0u; s /= 2u) {
    if (lid % LANES < s) { tree[lid] = max(tree[lid], tree[lid + s]); }
    workgroupBarrier();
  }
  let result = tree[lid - lid % LANES];
  workgroupBarrier();
  return result;
}
