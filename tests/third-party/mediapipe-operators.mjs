// MediaPipe's custom operators for LiteRT, which has none of those on landmarks: a model is cut at
// them, and they are computed here, by the formulas of mediapipe/util/tflite/operations.

/** Numbers and lists of numbers of a FlexBuffer that is a map. */
function readOptions(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const unsigned = (at, width) =>
    width === 1
      ? view.getUint8(at)
      : width === 2
        ? view.getUint16(at, true)
        : view.getUint32(at, true);
  const signed = (at, width) =>
    width === 1
      ? view.getInt8(at)
      : width === 2
        ? view.getInt16(at, true)
        : view.getInt32(at, true);
  const follow = (at, width) => at - unsigned(at, width);
  const rootWidth = bytes.at(-1);
  const map = follow(bytes.length - 2 - rootWidth, rootWidth);
  const width = 1 << (bytes.at(-2) & 3);
  const count = unsigned(map - width, width);
  const keys = follow(map - 3 * width, width);
  const keyWidth = unsigned(map - 2 * width, width);
  const options = {};
  for (let i = 0; i < count; i++) {
    let name = '';
    for (let at = follow(keys + i * keyWidth, keyWidth); bytes[at] !== 0; at++) {
      name += String.fromCharCode(bytes[at]);
    }
    const type = bytes[map + count * width + i];
    const at = map + i * width;
    const own = 1 << (type & 3);
    const kind = type >> 2;
    if (kind === 1) options[name] = signed(at, width);
    else if (kind === 2) options[name] = unsigned(at, width);
    else if (kind === 3) options[name] = view.getFloat32(at, true);
    else if (kind === 11 || kind === 12) {
      const list = follow(at, width);
      const length = unsigned(list - own, own);
      options[name] = Array.from({ length }, (_, k) => signed(list + k * own, own));
    } else throw new Error(`option '${name}' of type ${kind}`);
  }
  return options;
}

const operators = {
  Landmarks2TransformMatrix(options, [landmarks]) {
    const o = readOptions(options);
    const point = (i) => [landmarks[3 * i], landmarks[3 * i + 1]];
    const [left, right] = [point(o.left_rotation_idx), point(o.right_rotation_idx)];
    const r = o.target_rotation_radians - Math.atan2(right[1] - left[1], right[0] - left[0]);
    const turn = ([x, y], angle) => [
      x * Math.cos(angle) - y * Math.sin(angle),
      x * Math.sin(angle) + y * Math.cos(angle),
    ];
    const turned = o.subset_idxs.map((i) => turn(point(i), r));
    const ends = [0, 1]
      .map((axis) => turned.map((p) => p[axis]))
      .map((list) => [Math.min(...list), Math.max(...list)]);
    const center = turn(
      ends.map(([low, high]) => (low + high) / 2),
      -r,
    );
    const scale = [
      (o.scale_x * (ends[0][1] - ends[0][0])) / o.output_width,
      (o.scale_y * (ends[1][1] - ends[1][0])) / o.output_height,
    ];
    // Shift, turn back, scale, and the middle of the result to the origin.
    const [c, s] = [Math.cos(-r), Math.sin(-r)];
    const rows = [
      [c * scale[0], -s * scale[1]],
      [s * scale[0], c * scale[1]],
    ];
    const shift = rows.map(
      ([x, y], i) => center[i] - (x * o.output_width) / 2 - (y * o.output_height) / 2,
    );
    return [...rows[0], 0, shift[0], ...rows[1], 0, shift[1], 0, 0, 1, 0, 0, 0, 0, 1];
  },

  TransformTensorBilinear(options, [data, m], [[, height, width, channels]]) {
    const { output_height: rows, output_width: columns } = readOptions(options);
    const out = [];
    for (let y = 0; y < rows; y++) {
      for (let x = 0; x < columns; x++) {
        const px = m[0] * (x + 0.5) + m[1] * (y + 0.5) + m[3] - 0.5;
        const py = m[4] * (x + 0.5) + m[5] * (y + 0.5) + m[7] - 0.5;
        const outside = px < 0 || px > width - 1 || py < 0 || py > height - 1;
        const [left, top] = [Math.floor(px), Math.floor(py)];
        const at = (row, column, channel) =>
          row < height && column < width ? data[(row * width + column) * channels + channel] : 0;
        for (let k = 0; k < channels; k++) {
          const across = (row) =>
            (1 - px + left) * at(row, left, k) + (px - left) * at(row, left + 1, k);
          out.push(outside ? 0 : (1 - py + top) * across(top) + (py - top) * across(top + 1));
        }
      }
    }
    return out;
  },

  TransformLandmarks(_, [points, m], [[, , size]]) {
    return Array.from(points, (value, i) => {
      const axis = i % size;
      const [x, y] = [points[i - axis], points[i - axis + 1]];
      return axis > 1 ? value : m[4 * axis] * x + m[4 * axis + 1] * y + m[4 * axis + 3];
    });
  },
};

