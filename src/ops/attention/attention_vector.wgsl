// Attention of one query, as decoders need it. A workgroup (number x, then y: slice of the keys,
// head, batch, the first fastest) goes through its keys in blocks of WG: PARTS invocations share
// the product of a key, one has its score, GROUPS of them share the keys of an output column. With
// SLICED what it sums goes to attention_merge.wgsl: HEAD_V sums, the largest score, the weights'
// sum. Head sizes are multiples of 4.
const HEAD = 64u; //@config
const HEAD_V = 64u; //@config
const WG = 128u; //@config
const PARTS = 8u; //@config
const MASK_BOOL = false; //@config
const SOFTCAP = false; //@config
const D4 = HEAD / 4u;
const V4 = HEAD_V / 4u;
const GROUPS = max(WG / V4, 1u);
const COLUMNS = (V4 + WG - 1u) / WG;

@group(0) @binding(0) var<storage, read> q: array<f32>;
@group(0) @binding(1) var<storage, read> k: array<f32>;
@group(0) @binding(2) var<storage, read> v: array<f32>;
//#if MASK
@group(0) @binding(3) var<storage, read> mask: array<f32>;
fn load_mask(i: u32) -> f32 { return mask[i]; } //@load mask
//#endif
//#if OFFSETS
@group(0) @binding(4) var<storage, read> offsets: array<i32>;
fn load_offset(i: u32) -> i32 { return offsets[i]; } //@load offsets
var<workgroup> shared_offset: i32;
//#endif
//#if SINK
@group(0) @binding(5) var<storage, read> sink: array<f32>;
fn load_sink(i: u32) -> f32 { return sink[i]; } //@load sink
//#endif
@group(0) @binding(6) var<storage, read_write> y: array<f32>;
struct Params {
  batch: u32, heads: u32, group: u32, queries: u32, keys: u32, slices: u32, causal: u32,
  causal_offset: i32, last_sees_all: u32, window: i32,
  mask_batch: u32, mask_head: u32, mask_query: u32, mask_key: u32,
  q_batch: u32, q_head: u32, q_row: u32, q_start: u32,
  k_batch: u32, k_head: u32, k_row: u32, k_start: u32,
  v_batch: u32, v_head: u32, v_row: u32, v_start: u32, y_batch: u32, y_head: u32, y_row: u32,
  scale: f32, softcap: f32, empty_row: f32, slice_keys: u32,
}
@group(0) @binding(7) var<uniform> params: Params;

fn load4_q(i: u32) -> vec4f { return vec4f(q[i * 4u], q[i * 4u + 1u], q[i * 4u + 2u], q[i * 4u + 3u]); } //@load4 q
fn load4_k(i: u32) -> vec4f { return vec4f(k[i * 4u], k[i * 4u + 1u], k[i * 4u + 2u], k[i * 4u + 3u]); } //@load4 k
fn load4_v(i: u32) -> vec4f { return vec4f(v[i * 4u], v[i * 4u + 1u], v[i * 4u + 2u], v[i * 4u + 3u]); } //@load4 v
fn store4_y(i: u32, v: vec4f) { y[i * 4u] = v.x; y[i * 4u + 1u] = v.y; y[i * 4u + 2u] = v.z; y[i * 4u + 3u] = v.w; } //@store4 y

