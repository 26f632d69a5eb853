// Attention in one pass over the keys as in fused_attention.wgsl, for blocks of BQ query rows. An
// invocation has ROWS rows, and of a block of BK keys KEYS of them, in fours; then COLUMNS fours of
// those rows' output: both products run from workgroup memory into registers. While one runs, what
// the next one needs is on its way. Workgroup number (x, then y): slice of the keys, block, head,
// batch, the first fastest. With SLICED what it sums goes to attention_merge.wgsl: for each row and
// slice HEAD_V sums, the largest score, the weights' sum, two unused.
const HEAD = 64u; //@config
const HEAD_V = 64u; //@config
const BQ = 32u; //@config
const BK = 32u; //@config
const ROWS = 4u; //@config
const LANES = 8u; //@config
const MASK_BOOL = false; //@config
const SOFTCAP = false; //@config
const SLICED = false; //@config
const APART = true; //@config
//#if SUBGROUP
enable subgroups;
const SUBGROUP = 32u; //@config
//@use reduce_subgroup
//#endif
const WG = BQ / ROWS * LANES;
const D4 = HEAD / 4u;
const V4 = HEAD_V / 4u;
const Q_PITCH = D4 + 1u;
const PITCH = max(D4, V4) + 1u;
const KEYS = BK / LANES;
const FOURS = BK / 4u;
const COLUMNS = (V4 + LANES - 1u) / LANES;
const K_LOADS = (BK * D4 + WG - 1u) / WG;
const V_LOADS = (BK * V4 + WG - 1u) / WG;
const V_AT = select(0u, BK * PITCH, APART);  // where values lie, which may take the place of keys

@group(0) @binding(0) var<storage, read> q: array<f32>;
//#if HALF
// Of f16 tensors tiles have f16 too.
alias Four = vec2<u32>;
@group(0) @binding(1) var<storage, read> k: array<vec2<u32>>;
@group(0) @binding(2) var<storage, read> v: array<vec2<u32>>;
fn load4_k(i: u32) -> Four { return k[i]; }
fn load4_v(i: u32) -> Four { return v[i]; }
fn packed(v: vec4f) -> Four { return vec2<u32>(pack2x16float(v.xy), pack2x16float(v.zw)); }
fn unpacked(w: Four) -> vec4f { return vec4f(unpack2x16float(w.x), unpack2x16float(w.y)); }
//#if KEPT_F32
// Those of keys and values have f32, so that they are widened once.
alias Kept = vec4f;
fn kept(w: Four) -> Kept { return unpacked(w); }
fn widened(v: Kept) -> vec4f { return v; }
//#else
alias Kept = Four;
fn kept(w: Four) -> Kept { return w; }
fn widened(v: Kept) -> vec4f { return unpacked(v); }
//#endif
//#else
alias Four = vec4f;
alias Kept = vec4f;
@group(0) @binding(1) var<storage, read> k: array<f32>;
@group(0) @binding(2) var<storage, read> v: array<f32>;
fn load4_k(i: u32) -> vec4f { return vec4f(k[i * 4u], k[i * 4u + 1u], k[i * 4u + 2u], k[i * 4u + 3u]); } //@load4 k
fn load4_v(i: u32) -> vec4f { return vec4f(v[i * 4u], v[i * 4u + 1u], v[i * 4u + 2u], v[i * 4u + 3u]); } //@load4 v
fn packed(v: vec4f) -> Four { return v; }
fn unpacked(v: Four) -> vec4f { return v; }
fn kept(v: Four) -> Kept { return v; }
fn widened(v: Kept) -> vec4f { return v; }
//#endif
//#if MASK
@group(0) @binding(3) var<storage, read> mask: array<f32>;
fn load_mask(i: u32) -> f32 { return mask[i]; } //@load mask
//#endif
//#if OFFSETS
@group(0) @binding(4) var<storage, read> offsets: array<i32>;
fn load_offset(i: u32) -> i32 { return offsets[i]; } //@load offsets
//#endif
//#if SINK
@group(0) @binding(5) var<storage, read> sink: array<f32>;
fn load_sink(i: u32) -> f32 { return sink[i]; } //@load sink
//#endif
@group(0) @binding(6) var<storage, read_write> y: array<f32>;
struct Params {
  batch: u32, heads: u32, group: u32, queries: u32, keys: u32, blocks: u32, causal: u32,
  causal_offset: i32, last_sees_all: u32, window: i32,
  mask_batch: u32, mask_head: u32, mask_query: u32, mask_key: u32,
  q_batch: u32, q_head: u32, q_row: u32, q_start: u32,
  k_batch: u32, k_head: u32, k_row: u32, k_start: u32,
  v_batch: u32, v_head: u32, v_row: u32, v_start: u32, y_batch: u32, y_head: u32, y_row: u32,
  scale: f32, softcap: f32, empty_row: f32, slices: u32,
}
@group(0) @binding(7) var<uniform> params: Params;

