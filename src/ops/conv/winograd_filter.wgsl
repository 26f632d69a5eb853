// Winograd F(2x2, 3x3), the weights: of every pair of channels the 16 numbers of G g transposed(G),
// each in a matrix of its own. An invocation (number x, then y): a pair.
const WG = 64u;

@group(0) @binding(0) var<storage, read> w: array<f32>;
@group(0) @binding(1) var<storage, read_write> u: array<f32>;
struct Params { pairs: u32 }
@group(0) @binding(2) var<uniform> params: Params;

fn load_w(i: u32) -> f32 { return w[i]; } //@load w

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) count: vec3u,
        @builtin(local_invocation_index) lid: u32) {
  let pair = (wid.x + wid.y * count.x) * WG + lid;
  if (pair >= params.pairs) { return; }
  let at = pair * 9u;
  let g0 = vec3f(load_w(at), load_w(at + 1u), load_w(at + 2u));
  let g1 = vec3f(load_w(at + 3u), load_w(at + 4u), load_w(at + 5u));
  let g2 = vec3f(load_w(at + 6u), load_w(at + 7u), load_w(at + 8u));
  let rows = array<vec3f, 4>(g0, (g0 + g1 + g2) * 0.5, (g0 - g1 + g2) * 0.5, g2);
  for (var i = 0u; i < 4u; i++) {
    let r = rows[i];
    let to = i * 4u * params.pairs + pair;
    u[to] = r.x;
    u[to + params.pairs] = (r.x + r.y + r.z) * 0.5;
    u[to + 2u * params.pairs] = (r.x - r.y + r.z) * 0.5;
    u[to + 3u * params.pairs] = r.z;
  }
}
