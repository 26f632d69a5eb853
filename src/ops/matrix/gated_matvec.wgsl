// y = silu(a gate) * (a up) for one row a and matrices [k, n]. Workgroup number (x, then y): a block
// of CQ fours of columns, each of which SLICES invocations sum, as in matvec.wgsl.
const CQ = 16u; //@config
const SLICES = 16u; //@config
const WG = CQ * SLICES;

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> gate: array<f32>;
@group(0) @binding(2) var<storage, read> up: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
struct Params { fours: u32, k: u32 }
@group(0) @binding(4) var<uniform> params: Params;

fn load_a(i: u32) -> f32 { return a[i]; } //@load a
fn load4_gate(i: u32) -> vec4f { return vec4f(gate[i * 4u], gate[i * 4u + 1u], gate[i * 4u + 2u], gate[i * 4u + 3u]); } //@load4 gate
fn load4_up(i: u32) -> vec4f { return vec4f(up[i * 4u], up[i * 4u + 1u], up[i * 4u + 2u], up[i * 4u + 3u]); } //@load4 up
fn store4_y(i: u32, v: vec4f) { y[i * 4u] = v.x; y[i * 4u + 1u] = v.y; y[i * 4u + 2u] = v.z; y[i * 4u + 3u] = v.w; } //@store4 y

var<workgroup> partial: array<vec4f, WG>;

/// The sum over a column's slices, in slice 0.
fn total(quad: u32, slice: u32, part: vec4f) -> vec4f {
  let at = quad * SLICES + slice;
  workgroupBarrier();
  partial[at] = part;
  workgroupBarrier();
  for (var s = SLICES / 2u; s > 0u; s /= 2u) {
    if (slice < s) { partial[at] += partial[at + s]; }
    workgroupBarrier();
  }
  return partial[at];
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) count: vec3u,
        @builtin(local_invocation_index) lid: u32) {
  let first = (wid.x + wid.y * count.x) * CQ;
  if (first >= params.fours) { return; }
  let slice = lid / CQ;
  let quad = lid % CQ;
  let column = first + quad;
  var g = vec4f();
  var u = vec4f();
  if (column < params.fours) {
    // Four steps of k at a time: their loads overlap.
    for (var k = slice; k < params.k; k += SLICES * 4u) {
      let left = params.k - k;
      var gs = array<vec4f, 4>();
      var us = array<vec4f, 4>();
      for (var i = 0u; i < 4u; i++) {
        if (i * SLICES < left) {
          let at = (k + i * SLICES) * params.fours + column;
          gs[i] = load4_gate(at);
          us[i] = load4_up(at);
        }
      }
      for (var i = 0u; i < 4u; i++) {
        if (i * SLICES < left) {
          let x = load_a(k + i * SLICES);
          g += x * gs[i];
          u += x * us[i];
        }
      }
    }
  }
  g = total(quad, slice, g);
  u = total(quad, slice, u);
  if (slice == 0u && column < params.fours) { store4_y(column, g / (1.0 + exp(-g)) * u); }
}
