// Probabilities of classes from those of their pairs: an invocation for each row, whose
// probabilities p and products with the coupling matrix are in `work`, one after the other.
const WG = 64u;

@group(0) @binding(0) var<storage, read> x : array<f32>;
@group(0) @binding(1) var<storage, read_write> work : array<f32>;
@group(0) @binding(2) var<storage, read_write> y : array<f32>;
struct Params {
  rows : u32, classes : u32, steps : u32, tolerance : f32
} @group(0) @binding(3) var<uniform> params : Params;

fn load_x(i : u32) -> f32 { return x[i]; }  //@load x
fn store_y(i : u32, v : f32) { y[i] = v; }  //@store y

// The probability of class i in its pair with j.
fn share(row : u32, i : u32, j : u32) -> f32 {
  let n = params.classes;
  let low = min(i, j);
  let pair = low * (2u * n - low - 1u) / 2u + max(i, j) - low - 1u;
  let v = load_x(row * (n * (n - 1u) / 2u) + pair);
  return select(1.0 - v, v, i < j);
}

fn coupling(row : u32, t : u32, j : u32) -> f32 {
  if (t != j) {
    return -share(row, j, t) * share(row, t, j);
  }
  var sum = 0.0;
  for (var i = 0u; i < params.classes; i++) {
    if (i != t) {
      let v = share(row, i, t);
      sum += v * v;
    }
  }
  return sum;
}

@compute @workgroup_size(WG) fn
    main(@builtin(workgroup_id) wid : vec3u, @builtin(num_workgroups) count : vec3u,
         @builtin(local_invocation_index) lid : u32) {
  let row = (wid.x + wid.y * count.x) * WG + lid;
  if (row >= params.rows) {
    return;
  }
  let n = params.classes;
  let p = row * 2u * n;
  let qp = p + n;
  for (var t = 0u; t < n; t++) {
    work[p + t] = 1.0 / f32(n);
  }
  for (var step = 0u; step < params.steps; step++) {
    var pqp = 0.0;
    for (var t = 0u; t < n; t++) {
      var sum = 0.0;
      for (var j = 0u; j < n; j++) {
        sum += coupling(row, t, j) * work[p + j];
      }
      work[qp + t] = sum;
      pqp += work[p + t] * sum;
    }
    var error = 0.0;
    for (var t = 0u; t < n; t++) {
      error = max(error, abs(work[qp + t] - pqp));
    }
    if (error < params.tolerance) {
      break;
    }
    for (var t = 0u; t < n; t++) {
      let own = coupling(row, t, t);
      let before = work[qp + t];
      let diff = (pqp - before) / own;
      let scale = 1.0 + diff;
      work[p + t] += diff;
      pqp = (pqp + diff * (diff * own + 2.0 * before)) / (scale * scale);
      for (var j = 0u; j < n; j++) {
        work[qp + j] = (work[qp + j] + diff * coupling(row, t, j)) / scale;
        work[p + j] /= scale;
      }
    }
  }
  for (var t = 0u; t < n; t++) {
    store_y(row * n + t, work[p + t]);
  }
}
