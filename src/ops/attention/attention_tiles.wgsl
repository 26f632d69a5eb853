// Attention in one pass over the keys as in fused_attention.wgsl, for blocks of BQ query rows. An
// invocation has ROWS rows, and of a block of BK keys KEYS of them, in fours; then COLUMNS fours of
// those rows' output: both products run from workgroup memory into registers.
const HEAD = 64u; //@config
const HEAD_V = 64u; //@config
const BQ = 32u; //@config
const BK = 32u; //@config
const ROWS = 4u; //@config
const LANES = 8u; //@config
const MASK_BOOL = false; //@config
const SOFTCAP = false; //@config
const WG = BQ / ROWS * LANES;
const D4 = HEAD / 4u;
const V4 = HEAD_V / 4u;
const Q_PITCH = D4 + 1u;
const PITCH = max(D4, V4) + 1u;
const KEYS = BK / LANES;
const FOURS = BK / 4u;
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
fn store4_y(i: u32, v: vec4f) { y[i * 4u] = v.x; y[i * 4u + 1u] = v.y; y[i * 4u + 2u] = v.z; y[i * 4u + 3u] = v.w; } //@store4 y

const LOWEST = -3.402823466e38;
//#if HALF
// Of f16 tensors tiles have f16 too.
alias Four = vec2<u32>;
fn packed(v: vec4f) -> Four { return vec2<u32>(pack2x16float(v.xy), pack2x16float(v.zw)); }
fn unpacked(w: Four) -> vec4f { return vec4f(unpack2x16float(w.x), unpack2x16float(w.y)); }
//#else
alias Four = vec4f;
fn packed(v: vec4f) -> Four { return v; }
fn unpacked(v: Four) -> vec4f { return v; }
//#endif
var<workgroup> q_tile: array<Four, BQ * Q_PITCH>;
var<workgroup> tile: array<Four, BK * PITCH>;  // keys, then values
var<workgroup> weights: array<vec4f, BQ * (FOURS + 1u)>;
var<workgroup> shared_rows: array<f32, BQ * LANES>;
var<workgroup> shared_offset: i32;

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
  let row0 = lid / LANES * ROWS;
  let lane = lid % LANES;
  for (var i = lid; i < BQ * D4; i += WG) {
    var four = vec4f();
    if (first + i / D4 < params.queries) { four = load4_q(q_base + i / D4 * params.q_row + i % D4); }
    q_tile[i / D4 * Q_PITCH + i % D4] = packed(four);
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
  for (var r = 0u; r < ROWS; r++) { //@unroll
    top[r] = LOWEST;
    //#if SINK
    top[r] = max(load_sink(head), LOWEST);
    sum[r] = select(0.0, 1.0, lane == 0u);
    //#endif
  }
  var out: array<vec4f, ROWS * COLUMNS>;
  for (var k0 = begin; k0 < end; k0 += BK) {
    let left = min(BK, end - k0);
    // Key j lies in row j / 4 of the quarter j % 4: lanes, which take fours of keys, read neighbours.
    for (var i = lid; i < left * D4; i += WG) {
      let key = i / D4;
      tile[(key % 4u * FOURS + key / 4u) * PITCH + i % D4] = packed(load4_k(k_base + (k0 + key) * params.k_row + i % D4));
    }
    workgroupBarrier();
    var s = array<array<f32, KEYS>, ROWS>();
    for (var c = 0u; c < D4; c++) {
      var key: array<vec4f, KEYS>;
      for (var n = 0u; n < KEYS; n++) { //@unroll
        key[n] = unpacked(tile[(n % 4u * FOURS + lane + n / 4u * LANES) * PITCH + c]);
      }
      for (var r = 0u; r < ROWS; r++) { //@unroll
        let x = unpacked(q_tile[(row0 + r) * Q_PITCH + c]);
        for (var n = 0u; n < KEYS; n++) { //@unroll
          s[r][n] = fma(x.w, key[n].w, fma(x.z, key[n].z, fma(x.y, key[n].y, fma(x.x, key[n].x, s[r][n]))));
        }
      }
    }
    var live: array<u32, ROWS>;
    for (var r = 0u; r < ROWS; r++) { //@unroll
      let query = first + row0 + r;
      let limit = i32(select(query, params.queries - 1u, params.last_sees_all != 0u)) + offset;
      var block_top = LOWEST;
      for (var n = 0u; n < KEYS; n++) { //@unroll
        let key = k0 + (lane + n / 4u * LANES) * 4u + n % 4u;
        var score = s[r][n] * params.scale;
        if (SOFTCAP) { score = params.softcap * tanh(clamp(score / params.softcap, -15.0, 15.0)); }
        var on = key < k0 + left && query < params.queries && (params.causal == 0u || (i32(key) <= limit && i32(key) > limit - params.window));
        //#if MASK
        if (on) {
          let m = load_mask(batch * params.mask_batch + head * params.mask_head + query * params.mask_query + key * params.mask_key);
          if (MASK_BOOL) { on = m != 0.0; } else { score += m; }
        }
        //#endif
        s[r][n] = score;
        live[r] = select(live[r] & ~(1u << n), live[r] | (1u << n), on);
        if (on) { block_top = max(block_top, score); }
      }
      shared_rows[(row0 + r) * LANES + lane] = block_top;
    }
    workgroupBarrier();
    for (var i = lid; i < BK * V4; i += WG) {
      var four = vec4f();
      if (i / V4 < left) { four = load4_v(v_base + (k0 + i / V4) * params.v_row + i % V4); }
      tile[i / V4 * PITCH + i % V4] = packed(four);
    }
    for (var r = 0u; r < ROWS; r++) { //@unroll
      let was = top[r];
      for (var n = 0u; n < LANES; n++) { top[r] = max(top[r], shared_rows[(row0 + r) * LANES + n]); }
      let fade = exp(was - top[r]);
      sum[r] *= fade;
      for (var n = 0u; n < COLUMNS; n++) { //@unroll
        out[r * COLUMNS + n] *= fade;
      }
      for (var n = 0u; n < KEYS; n += 4u) { //@unroll
        let x = vec4f(s[r][n], s[r][n + 1u], s[r][n + 2u], s[r][n + 3u]);
        let on = ((vec4u(live[r]) >> vec4u(n, n + 1u, n + 2u, n + 3u)) & vec4u(1u)) != vec4u();
        let p = select(vec4f(), exp(min(x - top[r], vec4f())), on);
        weights[(row0 + r) * (FOURS + 1u) + lane + n / 4u * LANES] = p;
        sum[r] += p.x + p.y + p.z + p.w;
      }
    }
    workgroupBarrier();
    for (var j = 0u; j < FOURS; j++) {
      for (var n = 0u; n < COLUMNS; n++) { //@unroll
        let at = j * 4u * PITCH + min(lane + n * LANES, V4 - 1u);
        let v0 = unpacked(tile[at]);
        let v1 = unpacked(tile[at + PITCH]);
        let v2 = unpacked(tile[at + 2u * PITCH]);
        let v3 = unpacked(tile[at + 3u * PITCH]);
        for (var r = 0u; r < ROWS; r++) { //@unroll
          let w = weights[(row0 + r) * (FOURS + 1u) + j];
          out[r * COLUMNS + n] = fma(vec4f(w.w), v3, fma(vec4f(w.z), v2, fma(vec4f(w.y), v1, fma(vec4f(w.x), v0, out[r * COLUMNS + n]))));
        }
      }
    }
    workgroupBarrier();
  }
  for (var r = 0u; r < ROWS; r++) { //@unroll
    shared_rows[(row0 + r) * LANES + lane] = sum[r];
  }
  workgroupBarrier();
  let y_base = batch * params.y_batch + head * params.y_head + first * params.y_row;
  for (var r = 0u; r < ROWS; r++) { //@unroll
    var total = 0.0;
    for (var n = 0u; n < LANES; n++) { total += shared_rows[(row0 + r) * LANES + n]; }
    for (var n = 0u; n < COLUMNS; n++) { //@unroll
      let column = lane + n * LANES;
      if (first + row0 + r < params.queries && column < V4) {
        store4_y((y_base + (row0 + r) * params.y_row) / 4u + column, select(out[r * COLUMNS + n] / total, vec4f(params.empty_row), total == 0.0));
      }
    }
  }
}
