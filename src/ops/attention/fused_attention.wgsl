// Attention in one pass over the keys, with a running softmax. A workgroup (number x, then y:
// block of BQ query rows, head, batch, the first fastest) goes through the keys in blocks of BK;
// LANES invocations share ROWS rows: their scores, then their output columns. Head sizes are
// multiples of 4.
const HEAD = 64u; //@config
const HEAD_V = 64u; //@config
const BQ = 16u; //@config
const BK = 32u; //@config
const ROWS = 2u; //@config
const LANES = 8u; //@config
const MASK_BOOL = false; //@config
const SOFTCAP = false; //@config
const WG = BQ / ROWS * LANES;
const D4 = HEAD / 4u;
const V4 = HEAD_V / 4u;
const Q_PITCH = D4 + 1u;
const PITCH = max(D4, V4) + 1u;
const KEYS = BK / LANES;
const COLUMNS = (V4 + LANES - 1u) / LANES;

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
  batch: u32, heads: u32, group: u32, queries: u32, keys: u32, blocks: u32, causal: u32,
  causal_offset: i32, last_sees_all: u32, window: i32,
  mask_batch: u32, mask_head: u32, mask_query: u32, mask_key: u32,
  q_batch: u32, q_head: u32, q_row: u32, q_start: u32,
  k_batch: u32, k_head: u32, k_row: u32, k_start: u32,
  v_batch: u32, v_head: u32, v_row: u32, v_start: u32, y_batch: u32, y_head: u32, y_row: u32,
  scale: f32, softcap: f32, empty_row: f32,
}
@group(0) @binding(7) var<uniform> params: Params;

fn load4_q(i: u32) -> vec4f { return vec4f(q[i * 4u], q[i * 4u + 1u], q[i * 4u + 2u], q[i * 4u + 3u]); } //@load4 q
fn load4_k(i: u32) -> vec4f { return vec4f(k[i * 4u], k[i * 4u + 1u], k[i * 4u + 2u], k[i * 4u + 3u]); } //@load4 k
fn load4_v(i: u32) -> vec4f { return vec4f(v[i * 4u], v[i * 4u + 1u], v[i * 4u + 2u], v[i * 4u + 3u]); } //@load4 v
fn store_y(i: u32, value: f32) { y[i] = value; } //@store y

