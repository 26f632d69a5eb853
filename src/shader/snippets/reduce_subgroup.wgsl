// As reduce_tree.wgsl, by what subgroups exchange: SUBGROUP is the least number of invocations of a
// subgroup, which are neighbours. One step through workgroup memory joins the parts of a group.
const OWN = min(LANES, SUBGROUP);
const PARTS = LANES / OWN;
var<workgroup> parts: array<f32, WG / OWN>;

fn tree_sum(lid: u32, v: f32) -> f32 {
  var sum = v;
  for (var s = 1u; s < OWN; s *= 2u) { sum += subgroupShuffleXor(sum, s); }
  if (PARTS == 1u) { return sum; }
  if (lid % OWN == 0u) { parts[lid / OWN] = sum; }
  workgroupBarrier();
  let first = lid / LANES * PARTS;
  if (PARTS <= OWN) {
    sum = parts[first + lid % PARTS];
    for (var s = 1u; s < PARTS; s *= 2u) { sum += subgroupShuffleXor(sum, s); }
  } else {
    sum = parts[first];
    for (var i = 1u; i < PARTS; i++) { sum += parts[first + i]; }
  }
  workgroupBarrier();
  return sum;
}

fn tree_max(lid: u32, v: f32) -> f32 {
  var top = v;
  for (var s = 1u; s < OWN; s *= 2u) { top = max(top, subgroupShuffleXor(top, s)); }
  if (PARTS == 1u) { return top; }
  if (lid % OWN == 0u) { parts[lid / OWN] = top; }
  workgroupBarrier();
  let first = lid / LANES * PARTS;
  if (PARTS <= OWN) {
    top = parts[first + lid % PARTS];
    for (var s = 1u; s < PARTS; s *= 2u) { top = max(top, subgroupShuffleXor(top, s)); }
  } else {
    top = parts[first];
    for (var i = 1u; i < PARTS; i++) { top = max(top, parts[first + i]); }
  }
  workgroupBarrier();
  return top;
}
