// Linear attention: a state matrix [KEYS, values] for each batch and key head, updated by every
// position of the sequence and then read by the queries of the head's group. A column of the state
// is held by LANES neighbouring invocations, ROWS elements each.
const WG = 64u; //@config
const LANES = 8u; //@config
const KEYS = 16u; //@config
const ROWS = 2u; //@config
//@use reduce_tree

@group(0) @binding(0) var<storage, read> q: array<f32>;
@group(0) @binding(1) var<storage, read> k: array<f32>;
@group(0) @binding(2) var<storage, read> v: array<f32>;
//#if PAST
@group(0) @binding(3) var<storage, read> past: array<f32>;
fn load_past(i: u32) -> f32 { return past[i]; } //@load past
//#endif
//#if DECAY
@group(0) @binding(4) var<storage, read> decay: array<f32>;
fn load_decay(i: u32) -> f32 { return decay[i]; } //@load decay
//#endif
//#if BETA
@group(0) @binding(5) var<storage, read> beta: array<f32>;
fn load_beta(i: u32) -> f32 { return beta[i]; } //@load beta
//#endif
@group(0) @binding(6) var<storage, read_write> y: array<f32>;
//#if PRESENT
@group(0) @binding(7) var<storage, read_write> present: array<f32>;
fn store_present(i: u32, v: f32) { present[i] = v; } //@store present
//#endif
/// Element i of head h's decay at position t of batch b (counted through):
/// t * decay_row + h * decay_head + i * decay_key; its beta: t * beta_row + h * beta_head.
struct Params {
  units: u32, heads: u32, group: u32, positions: u32, values: u32, blocks: u32,
  decay_row: u32, decay_head: u32, decay_key: u32, beta_row: u32, beta_head: u32, scale: f32
}
@group(0) @binding(8) var<uniform> params: Params;

fn load_q(i: u32) -> f32 { return q[i]; } //@load q
fn load_k(i: u32) -> f32 { return k[i]; } //@load k
fn load_v(i: u32) -> f32 { return v[i]; } //@load v
fn store_y(i: u32, v: f32) { y[i] = v; } //@store y

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) count: vec3u,
        @builtin(local_invocation_index) lid: u32) {
  let unit = wid.x + wid.y * count.x;
  if (unit >= params.units) { return; }
  let matrix = unit / params.blocks;  // which state
  let head = matrix % params.heads;
  let lane = lid % LANES;
  let column = unit % params.blocks * (WG / LANES) + lid / LANES;
  let is_live = column < params.values;
  let base = matrix * KEYS * params.values + min(column, params.values - 1u);
  var state: array<f32, ROWS>;
  //#if PAST
  for (var r = 0u; r < ROWS; r++) {
    let i = r * LANES + lane;
    if (i < KEYS) { state[r] = load_past(base + i * params.values); }
  }
  //#endif
  for (var t = 0u; t < params.positions; t++) {
    let at = matrix / params.heads * params.positions + t;
    var key: array<f32, ROWS>;
    var seen = 0.0;
    for (var r = 0u; r < ROWS; r++) {
      let i = r * LANES + lane;
      if (i >= KEYS) { break; }
      key[r] = load_k((at * params.heads + head) * KEYS + i);
      //#if DECAY
      state[r] *= exp(load_decay(at * params.decay_row + head * params.decay_head +
                                 i * params.decay_key));
      //#endif
      seen += state[r] * key[r];
    }
    var value = 0.0;
    if (is_live) { value = load_v((at * params.heads + head) * params.values + column); }
    //#if BETA
    value = (value - tree_sum(lid, seen)) *
        load_beta(at * params.beta_row + head * params.beta_head);
    //#endif
    for (var r = 0u; r < ROWS; r++) { state[r] += key[r] * value; }
    for (var g = 0u; g < params.group; g++) {
      let row = (at * params.heads + head) * params.group + g;
      var dot = 0.0;
      for (var r = 0u; r < ROWS; r++) {
        let i = r * LANES + lane;
        if (i < KEYS) { dot += state[r] * load_q(row * KEYS + i); }
      }
      let sum = tree_sum(lid, dot);
      if (is_live && lane == 0u) { store_y(row * params.values + column, sum * params.scale); }
    }
  }
  //#if PRESENT
  if (!is_live) { return; }
  for (var r = 0u; r < ROWS; r++) {
    let i = r * LANES + lane;
    if (i < KEYS) { store_present(base + i * params.values, state[r]); }
  }
  //#endif
}