const LOWEST = -3.402823466e38;
var<workgroup> q_tile: array<vec4f, BQ * Q_PITCH>;
var<workgroup> tile: array<vec4f, BK * PITCH>;   // keys, then values
var<workgroup> weights: array<f32, BQ * BK>;
var<workgroup> shared_rows: array<f32, BQ * LANES>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) count: vec3u,
        @builtin(local_invocation_index) lid: u32) {
  let number = wid.x + wid.y * count.x;
  let head = number / params.blocks % params.heads;
  let batch = number / params.blocks / params.heads;
  if (batch >= params.batch) { return; }
  let first = number % params.blocks * BQ;
  let q_base = params.q_start + batch * params.q_batch + head * params.q_head + first * params.q_row;
  let k_base = params.k_start + batch * params.k_batch + head / params.group * params.k_head;
  let v_base = params.v_start + batch * params.v_batch + head / params.group * params.v_head;
  let y_base = batch * params.y_batch + head * params.y_head + first * params.y_row;
  let row0 = lid / LANES * ROWS;
  let lane = lid % LANES;
  for (var i = lid; i < BQ * D4; i += WG) {
    if (first + i / D4 < params.queries) { q_tile[i / D4 * Q_PITCH + i % D4] = load4_q(q_base + i / D4 * params.q_row + i % D4) * params.scale; }
  }
  // Under a causal mask no row of this block sees keys from `end` on, or before `begin`.
  var offset = params.causal_offset;
  //#if OFFSETS
  // The loop below has barriers: its bounds must be seen to be the same in all invocations.
  if (lid == 0u) { shared_offset = load_offset(batch); }
  offset = workgroupUniformLoad(&shared_offset);
  //#endif
  let last = select(first + BQ, params.queries, params.last_sees_all != 0u);
  let seen = clamp(i32(last) + offset, 0, i32(params.keys));
  let end = select(params.keys, u32(seen), params.causal != 0u);
  let unseen = i32(select(first, params.queries - 1u, params.last_sees_all != 0u)) + offset + 1 - params.window;
  let begin = u32(max(unseen, 0)) / BK * BK;
  var top: array<f32, ROWS>;
  var sum: array<f32, ROWS>;
  for (var r = 0u; r < ROWS; r++) {
    top[r] = LOWEST;
    //#if SINK
    top[r] = max(load_sink(head), LOWEST);
    sum[r] = select(0.0, 1.0, lane == 0u);
    //#endif
  }
  var out: array<array<vec4f, COLUMNS>, ROWS>;
  for (var k0 = begin; k0 < end; k0 += BK) {
    let left = min(BK, end - k0);
    for (var i = lid; i < left * D4; i += WG) { tile[i / D4 * PITCH + i % D4] = load4_k(k_base + (k0 + i / D4) * params.k_row + i % D4); }
    workgroupBarrier();
    var dots = array<array<vec4f, KEYS>, ROWS>();
    for (var c = 0u; c < D4; c++) {
      for (var n = 0u; n < KEYS; n++) {
        let key = tile[(lane + n * LANES) * PITCH + c];
        for (var r = 0u; r < ROWS; r++) { dots[r][n] += q_tile[(row0 + r) * Q_PITCH + c] * key; }
      }
    }
    var scores: array<array<f32, KEYS>, ROWS>;
    var live: array<array<bool, KEYS>, ROWS>;
    for (var r = 0u; r < ROWS; r++) {
      let query = first + row0 + r;
      let limit = i32(select(query, params.queries - 1u, params.last_sees_all != 0u)) + offset;
      var block_top = LOWEST;
      for (var n = 0u; n < KEYS; n++) {
        let key = k0 + lane + n * LANES;
        var s = dot(dots[r][n], vec4f(1.0));
        if (SOFTCAP) { s = params.softcap * tanh(clamp(s / params.softcap, -15.0, 15.0)); }
        var on = key < k0 + left && query < params.queries && (params.causal == 0u || (i32(key) <= limit && i32(key) > limit - params.window));
        //#if MASK
        if (on) {
          let m = load_mask(batch * params.mask_batch + head * params.mask_head + query * params.mask_query + key * params.mask_key);
          if (MASK_BOOL) { on = m != 0.0; } else { s += m; }
        }
        //#endif
        scores[r][n] = s;
        live[r][n] = on;
        if (on) { block_top = max(block_top, s); }
      }
      shared_rows[(row0 + r) * LANES + lane] = block_top;
    }
    workgroupBarrier();
    for (var i = lid; i < left * V4; i += WG) { tile[i / V4 * PITCH + i % V4] = load4_v(v_base + (k0 + i / V4) * params.v_row + i % V4); }
    for (var r = 0u; r < ROWS; r++) {
      let was = top[r];
      for (var n = 0u; n < LANES; n++) { top[r] = max(top[r], shared_rows[(row0 + r) * LANES + n]); }
      let fade = exp(was - top[r]);
      sum[r] *= fade;
      for (var n = 0u; n < COLUMNS; n++) { out[r][n] *= fade; }
      for (var n = 0u; n < KEYS; n++) {
        let p = select(0.0, exp(min(scores[r][n] - top[r], 0.0)), live[r][n]);
        weights[(row0 + r) * BK + lane + n * LANES] = p;
        sum[r] += p;
      }
    }
    workgroupBarrier();
    for (var j = 0u; j < left; j++) {
      for (var n = 0u; n < COLUMNS; n++) {
        let value = tile[j * PITCH + min(lane + n * LANES, V4 - 1u)];
        for (var r = 0u; r < ROWS; r++) { out[r][n] += weights[(row0 + r) * BK + j] * value; }
      }
    }
    workgroupBarrier();
  }
  for (var r = 0u; r < ROWS; r++) { shared_rows[(row0 + r) * LANES + lane] = sum[r]; }
  workgroupBarrier();
  for (var r = 0u; r < ROWS; r++) {
    var total = 0.0;
    for (var n = 0u; n < LANES; n++) { total += shared_rows[(row0 + r) * LANES + n]; }
    if (first + row0 + r >= params.queries) { continue; }
    for (var n = 0u; n < COLUMNS; n++) {
      let c = (lane + n * LANES) * 4u;
      for (var j = 0u; j < 4u && c + j < HEAD_V; j++) {
        store_y(y_base + (row0 + r) * params.y_row + c + j, select(out[r][n][j] / total, params.empty_row, total == 0.0));
      }
    }
  }
}
