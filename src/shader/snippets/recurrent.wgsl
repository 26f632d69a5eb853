// What LSTM, GRU and RNN share: the hidden state and its products with rows of r, and the
// activations, numbered as in src/ops/common/recurrent_shape.h. The including file has HIDDEN,
// load_r and load4_r.
var<workgroup> h: array<f32, HIDDEN>;

/// h times a row of r.
fn dot_h(row: u32) -> f32 {
  var sum = vec4f();
  for (var k = 0u; k + 3u < HIDDEN; k += 4u) {
    let i = row * HIDDEN + k;
    var v = vec4f();
    if (HIDDEN % 4u == 0u) { v = load4_r(i / 4u); }
    else { v = vec4f(load_r(i), load_r(i + 1u), load_r(i + 2u), load_r(i + 3u)); }
    sum += v * vec4f(h[k], h[k + 1u], h[k + 2u], h[k + 3u]);
  }
  for (var k = HIDDEN / 4u * 4u; k < HIDDEN; k++) { sum.x += load_r(row * HIDDEN + k) * h[k]; }
  return sum.x + sum.y + sum.z + sum.w;
}

fn activate(kind: u32, x: f32, alpha: f32, beta: f32) -> f32 {
  switch kind {
    case 0u: { return 1.0 / (1.0 + exp(-clamp(x, -87.0, 87.0))); }
    case 1u: { return tanh(clamp(x, -15.0, 15.0)); }
    case 2u: { return max(x, 0.0); }
    case 3u: { return alpha * x + beta; }
    case 4u: { return select(alpha * x, x, x >= 0.0); }
    case 5u: { return select(0.0, x, x > alpha); }
    case 6u: { return alpha * tanh(clamp(beta * x, -15.0, 15.0)); }
    case 7u: { return clamp(alpha * x + beta, 0.0, 1.0); }
    case 8u: { return select(alpha * (exp(min(x, 0.0)) - 1.0), x, x >= 0.0); }
    case 9u: { return x / (1.0 + abs(x)); }
    default: { return max(x, 0.0) + log(1.0 + exp(-abs(x))); }
  }
}
/// Clipped to [-limit, limit] before it is activated.
fn clipped(x: f32, limit: f32) -> f32 { return clamp(x, -limit, limit); }
