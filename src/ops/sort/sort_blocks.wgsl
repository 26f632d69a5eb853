// Bitonic sort of blocks of B elements in workgroup memory, by key and then by number: numbers
// differ, so that the order is total and the sort is stable. Rows of `length` elements take
// segments of `span` places (a power of two, at most B), `blocks` of them each; places past the
// row's end hold nothing and come last. Without MERGE: sorts each segment and writes its first
// `keep` elements, one block's behind another's. With MERGE: the last steps of a merge, whose
// halves already lie within blocks, in place.
const WG = 256u; //@config
const B = 1024u; //@config
const WIDE = false; //@config

//#if NUMBERS
@group(0) @binding(0) var<storage, read> numbers: array<u32>;
//#endif
@group(0) @binding(1) var<storage, read> keys: array<u32>;
@group(0) @binding(2) var<storage, read_write> out_numbers: array<u32>;
//#if KEYS
@group(0) @binding(3) var<storage, read_write> out_keys: array<u32>;
//#endif
struct Params { rows: u32, length: u32, span: u32, blocks: u32, keep: u32 }
@group(0) @binding(4) var<uniform> params: Params;

var<workgroup> high: array<u32, B>;
var<workgroup> low: array<u32, select(1u, B, WIDE)>;
var<workgroup> number: array<u32, B>;

/// Puts the smaller of two elements first.
fn order(i: u32, j: u32) {
  let a = high[i];
  let b = high[j];
  var swap = b < a || (b == a && number[j] < number[i]);
  if (WIDE) {
    let c = low[i];
    let d = low[j];
    swap = b < a || (b == a && (d < c || (d == c && number[j] < number[i])));
    if (swap) {
      low[i] = d;
      low[j] = c;
    }
  }
  if (swap) {
    high[i] = b;
    high[j] = a;
    let n = number[i];
    number[i] = number[j];
    number[j] = n;
  }
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) count: vec3u,
        @builtin(local_invocation_index) lid: u32) {
  let group = wid.x + wid.y * count.x;
  for (var s = lid; s < B; s += WG) {
    let segment = group * (B / params.span) + s / params.span;
    let row = segment / params.blocks;
    let at = segment % params.blocks * params.span + s % params.span;
    high[s] = 0xffffffffu;
    if (WIDE) { low[s] = 0xffffffffu; }
    number[s] = 0xffffffffu;
    if (row < params.rows && at < params.length) {
      let i = row * params.length + at;
      high[s] = keys[select(i, 2u * i + 1u, WIDE)];
      if (WIDE) { low[s] = keys[2u * i]; }
      //#if NUMBERS
      number[s] = numbers[i];
      //#else
      number[s] = at;
      //#endif
    }
  }
  workgroupBarrier();
  //#if !MERGE
  for (var size = 2u; size <= params.span; size *= 2u) {
    for (var pair = lid; pair < B / 2u; pair += WG) {
      let first = pair / (size / 2u) * size;
      let i = pair % (size / 2u);
      order(first + i, first + size - 1u - i);
    }
    workgroupBarrier();
    for (var half = size / 4u; half > 0u; half /= 2u) {
      for (var pair = lid; pair < B / 2u; pair += WG) {
        let i = pair / half * half * 2u + pair % half;
        order(i, i + half);
      }
      workgroupBarrier();
    }
  }
  //#else
  for (var half = params.span / 2u; half > 0u; half /= 2u) {
    for (var pair = lid; pair < B / 2u; pair += WG) {
      let i = pair / half * half * 2u + pair % half;
      order(i, i + half);
    }
    workgroupBarrier();
  }
  //#endif
  for (var s = lid; s < B; s += WG) {
    let segment = group * (B / params.span) + s / params.span;
    let at = s % params.span;
    let left = params.length - segment % params.blocks * params.span;  // in this block and on
    if (segment / params.blocks >= params.rows || at >= min(left, params.keep)) { continue; }
    let kept = (params.blocks - 1u) * params.keep +
        min(params.length - (params.blocks - 1u) * params.span, params.keep);
    let i = segment / params.blocks * kept + segment % params.blocks * params.keep + at;
    out_numbers[i] = number[s];
    //#if KEYS
    out_keys[select(i, 2u * i + 1u, WIDE)] = high[s];
    if (WIDE) { out_keys[2u * i] = low[s]; }
    //#endif
  }
}
