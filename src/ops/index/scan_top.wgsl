// Second of three kernels of a prefix sum: the sum of the blocks before each, in place, by one
// workgroup; the sum of all behind them.
const WG = 256u; //@config
//@use scan

@group(0) @binding(0) var<storage, read_write> sums: array<u32>;
struct Params { blocks: u32 }
@group(0) @binding(1) var<uniform> params: Params;

@compute @workgroup_size(WG)
fn main(@builtin(local_invocation_index) lid: u32) {
  var before = 0u;
  for (var start = 0u; start < params.blocks; start += WG) {
    let i = start + lid;
    var v = 0u;
    if (i < params.blocks) { v = sums[i]; }
    let inclusive = scan_sum(lid, v);
    if (i < params.blocks) { sums[i] = before + inclusive - v; }
    before += scan_total();
  }
  if (lid == 0u) { sums[params.blocks] = before; }
}