fn load4_q(i: u32) -> vec4f { return vec4f(q[i * 4u], q[i * 4u + 1u], q[i * 4u + 2u], q[i * 4u + 3u]); } //@load4 q
fn store4_y(i: u32, v: vec4f) { y[i * 4u] = v.x; y[i * 4u + 1u] = v.y; y[i * 4u + 2u] = v.z; y[i * 4u + 3u] = v.w; } //@store4 y

const LOWEST = -3.402823466e38;
var<workgroup> q_tile: array<Four, BQ * Q_PITCH>;
var<workgroup> tile: array<Kept, BK * PITCH + V_AT>;
var<workgroup> weights: array<vec4f, BQ * (FOURS + 1u)>;
//#if OFFSETS
var<workgroup> shared_offset: i32;
//#endif
//#if !SUBGROUP
var<workgroup> shared_rows: array<f32, BQ * LANES>;
//#endif

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) count: vec3u,
        @builtin(local_invocation_index) lid: u32) {
  let number = wid.x + wid.y * count.x;
  let slice = number % params.slices;
  let block = number / params.slices;
  let head = block / params.blocks % params.heads;
  let batch = block / params.blocks / params.heads;
  if (batch >= params.batch) { return; }
  let first = block % params.blocks * BQ;
  let q_base = params.q_start + batch * params.q_batch + head * params.q_head + first * params.q_row;
  let k_base = params.k_start + batch * params.k_batch + head / params.group * params.k_head;
  let v_base = params.v_start + batch * params.v_batch + head / params.group * params.v_head;
  let row0 = lid / LANES * ROWS;
  let lane = lid % LANES;
  // Under a causal mask no row of this block sees keys from `all` on, or before `least`.
  var offset = params.causal_offset;
  //#if OFFSETS
  // The loop below has barriers: its bounds must be seen to be the same in all invocations.
  if (lid == 0u) { shared_offset = load_offset(batch); }
  offset = workgroupUniformLoad(&shared_offset);
  //#endif
  let last = select(first + BQ, params.queries, params.last_sees_all != 0u);
  let seen = clamp(i32(last) + offset, 0, i32(params.keys));
  let all = select(params.keys, u32(seen), params.causal != 0u);
  let unseen = i32(select(first, params.queries - 1u, params.last_sees_all != 0u)) + offset + 1 - params.window;
  let least = u32(max(unseen, 0)) / BK * BK;
  let span = (max(all, least) - least + BK * params.slices - 1u) / (BK * params.slices) * BK;
  let begin = least + slice * span;
  let end = min(begin + span, all);
  // Loads of keys past the last one are of the last one; what they give is not seen.
  var next_key: array<Four, K_LOADS>;
  if (begin < end) {
    for (var n = 0u; n < K_LOADS; n++) { //@unroll
      let i = lid + n * WG;
      next_key[n] = load4_k(k_base + min(begin + i / D4, end - 1u) * params.k_row + i % D4);
    }
  }
  for (var i = lid; i < BQ * D4; i += WG) {
    var four = vec4f();
    if (first + i / D4 < params.queries) { four = load4_q(q_base + i / D4 * params.q_row + i % D4); }
    q_tile[i / D4 * Q_PITCH + i % D4] = packed(four);
  }
  var top: array<f32, ROWS>;
  var sum: array<f32, ROWS>;
  for (var r = 0u; r < ROWS; r++) { //@unroll
    top[r] = LOWEST;
    //#if SINK
    top[r] = max(load_sink(head), LOWEST);
    sum[r] = select(0.0, 1.0, lane == 0u && slice == 0u);
    //#endif
  }
  var out: array<vec4f, ROWS * COLUMNS>;
  for (var k0 = begin; k0 < end; k0 += BK) {
    let left = min(BK, end - k0);
    // Key j lies in row j / 4 of the quarter j % 4: lanes, which take fours of keys, read neighbours.
    for (var n = 0u; n < K_LOADS; n++) { //@unroll
      let i = lid + n * WG;
      let key = i / D4;
      if (BK * D4 % WG == 0u || i < BK * D4) { tile[(key % 4u * FOURS + key / 4u) * PITCH + i % D4] = kept(next_key[n]); }
    }
    workgroupBarrier();
    var next_value: array<Four, V_LOADS>;
    for (var n = 0u; n < V_LOADS; n++) { //@unroll
      let i = lid + n * WG;
      next_value[n] = load4_v(v_base + min(k0 + i / V4, end - 1u) * params.v_row + i % V4);
    }
    var s = array<array<f32, KEYS>, ROWS>();
    for (var c = 0u; c < D4; c++) {
      var key: array<vec4f, KEYS>;
      for (var n = 0u; n < KEYS; n++) { //@unroll
        key[n] = widened(tile[(n % 4u * FOURS + lane + n / 4u * LANES) * PITCH + c]);
      }
      for (var r = 0u; r < ROWS; r++) { //@unroll
        let x = unpacked(q_tile[(row0 + r) * Q_PITCH + c]);
        for (var n = 0u; n < KEYS; n++) { //@unroll
          s[r][n] = fma(x.w, key[n].w, fma(x.z, key[n].z, fma(x.y, key[n].y, fma(x.x, key[n].x, s[r][n]))));
        }
      }
    }
    // Row r sees the span_keys[r] keys from from_key[r] on.
    var from_key: array<i32, ROWS>;
    var span_keys: array<u32, ROWS>;
    var live = array<u32, ROWS>();
    var block_top: array<f32, ROWS>;
    for (var r = 0u; r < ROWS; r++) { //@unroll
      let query = first + row0 + r;
      let limit = i32(select(query, params.queries - 1u, params.last_sees_all != 0u)) + offset;
      from_key[r] = select(0, limit - params.window + 1, params.causal != 0u);
      let before = select(i32(k0 + left), min(i32(k0 + left), limit + 1), params.causal != 0u);
      span_keys[r] = select(0u, u32(max(before - from_key[r], 0)), query < params.queries);
      block_top[r] = LOWEST;
      for (var n = 0u; n < KEYS; n++) { //@unroll
        let key = k0 + (lane + n / 4u * LANES) * 4u + n % 4u;
        var score = s[r][n] * params.scale;
        if (SOFTCAP) { score = params.softcap * tanh(clamp(score / params.softcap, -15.0, 15.0)); }
        var on = u32(i32(key) - from_key[r]) < span_keys[r];
        //#if MASK
        if (on) {
          let m = load_mask(batch * params.mask_batch + head * params.mask_head + query * params.mask_query + key * params.mask_key);
          if (MASK_BOOL) { on = m != 0.0; } else { score += m; }
        }
        live[r] |= select(0u, 1u << n, on);
        //#endif
        s[r][n] = score;
        block_top[r] = select(block_top[r], max(block_top[r], score), on);
      }
      //#if !SUBGROUP
      shared_rows[(row0 + r) * LANES + lane] = block_top[r];
      //#endif
    }
    if (!APART) { workgroupBarrier(); }
    for (var n = 0u; n < V_LOADS; n++) { //@unroll
      let i = lid + n * WG;
      // A value that no row sees is not to be infinite.
      if (BK * V4 % WG == 0u || i < BK * V4) { tile[V_AT + i / V4 * PITCH + i % V4] = kept(select(Four(), next_value[n], i / V4 < left)); }
    }
    //#if !SUBGROUP
    if (APART) { workgroupBarrier(); }
    //#endif
    for (var r = 0u; r < ROWS; r++) { //@unroll
      let was = top[r];
      //#if SUBGROUP
      top[r] = max(top[r], tree_max(lid, block_top[r]));
      //#else
      for (var n = 0u; n < LANES; n++) { top[r] = max(top[r], shared_rows[(row0 + r) * LANES + n]); }
      //#endif
      let fade = exp(was - top[r]);
      sum[r] *= fade;
      for (var n = 0u; n < COLUMNS; n++) { //@unroll
        out[r * COLUMNS + n] *= fade;
      }
      for (var n = 0u; n < KEYS; n += 4u) { //@unroll
        let x = vec4f(s[r][n], s[r][n + 1u], s[r][n + 2u], s[r][n + 3u]);
        //#if MASK
        let on = ((vec4u(live[r]) >> vec4u(n, n + 1u, n + 2u, n + 3u)) & vec4u(1u)) != vec4u();
        //#else
        let key = i32(k0 + (lane + n / 4u * LANES) * 4u) - from_key[r];
        let on = vec4u(vec4i(key) + vec4i(0, 1, 2, 3)) < vec4u(span_keys[r]);
        //#endif
        let p = select(vec4f(), exp(x - top[r]), on);
        weights[(row0 + r) * (FOURS + 1u) + lane + n / 4u * LANES] = p;
        sum[r] += p.x + p.y + p.z + p.w;
      }
    }
    workgroupBarrier();
    for (var n = 0u; n < K_LOADS; n++) { //@unroll
      let i = lid + n * WG;
      next_key[n] = load4_k(k_base + min(k0 + BK + i / D4, end - 1u) * params.k_row + i % D4);
    }
    for (var j = 0u; j < FOURS; j++) {
      var w: array<vec4f, ROWS>;
      for (var r = 0u; r < ROWS; r++) { //@unroll
        w[r] = weights[(row0 + r) * (FOURS + 1u) + j];
      }
      for (var n = 0u; n < COLUMNS; n++) { //@unroll
        let at = V_AT + j * 4u * PITCH + min(lane + n * LANES, V4 - 1u);
        let v0 = widened(tile[at]);
        let v1 = widened(tile[at + PITCH]);
        let v2 = widened(tile[at + 2u * PITCH]);
        let v3 = widened(tile[at + 3u * PITCH]);
        for (var r = 0u; r < ROWS; r++) { //@unroll
          out[r * COLUMNS + n] = fma(vec4f(w[r].w), v3, fma(vec4f(w[r].z), v2, fma(vec4f(w[r].y), v1, fma(vec4f(w[r].x), v0, out[r * COLUMNS + n]))));
        }
      }
    }
    if (!APART) { workgroupBarrier(); }
  }
  //#if !SUBGROUP
  for (var r = 0u; r < ROWS; r++) { //@unroll
    shared_rows[(row0 + r) * LANES + lane] = sum[r];
  }
  workgroupBarrier();
  //#endif
  let y_base = batch * params.y_batch + head * params.y_head + first * params.y_row;
  for (var r = 0u; r < ROWS; r++) { //@unroll
    //#if SUBGROUP
    let total = tree_sum(lid, sum[r]);
    //#else
    var total = 0.0;
    for (var n = 0u; n < LANES; n++) { total += shared_rows[(row0 + r) * LANES + n]; }
    //#endif
    let row = first + row0 + r;
    let part = (((batch * params.heads + head) * params.queries + row) * params.slices + slice) * (V4 + 1u);
    for (var n = 0u; n < COLUMNS; n++) { //@unroll
      let column = lane + n * LANES;
      if (row < params.queries && column < V4) {
        if (SLICED) {
          store4_y(part + column, out[r * COLUMNS + n]);
        } else {
          store4_y((y_base + (row0 + r) * params.y_row) / 4u + column, select(out[r * COLUMNS + n] / total, vec4f(params.empty_row), total == 0.0));
        }
      }
    }
    if (SLICED && row < params.queries && lane == 0u) { store4_y(part + V4, vec4f(top[r], total, 0.0, 0.0)); }
  }
}
