// Sums (or products) up to each element of lines, whose elements lie `inner` apart. LANES
// invocations share a block of LANES * each elements of a line: each walks over its own twice, for
// their total and, knowing the totals before it, for the results. A workgroup (number x, then y)
// has one block of WG / LANES neighbouring lines. TOTALS: only the blocks' totals are wanted;
// CARRY: each block starts from what it is given.
const WG = 256u; //@config
const LANES = 256u; //@config
alias Acc = f32; //@config

@group(0) @binding(0) var<storage, read> x: array<f32>;
fn load_x(i: u32) -> Acc { return x[i]; } //@load x
//#if CARRY
@group(0) @binding(1) var<storage, read> carry: array<f32>;
fn load_carry(i: u32) -> Acc { return carry[i]; } //@load carry
//#endif
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
fn store_y(i: u32, v: Acc) { y[i] = v; } //@store y
struct Params {
  lines: u32, length: u32, inner: u32, each: u32, blocks: u32, exclusive: u32, reverse: u32,
}
@group(0) @binding(3) var<uniform> params: Params;

//#if WIDE
//#if PRODUCT
const NEUTRAL = vec2<u32>(1u, 0u);
fn joined(a: Acc, b: Acc) -> Acc { return mul_64(a, b); }
//#else
const NEUTRAL = vec2<u32>();
fn joined(a: Acc, b: Acc) -> Acc { return add_64(a, b); }
//#endif
//#else
//#if PRODUCT
const NEUTRAL = Acc(1);
fn joined(a: Acc, b: Acc) -> Acc { return a * b; }
//#else
const NEUTRAL = Acc();
fn joined(a: Acc, b: Acc) -> Acc { return a + b; }
//#endif
//#endif

var<workgroup> shared_totals: array<Acc, WG>;

/// Where the i-th element of a line lies.
fn place(line: u32, i: u32) -> u32 {
  let at = select(i, params.length - 1u - i, params.reverse != 0u);
  return (line / params.inner * params.length + at) * params.inner + line % params.inner;
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) count: vec3u,
        @builtin(local_invocation_index) lid: u32) {
  let number = wid.x + wid.y * count.x;
  let block = number % params.blocks;
  let line = number / params.blocks * (WG / LANES) + lid / LANES;
  let lane = lid % LANES;
  // Invocations past the last line take part in the barriers with nothing to add.
  let length = select(0u, params.length, line < params.lines);
  let first = min((block * LANES + lane) * params.each, length);
  let end = min(first + params.each, length);
  var total = NEUTRAL;
  for (var i = first; i < end; i++) { total = joined(total, load_x(place(line, i))); }
  var sum = NEUTRAL;
  if (LANES > 1u) {
    for (var d = 1u; d < LANES; d *= 2u) {
      shared_totals[lid] = total;
      workgroupBarrier();
      if (lane >= d) { total = joined(shared_totals[lid - d], total); }
      workgroupBarrier();
    }
    shared_totals[lid] = total;
    workgroupBarrier();
    if (lane > 0u) { sum = shared_totals[lid - 1u]; }
  }
  if (length == 0u) { return; }
  //#if TOTALS
  if (lane == LANES - 1u) { store_y(line * params.blocks + block, total); }
  //#else
  //#if CARRY
  sum = joined(load_carry(line * params.blocks + block), sum);
  //#endif
  for (var i = first; i < end; i++) {
    let at = place(line, i);
    let next = joined(sum, load_x(at));
    if (params.exclusive != 0u) { store_y(at, sum); } else { store_y(at, next); }
    sum = next;
  }
  //#endif
}
