// One step of a bitonic merge of rows too long for workgroup memory, in place: elements `half`
// apart are put in order, or with `flip`, in the merge's first step, those at mirrored places of a
// group of 2 * half. Places past the row's end hold nothing and stay where they are.
const WG = 256u; //@config
const WIDE = false; //@config

@group(0) @binding(0) var<storage, read_write> numbers: array<u32>;
@group(0) @binding(1) var<storage, read_write> keys: array<u32>;
struct Params { rows: u32, length: u32, pairs: u32, half: u32, flip: u32 }
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) count: vec3u,
        @builtin(local_invocation_index) lid: u32) {
  let n = (wid.x + wid.y * count.x) * WG + lid;
  let row = n / params.pairs;
  let pair = n % params.pairs;
  let place = pair % params.half;
  let first = pair / params.half * params.half * 2u;
  let second = first + select(params.half + place, params.half * 2u - 1u - place, params.flip != 0u);
  if (row >= params.rows || second >= params.length) { return; }
  let i = row * params.length + first + place;
  let j = row * params.length + second;
  if (WIDE) {
    let a = vec2u(keys[2u * i], keys[2u * i + 1u]);
    let b = vec2u(keys[2u * j], keys[2u * j + 1u]);
    let equal = all(a == b);
    if (!(b.y < a.y || (b.y == a.y && b.x < a.x) || (equal && numbers[j] < numbers[i]))) { return; }
    keys[2u * i] = b.x;
    keys[2u * i + 1u] = b.y;
    keys[2u * j] = a.x;
    keys[2u * j + 1u] = a.y;
  } else {
    let a = keys[i];
    let b = keys[j];
    if (!(b < a || (b == a && numbers[j] < numbers[i]))) { return; }
    keys[i] = b;
    keys[j] = a;
  }
  let number = numbers[i];
  numbers[i] = numbers[j];
  numbers[j] = number;
}
