// Attention in one pass over the keys as in fused_attention.wgsl, of f16 tensors by subgroup matrices
// of 16 x 16 with sums in f32. A workgroup has blocks of 16 query rows, one a subgroup of 32; two
// invocations share a row of scores. The running maximum is raised only where scores exceed it by
// SLACK binary digits, since that takes the sums through workgroup memory. Matrices stay in
// registers only as variables of main, their loops written out.
enable f16, subgroups, chromium_experimental_subgroup_matrix;
const HEAD = 64u; //@config
const SUBGROUPS = 4u;
const BK = 32u;
const SLACK = 8.0;
const WG = SUBGROUPS * 32u;
const D8 = HEAD / 8u;
const DEPTH = HEAD / 16u;
const PITCH = D8 + 1u;
const ROW = max(BK / 4u, D8) + 1u;
const PARTS = HEAD / BK;
const LOADS = BK * D8 / WG;
alias Left = subgroup_matrix_left<f16, 16, 16>;
alias Right = subgroup_matrix_right<f16, 16, 16>;
alias Sum = subgroup_matrix_result<f32, 16, 16>;
var<workgroup> k_tile: array<vec4<u32>, BK * PITCH>;
var<workgroup> v_tile: array<vec4<u32>, BK * PITCH>;
// Of each subgroup: queries, then scores, weights and outputs on their way.
var<workgroup> stage: array<vec4<u32>, SUBGROUPS * 16u * ROW>;
var<workgroup> raised: atomic<u32>;

@group(0) @binding(0) var<storage, read> q: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read> k: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> v: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
struct Params {
  batch: u32, heads: u32, group: u32, queries: u32, keys: u32, blocks: u32, causal: u32,
  causal_offset: i32, last_sees_all: u32, window: i32,
  mask_batch: u32, mask_head: u32, mask_query: u32, mask_key: u32,
  q_batch: u32, q_head: u32, q_row: u32, q_start: u32,
  k_batch: u32, k_head: u32, k_row: u32, k_start: u32,
  v_batch: u32, v_head: u32, v_row: u32, v_start: u32, y_batch: u32, y_head: u32, y_row: u32,
  scale: f32, softcap: f32, empty_row: f32,
}
@group(0) @binding(4) var<uniform> params: Params;
fn store4_y(i: u32, v: vec4f) { y[i * 4u] = v.x; y[i * 4u + 1u] = v.y; y[i * 4u + 2u] = v.z; y[i * 4u + 3u] = v.w; } //@store4 y

