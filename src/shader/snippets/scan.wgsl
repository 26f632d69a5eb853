// Inclusive prefix sums over a workgroup of WG invocations, all of which must call them.
var<workgroup> scan_sums: array<u32, WG>;

fn scan_sum(lid: u32, v: u32) -> u32 {
  workgroupBarrier();
  scan_sums[lid] = v;
  for (var s = 1u; s < WG; s *= 2u) {
    workgroupBarrier();
    let other = scan_sums[select(0u, lid - s, lid >= s)];
    workgroupBarrier();
    if (lid >= s) { scan_sums[lid] += other; }
  }
  workgroupBarrier();
  return scan_sums[lid];
}

/// The sum of all of them, after scan_sum.
fn scan_total() -> u32 { return scan_sums[WG - 1u]; }
