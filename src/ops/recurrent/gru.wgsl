// The recurrence of a GRU, steps `step` to `step_end`, on gates that already hold x W. Workgroup
// number (x, then y): block of UNITS hidden units, batch, direction, the first fastest. With
// UNITS == HIDDEN one workgroup goes through all steps with its state in workgroup memory; else
// (LINEAR only) every step is a dispatch, which finds the state in y.
const HIDDEN = 128u; //@config
const UNITS = 128u; //@config
const WG = 256u; //@config
const LENGTHS = false; //@config
const LINEAR = false; //@config
const ACT_F = 0u; //@config
const ACT_G = 1u; //@config
const BLOCKS = (HIDDEN + UNITS - 1u) / UNITS;
//@use recurrent

@group(0) @binding(0) var<storage, read> gx: array<f32>;
@group(0) @binding(1) var<storage, read> r: array<f32>;
//#if AUX
@group(0) @binding(2) var<storage, read> aux: array<f32>;
fn load_aux(i: u32) -> f32 { return aux[i]; } //@load aux
//#endif
//#if H0
@group(0) @binding(3) var<storage, read> h0: array<f32>;
fn load_h0(i: u32) -> f32 { return h0[i]; } //@load h0
//#endif
//#if Y
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
fn load_y(i: u32) -> f32 { return y[i]; } //@load y
fn store_y(i: u32, v: f32) { y[i] = v; } //@store y
//#endif
//#if YH
@group(0) @binding(5) var<storage, read_write> y_h: array<f32>;
fn store_y_h(i: u32, v: f32) { y_h[i] = v; } //@store y_h
//#endif
// Strides of y and of the state are in rows of HIDDEN; those of gx in rows of 3 * HIDDEN.
struct Params {
  step: u32, step_end: u32, steps: u32, batch: u32, first_direction: u32, direction_count: u32,
  reverse: u32, gx_direction: u32, gx_step: u32, gx_batch: u32, y_direction: u32, y_step: u32,
  y_batch: u32, state_direction: u32, state_batch: u32, peepholes_at: u32, lengths_at: u32,
  clip: f32, alpha_f: f32, beta_f: f32, alpha_g: f32, beta_g: f32,
}
@group(0) @binding(6) var<uniform> params: Params;

fn load_gx(i: u32) -> f32 { return gx[i]; } //@load gx
fn load_r(i: u32) -> f32 { return r[i]; } //@load r
fn load4_r(i: u32) -> vec4f { return vec4f(r[i * 4u], r[i * 4u + 1u], r[i * 4u + 2u], r[i * 4u + 3u]); } //@load4 r

const WAS = select(HIDDEN, 1u, LINEAR);
var<workgroup> was: array<f32, WAS>;
var<workgroup> gates: array<f32, 3u * UNITS>;

/// Bias number i (0: of the input's product, 1: of the state's) of a row of gates.
fn bias(direction: u32, i: u32, row: u32) -> f32 {
  var v = 0.0;
  //#if AUX
  v = load_aux((direction * 6u + i * 3u) * HIDDEN + row);
  //#endif
  return v;
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) count: vec3u,
        @builtin(local_invocation_index) lid: u32) {
  let number = wid.x + wid.y * count.x;
  let first = number % BLOCKS * UNITS;
  let batch = number / BLOCKS % params.batch;
  if (number / BLOCKS / params.batch >= params.direction_count) { return; }
  let direction = params.first_direction + number / BLOCKS / params.batch;
  let state = (direction * params.state_direction + batch * params.state_batch) * HIDDEN;
  let y_base = direction * params.y_direction + batch * params.y_batch;
  let reverse = (direction + params.reverse) % 2u == 1u;
  let units = min(UNITS, HIDDEN - first);
  var length = params.steps;
  //#if AUX
  if (LENGTHS) { length = min(length, u32(max(load_aux(params.lengths_at + batch), 0.0))); }
  //#endif
  for (var k = lid; k < HIDDEN; k += WG) {
    var v = 0.0;
    //#if H0
    if (params.step == 0u) { v = load_h0(state + k); }
    //#endif
    //#if Y
    let before = select(params.step - 1u, length - params.step, reverse);
    if (params.step > 0u && params.step < length) { v = load_y((y_base + before * params.y_step) * HIDDEN + k); }
    //#endif
    h[k] = v;
  }
  workgroupBarrier();
  for (var step = params.step; step < params.step_end; step++) {
    let live = step < length;
    let t = select(step, length - 1u - step, reverse && live);
    let gx_row = (direction * params.gx_direction + t * params.gx_step + batch * params.gx_batch) * 3u * HIDDEN;
    let r_row = direction * 3u * HIDDEN;
    for (var q = lid; q < select(2u, 3u, LINEAR) * units; q += WG) {
      let row = q / units * HIDDEN + first + q % units;
      var v = dot_h(r_row + row) + bias(direction, 1u, row);
      if (q < 2u * units) {
        v = clipped(v + load_gx(gx_row + row) + bias(direction, 0u, row), params.clip);
        v = activate(ACT_F, v, params.alpha_f, params.beta_f);
      }
      gates[q] = v;
    }
    workgroupBarrier();
    if (!LINEAR) {
      // The new state's product takes the reset state.
      for (var u = lid; u < units; u += WG) {
        was[u] = h[u];
        h[u] *= gates[units + u];
      }
      workgroupBarrier();
      for (var u = lid; u < units; u += WG) {
        gates[2u * units + u] = dot_h(r_row + 2u * HIDDEN + u) + bias(direction, 1u, 2u * HIDDEN + u);
      }
      workgroupBarrier();
    }
    for (var u = lid; u < units; u += WG) {
      let unit = first + u;
      let row = 2u * HIDDEN + unit;
      var before = h[unit];
      var v = gates[2u * units + u];
      if (LINEAR) { v *= gates[units + u]; } else { before = was[u]; }
      v = clipped(v + load_gx(gx_row + row) + bias(direction, 0u, row), params.clip);
      v = activate(ACT_G, v, params.alpha_g, params.beta_g);
      let out = (1.0 - gates[u]) * v + gates[u] * before;
      h[unit] = select(before, out, live);
      //#if Y
      store_y((y_base + t * params.y_step) * HIDDEN + unit, select(0.0, out, live));
      //#endif
      //#if YH
      if (step + 1u == max(length, 1u)) { store_y_h(state + unit, h[unit]); }
      //#endif
    }
    workgroupBarrier();
  }
}