var<private> k_base: u32;
var<private> v_base: u32;
/// Eight elements of a key, or of its value; keys past the last are others, their values zeros.
fn key_at(e: u32, k0: u32) -> vec4<u32> { return k[k_base + min(k0 + e / D8, params.keys - 1u) * params.k_row / 2u + e % D8]; }
fn value_at(e: u32, k0: u32, end: u32) -> vec4<u32> {
  if (k0 + e / D8 >= end) { return vec4<u32>(); }
  return v[v_base + (k0 + e / D8) * params.v_row / 2u + e % D8];
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) count: vec3u,
        @builtin(local_invocation_index) lid: u32, @builtin(subgroup_id) subgroup: u32,
        @builtin(subgroup_invocation_id) lane: u32) {
  let number = wid.x + wid.y * count.x;
  let head = number / params.blocks % params.heads;
  let batch = number / params.blocks / params.heads;
  if (batch >= params.batch) { return; }
  let block = number % params.blocks * SUBGROUPS * 16u;
  let first = block + subgroup * 16u;
  // Strides are in fours, and even.
  let q_base = (params.q_start + batch * params.q_batch + head * params.q_head) / 2u;
  k_base = (params.k_start + batch * params.k_batch + head / params.group * params.k_head) / 2u;
  v_base = (params.v_start + batch * params.v_batch + head / params.group * params.v_head) / 2u;
  let mine = subgroup * 16u * ROW;
  for (var e = lane; e < 16u * D8; e += 32u) {
    let row = min(first + e / D8, params.queries - 1u);
    stage[mine + e / D8 * ROW + e % D8] = q[q_base + row * params.q_row / 2u + e % D8];
  }
  for (var e = lid; e < BK * D8; e += WG) { k_tile[e / D8 * PITCH + e % D8] = key_at(e, 0u); }
  workgroupBarrier();
  var query: array<Left, DEPTH>;
  for (var c = 0u; c < DEPTH; c++) { //@unroll
    query[c] = subgroupMatrixLoad<Left, row_major>(&stage, mine + c * 2u, ROW);
  }
  workgroupBarrier();
  let row = lane / 2u;
  let own = mine + row * ROW + lane % 2u * 4u;
  let at_query = select(first + row, params.queries - 1u, params.last_sees_all != 0u);
  let limit = select(i32(params.keys), i32(at_query) + params.causal_offset + 1, params.causal != 0u);
  let last = select(block + SUBGROUPS * 16u, params.queries, params.last_sees_all != 0u);
  let seen = u32(clamp(i32(last) + params.causal_offset, 0, i32(params.keys)));
  let end = select(params.keys, seen, params.causal != 0u);
  let scale = params.scale * 1.4426950408889634;
  var acc: array<Sum, DEPTH>;
  var top = -1.0e30;
  var sum = 0.0;
  for (var k0 = 0u; k0 < end; k0 += BK) {
    // Values of these keys and the next keys are on their way while these are multiplied.
    var k_next: array<vec4<u32>, LOADS>;
    var v_next: array<vec4<u32>, LOADS>;
    for (var i = 0u; i < LOADS; i++) { //@unroll
      v_next[i] = value_at(lid + i * WG, k0, end);
      k_next[i] = key_at(lid + i * WG, k0 + BK);
    }
    for (var j = 0u; j < BK / 16u; j++) { //@unroll
      var s = Sum();
      for (var c = 0u; c < DEPTH; c++) { //@unroll
        let key = subgroupMatrixLoad<Right, col_major>(&k_tile, j * 16u * PITCH + c * 2u, PITCH);
        s = subgroupMatrixMultiplyAccumulate(query[c], key, s);
      }
      subgroupMatrixStore<row_major>(&stage, mine + j * 4u, s, ROW);
    }
    if (lid == 0u) { atomicStore(&raised, 0u); }
    workgroupBarrier();
    for (var i = 0u; i < LOADS; i++) { //@unroll
      let e = lid + i * WG;
      v_tile[e / D8 * PITCH + e % D8] = v_next[i];
      k_tile[e / D8 * PITCH + e % D8] = k_next[i];
    }
    var x: array<vec4f, 4>;
    var most = vec4f(-1.0e30);
    for (var i = 0u; i < 4u; i++) { //@unroll
      let key = vec4i(i32(k0 + (lane % 2u * 4u + i) * 4u)) + vec4i(0, 1, 2, 3);
      let live = key < vec4i(min(limit, i32(params.keys)));
      x[i] = select(vec4f(-1.0e30), bitcast<vec4f>(stage[own + i]) * scale, live);
      most = max(most, x[i]);
    }
    var m = max(max(most.x, most.y), max(most.z, most.w));
    m = max(m, subgroupShuffleXor(m, 1u));
    if (m > top + SLACK) { atomicStore(&raised, 1u); }
    if (workgroupUniformLoad(&raised) != 0u) {
      let fresh = max(top, m);
      let fade = exp2(top - fresh);
      top = fresh;
      sum *= fade;
      for (var part = 0u; part < PARTS; part++) { //@unroll
        for (var j = 0u; j < BK / 16u; j++) { //@unroll
          subgroupMatrixStore<row_major>(&stage, mine + j * 4u, acc[part * (BK / 16u) + j], ROW);
        }
        workgroupBarrier();
        for (var i = 0u; i < 4u; i++) { stage[own + i] = bitcast<vec4<u32>>(bitcast<vec4f>(stage[own + i]) * fade); }
        workgroupBarrier();
        for (var j = 0u; j < BK / 16u; j++) { //@unroll
          acc[part * (BK / 16u) + j] = subgroupMatrixLoad<Sum, row_major>(&stage, mine + j * 4u, ROW);
        }
        workgroupBarrier();
      }
    }
    // Weights take the place of the first half of an invocation's scores.
    for (var i = 0u; i < 2u; i++) { //@unroll
      let a = select(exp2(x[2u * i] - top), vec4f(), x[2u * i] == vec4f(-1.0e30));
      let b = select(exp2(x[2u * i + 1u] - top), vec4f(), x[2u * i + 1u] == vec4f(-1.0e30));
      sum += dot(a + b, vec4f(1.0));
      stage[own + i] = vec4<u32>(pack2x16float(a.xy), pack2x16float(a.zw), pack2x16float(b.xy), pack2x16float(b.zw));
    }
    workgroupBarrier();
    for (var j = 0u; j < BK / 16u; j++) { //@unroll
      let weights = subgroupMatrixLoad<Left, row_major>(&stage, mine + j * 4u, ROW);
      for (var c = 0u; c < DEPTH; c++) { //@unroll
        let value = subgroupMatrixLoad<Right, row_major>(&v_tile, j * 16u * PITCH + c * 2u, PITCH);
        acc[c] = subgroupMatrixMultiplyAccumulate(weights, value, acc[c]);
      }
    }
  }
  sum += subgroupShuffleXor(sum, 1u);
  let y_base = batch * params.y_batch + head * params.y_head + (first + row) * params.y_row;
  for (var part = 0u; part < PARTS; part++) { //@unroll
    workgroupBarrier();
    for (var j = 0u; j < BK / 16u; j++) { //@unroll
      subgroupMatrixStore<row_major>(&stage, mine + j * 4u, acc[part * (BK / 16u) + j], ROW);
    }
    workgroupBarrier();
    for (var i = 0u; i < 4u; i++) {
      let four = bitcast<vec4f>(stage[own + i]);
      if (first + row < params.queries) {
        store4_y((y_base + part * BK) / 4u + lane % 2u * 4u + i, select(four / sum, vec4f(params.empty_row), sum == 0.0));
      }
    }
  }
}
