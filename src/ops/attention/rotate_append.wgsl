// Packed queries, keys and values of a decoder's layer: queries and keys are rotated by their
// positions, keys and values go into their caches, whose earlier rows are copied. An invocation
// stores four elements of a head: of the queries, then of the keys' cache, then of the values'.
const WG = 64u; //@config

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> table: array<f32>;
@group(0) @binding(2) var<storage, read> offsets: array<i32>;
//#if PAST
@group(0) @binding(3) var<storage, read> past_keys: array<f32>;
@group(0) @binding(4) var<storage, read> past_values: array<f32>;
fn load4_past_keys(i: u32) -> vec4f { return vec4f(past_keys[i * 4u], past_keys[i * 4u + 1u], past_keys[i * 4u + 2u], past_keys[i * 4u + 3u]); } //@load4 past_keys
fn load4_past_values(i: u32) -> vec4f { return vec4f(past_values[i * 4u], past_values[i * 4u + 1u], past_values[i * 4u + 2u], past_values[i * 4u + 3u]); } //@load4 past_values
//#endif
@group(0) @binding(5) var<storage, read_write> queries: array<f32>;
@group(0) @binding(6) var<storage, read_write> keys: array<f32>;
@group(0) @binding(7) var<storage, read_write> values: array<f32>;
/// In fours: of all queries, of a cache, of a head, of the half of what is rotated of a head.
struct Params {
  query_fours: u32, cache_fours: u32, rows: u32, heads: u32, kv_heads: u32, past: u32, total: u32,
  size: u32, half: u32, positions: u32,
}
@group(0) @binding(8) var<uniform> params: Params;

fn load4_x(i: u32) -> vec4f { return vec4f(x[i * 4u], x[i * 4u + 1u], x[i * 4u + 2u], x[i * 4u + 3u]); } //@load4 x
fn load4_table(i: u32) -> vec4f { return vec4f(table[i * 4u], table[i * 4u + 1u], table[i * 4u + 2u], table[i * 4u + 3u]); } //@load4 table
fn load_offset(i: u32) -> i32 { return offsets[i]; } //@load offsets
fn store4_queries(i: u32, v: vec4f) { queries[i * 4u] = v.x; queries[i * 4u + 1u] = v.y; queries[i * 4u + 2u] = v.z; queries[i * 4u + 3u] = v.w; } //@store4 queries
fn store4_keys(i: u32, v: vec4f) { keys[i * 4u] = v.x; keys[i * 4u + 1u] = v.y; keys[i * 4u + 2u] = v.z; keys[i * 4u + 3u] = v.w; } //@store4 keys
fn store4_values(i: u32, v: vec4f) { values[i * 4u] = v.x; values[i * 4u + 1u] = v.y; values[i * 4u + 2u] = v.z; values[i * 4u + 3u] = v.w; } //@store4 values

/// Fours `d` of the head of x that begins at `head`.
fn rotated(head: u32, d: u32, position: i32) -> vec4f {
  let v = load4_x(head + d);
  let half = params.half;
  if (d >= 2u * half) { return v; }
  let cosines = u32(clamp(position, 0, i32(params.positions) - 1)) * 2u * half;
  let sines = cosines + half;
  //#if INTERLEAVED
  let c = load4_table(cosines + d / 2u);
  let s = load4_table(sines + d / 2u);
  let odd = d % 2u != 0u;
  return v * select(c.xxyy, c.zzww, odd) + vec4f(-v.y, v.x, -v.w, v.z) * select(s.xxyy, s.zzww, odd);
  //#else
  let first = d < half;
  let side = load4_x(head + select(d - half, d + half, first)) * load4_table(sines + d % half);
  return v * load4_table(cosines + d % half) + select(side, -side, first);
  //#endif
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) count: vec3u,
        @builtin(local_invocation_index) lid: u32) {
  let number = (wid.x + wid.y * count.x) * WG + lid;
  let d = number % params.size;
  let all = params.heads + 2u * params.kv_heads;
  if (number < params.query_fours) {
    let at = number / params.size;
    let token = at / params.heads;
    let position = load_offset(token / params.rows) + i32(token % params.rows);
    store4_queries(number, rotated((token * all + at % params.heads) * params.size, d, position));
    return;
  }
  var four = number - params.query_fours;
  let is_value = four >= params.cache_fours;
  if (is_value) { four -= params.cache_fours; }
  if (four >= params.cache_fours) { return; }
  let at = four / params.size;
  let t = at % params.total;
  let matrix = at / params.total;  // of which batch and head
  let batch = matrix / params.kv_heads;
  let row = i32(t) - load_offset(batch);
  var v = vec4f();
  if (row >= 0 && row < i32(params.rows)) {
    let token = batch * params.rows + u32(row);
    let head = (token * all + params.heads + matrix % params.kv_heads) * params.size;
    if (is_value) { v = load4_x(head + params.kv_heads * params.size + d); } else { v = rotated(head, d, i32(t)); }
  }
  //#if PAST
  if (row < 0 && t < params.past) {
    let old = (matrix * params.past + t) * params.size + d;
    if (is_value) { v = load4_past_values(old); } else { v = load4_past_keys(old); }
  }
  //#endif
  if (is_value) { store4_values(four, v); } else { store4_keys(four, v); }
}
