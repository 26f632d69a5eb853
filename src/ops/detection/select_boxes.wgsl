// Greedy selection of boxes, a workgroup for each row (batch and class): in the order of their
// scores, boxes are taken that overlap none taken before. Boxes come in chunks of WG: each
// invocation compares its own with those taken in earlier chunks, then the chunk's are taken one by
// one. `order` holds each row's boxes by falling score.
const WG = 256u; //@config
const CENTER = false; //@config

@group(0) @binding(0) var<storage, read> boxes: array<f32>;
@group(0) @binding(1) var<storage, read> order: array<u32>;
@group(0) @binding(2) var<storage, read> iou_threshold: array<f32>;
//#if THRESHOLD
@group(0) @binding(3) var<storage, read> scores: array<f32>;
@group(0) @binding(4) var<storage, read> score_threshold: array<f32>;
fn load_scores(i: u32) -> f32 { return scores[i]; } //@load scores
fn load_score_threshold(i: u32) -> f32 { return score_threshold[i]; } //@load score_threshold
//#endif
@group(0) @binding(5) var<storage, read_write> picks: array<u32>;
@group(0) @binding(6) var<storage, read_write> counts: array<u32>;
struct Params { rows: u32, classes: u32, boxes: u32, stride: u32, limit: u32 }
@group(0) @binding(7) var<uniform> params: Params;

fn load_boxes(i: u32) -> f32 { return boxes[i]; } //@load boxes
fn load_iou_threshold(i: u32) -> f32 { return iou_threshold[i]; } //@load iou_threshold

var<workgroup> corners: array<vec4f, WG>;
var<workgroup> live: array<u32, WG>;
var<workgroup> next: u32;

/// Smaller corner, then greater one.
fn corners_of(box: u32) -> vec4f {
  let v = vec4f(load_boxes(4u * box), load_boxes(4u * box + 1u), load_boxes(4u * box + 2u),
                load_boxes(4u * box + 3u));
  if (CENTER) { return vec4f(v.xy - v.zw / 2.0, v.xy + v.zw / 2.0); }
  return vec4f(min(v.xy, v.zw), max(v.xy, v.zw));
}

fn overlap(a: vec4f, b: vec4f, threshold: f32) -> bool {
  let extent = max(min(a.zw, b.zw) - max(a.xy, b.xy), vec2f());
  let both = extent.x * extent.y;
  let sizes = vec2f((a.z - a.x) * (a.w - a.y), (b.z - b.x) * (b.w - b.y));
  return both > 0.0 && all(sizes > vec2f()) && both > threshold * (sizes.x + sizes.y - both);
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) count: vec3u,
        @builtin(local_invocation_index) lid: u32) {
  let row = wid.x + wid.y * count.x;
  if (row >= params.rows) { return; }
  let first = row / params.classes * params.boxes;
  let threshold = load_iou_threshold(0u);
  var taken = 0u;
  for (var start = 0u; start < params.boxes && taken < params.limit; start += WG) {
    var mine = vec4f();
    var box = 0u;
    var is_live = start + lid < params.boxes;
    if (is_live) {
      box = order[row * params.stride + start + lid];
      mine = corners_of(first + box);
      //#if THRESHOLD
      is_live = load_scores(row * params.boxes + box) > load_score_threshold(0u);
      //#endif
      for (var k = 0u; k < taken && is_live; k++) {
        is_live = !overlap(corners_of(first + picks[row * params.limit + k]), mine, threshold);
      }
    }
    corners[lid] = mine;
    live[lid] = select(0u, 1u, is_live);
    for (var at = 0u; taken < params.limit; taken++) {
      workgroupBarrier();
      if (lid == 0u) {
        while (at < WG && live[min(at, WG - 1u)] == 0u) { at++; }
        next = at;
      }
      at = workgroupUniformLoad(&next);
      if (at >= WG) { break; }
      if (lid == at) { picks[row * params.limit + taken] = box; }
      if (lid > at && overlap(corners[at], mine, threshold)) { live[lid] = 0u; }
      at++;
    }
    storageBarrier();
    workgroupBarrier();
  }
  if (lid == 0u) { counts[row] = taken; }
}