/**
 * The model without these operators: what they give are its inputs, what they take its outputs too.
 * With the operators, whose tensors are { name, dims }.
 */
export function cut(file) {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const follow = (at) => at + view.getUint32(at, true);
  const place = (table, id) => {
    const vtable = table - view.getInt32(table, true);
    if (4 + 2 * id >= view.getUint16(vtable, true)) return 0;
    const offset = view.getUint16(vtable + 4 + 2 * id, true);
    return offset === 0 ? 0 : table + offset;
  };
  const field = (table, id) => follow(place(table, id));
  const count = (vector) => view.getUint32(vector, true);
  const ints = (vector) =>
    Array.from({ length: count(vector) }, (_, i) => view.getInt32(vector + 4 + 4 * i, true));
  const items = (vector) =>
    Array.from({ length: count(vector) }, (_, i) => follow(vector + 4 + 4 * i));
  const bytes = (vector) => file.subarray(vector + 4, vector + 4 + count(vector));
  const text = (vector) => new TextDecoder().decode(bytes(vector));

  const model = follow(0);
  const codes = items(field(model, 1)).map((code) => (place(code, 1) ? text(field(code, 1)) : ''));
  const graph = items(field(model, 2))[0];
  const tensors = items(field(graph, 0));
  const shown = (i) => ({ name: text(field(tensors[i], 3)), dims: ints(field(tensors[i], 0)) });
  const isOurs = (op) => codes[place(op, 0) ? view.getUint32(place(op, 0), true) : 0] in operators;
  const all = items(field(graph, 3));
  const ours = all.filter(isOurs);
  const list = (op, id) => ints(field(op, id));
  const added = [...new Set(ours.flatMap((op) => list(op, 2)))];
  const taken = [...new Set(ours.flatMap((op) => list(op, 1)))].filter((i) => !added.includes(i));
  const inputs = [...ints(field(graph, 1)), ...added];
  const outputs = [...new Set([...ints(field(graph, 2)), ...taken])].filter(
    (i) => !added.includes(i),
  );

  // New lists of inputs and outputs come after the file.
  const kept = all.filter((op) => !isOurs(op));
  const start = Math.ceil(file.length / 4) * 4;
  const out = new Uint8Array(start + 4 * (2 + inputs.length + outputs.length));
  out.set(file);
  const to = new DataView(out.buffer);
  let at = start;
  const add = (id, values) => {
    to.setUint32(place(graph, id), at - place(graph, id), true);
    to.setUint32(at, values.length, true);
    values.forEach((value, i) => to.setInt32(at + 4 + 4 * i, value, true));
    at += 4 + 4 * values.length;
  };
  add(1, inputs);
  add(2, outputs);
  // Operators move up in their list: offsets lead forward, and stay so.
  const entries = field(graph, 3);
  to.setUint32(entries, kept.length, true);
  kept.forEach((op, i) => to.setUint32(entries + 4 + 4 * i, op - (entries + 4 + 4 * i), true));
  return {
    bytes: out,
    operators: ours.map((op) => ({
      name: codes[view.getUint32(place(op, 0), true)],
      options: place(op, 5) ? bytes(field(op, 5)) : new Uint8Array(0),
      inputs: list(op, 1).map(shown),
      output: shown(list(op, 2)[0]),
    })),
  };
}

/** The result of one of them; `values` by the tensors' names. */
export function compute({ name, options, inputs, output }, values) {
  const result = operators[name](
    options,
    inputs.map((tensor) => values.get(tensor.name)),
    inputs.map(({ dims }) => dims),
  );
  values.set(output.name, Float32Array.from(result));
}