const LOWEST = -3.402823466e38;
var<workgroup> query: array<vec4f, D4>;
var<workgroup> dots: array<f32, WG * (PARTS + 1u)>;
var<workgroup> scores: array<vec4f, WG / 4u>;
var<workgroup> weights: array<f32, WG>;
var<workgroup> sums: array<vec4f, WG>;
var<workgroup> totals: array<f32, WG>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) count: vec3u,
        @builtin(local_invocation_index) lid: u32) {
  let number = wid.x + wid.y * count.x;
  let slice = number % params.slices;
  let head = number / params.slices % params.heads;
  let batch = number / params.slices / params.heads;
  if (batch >= params.batch) { return; }
  let q_base = params.q_start + batch * params.q_batch + head * params.q_head;
  let k_base = params.k_start + batch * params.k_batch + head / params.group * params.k_head;
  let v_base = params.v_start + batch * params.v_batch + head / params.group * params.v_head;
  for (var i = lid; i < D4; i += WG) { query[i] = load4_q(q_base + i) * params.scale; }
  var offset = params.causal_offset;
  //#if OFFSETS
  // The loop below has barriers: its bounds must be seen to be the same in all invocations.
  if (lid == 0u) { shared_offset = load_offset(batch); }
  offset = workgroupUniformLoad(&shared_offset);
  //#endif
  // The keys that are seen: those up to `offset`, the last `window` of them.
  let seen = u32(clamp(offset + 1, 0, i32(params.keys)));
  let unseen = u32(max(offset + 1 - params.window, 0));
  let begin = max(slice * params.slice_keys, select(0u, unseen, params.causal != 0u));
  let end = min((slice + 1u) * params.slice_keys, select(params.keys, seen, params.causal != 0u));
  var top = LOWEST;
  var total = 0.0;
  //#if SINK
  if (slice == 0u) {
    top = max(load_sink(head), LOWEST);
    total = select(0.0, 1.0, lid == 0u);
  }
  //#endif
  let column = lid % V4;
  let group = lid / V4;
  var out: array<vec4f, COLUMNS>;
  for (var k0 = begin; k0 < end; k0 += WG) {
    let left = min(WG, end - k0);
    workgroupBarrier();
    for (var i = lid / PARTS; i < left; i += WG / PARTS) {
      let row = k_base + (k0 + i) * params.k_row;
      var sum = vec4f();
      for (var c = lid % PARTS; c < D4; c += PARTS) { sum += query[c] * load4_k(row + c); }
      dots[i * (PARTS + 1u) + lid % PARTS] = dot(sum, vec4f(1.0));
    }
    workgroupBarrier();
    var s = 0.0;
    for (var p = 0u; p < PARTS; p++) { s += dots[lid * (PARTS + 1u) + p]; }
    if (SOFTCAP) { s = params.softcap * tanh(clamp(s / params.softcap, -15.0, 15.0)); }
    var on = lid < left;
    //#if MASK
    if (on) {
      let m = load_mask(batch * params.mask_batch + head * params.mask_head + (k0 + lid) * params.mask_key);
      if (MASK_BOOL) { on = m != 0.0; } else { s += m; }
    }
    //#endif
    scores[lid / 4u][lid % 4u] = select(LOWEST, s, on);
    workgroupBarrier();
    var tops = vec4f(top);
    for (var i = 0u; i < WG / 4u; i++) { tops = max(tops, scores[i]); }
    let was = top;
    top = max(max(tops.x, tops.y), max(tops.z, tops.w));
    weights[lid] = select(0.0, exp(min(s - top, 0.0)), on);
    workgroupBarrier();
    let fade = exp(was - top);
    total *= fade;
    for (var n = 0u; n < COLUMNS; n++) { out[n] *= fade; }
    if (group < GROUPS) {
      for (var j = group; j < left; j += GROUPS) {
        let w = weights[j];
        total += w;
        for (var n = 0u; n < COLUMNS; n++) { out[n] += w * load4_v(v_base + (k0 + j) * params.v_row + min(column + n * WG, V4 - 1u)); }
      }
    }
  }
  totals[lid] = total;
  workgroupBarrier();
  // A group's invocations have the same sum of weights; the sink's part is with the very first.
  total = 0.0;
  for (var g = 0u; g < GROUPS; g++) { total += totals[g * min(V4, WG)]; }
  //#if SLICED
  let y_base = number * (V4 + 1u);
  if (lid == 0u) { store4_y(y_base + V4, vec4f(top, total, 0.0, 0.0)); }
  //#else
  let y_base = (batch * params.y_batch + head * params.y_head) / 4u;
  //#endif
  for (var n = 0u; n < COLUMNS; n++) {
    sums[lid] = out[n];
    workgroupBarrier();
    if (lid + n * WG < V4) {
      var sum = vec4f();
      for (var g = 0u; g < GROUPS; g++) { sum += sums[g * min(V4, WG) + lid]; }
      //#if !SLICED
      sum = select(sum / total, vec4f(params.empty_row), total == 0.0);
      //#endif
      store4_y(y_base + lid + n * WG, sum);
    }
    workgroupBarrier();
  }
}
