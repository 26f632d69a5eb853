// What the benches ask of an ONNX file: its inputs and how many nodes it has.

/** Reads varints one after another; `at` is where the next one begins. */
class Varints {
  at = 0;
  constructor(bytes) {
    this.bytes = bytes;
  }
  get isDone() {
    return this.at >= this.bytes.length;
  }
  next() {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.bytes[this.at++];
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  }
}

/** Fields of a protobuf message: numbers, or views for length-delimited ones. */
function* fields(bytes) {
  const read = new Varints(bytes);
  while (!read.isDone) {
    const key = Number(read.next());
    const wire = key & 7;
    if (wire === 0) yield [key >>> 3, read.next()];
    else {
      const size = wire === 2 ? Number(read.next()) : wire === 1 ? 8 : 4;
      yield [key >>> 3, bytes.subarray(read.at, read.at + size)];
      read.at += size;
    }
  }
}

const all = (message, field) =>
  [...fields(message)].filter(([key]) => key === field).map(([, value]) => value);
const one = (message, field) => all(message, field)[0];
const text = (bytes) => new TextDecoder().decode(bytes ?? new Uint8Array());

const dtypes = { 1: 'f32', 2: 'u8', 3: 'i8', 6: 'i32', 7: 'i64', 9: 'bool', 10: 'f16', 11: 'f64' };

/** { inputs: [{ name, dtype, dims: (number | text)[] }], outputs: [name], nodes: count }. */
export function describeOnnx(bytes) {
  const graph = one(bytes, 7);
  const weights = new Set(all(graph, 5).map((tensor) => text(one(tensor, 8))));
  const inputs = all(graph, 11)
    .map((value) => {
      const tensor = one(one(value, 2) ?? new Uint8Array(), 1) ?? new Uint8Array();
      const shape = one(tensor, 2);
      const dims = shape
        ? all(shape, 1).map((dim) =>
            one(dim, 1) !== undefined ? Number(one(dim, 1)) : text(one(dim, 2)),
          )
        : [];
      return { name: text(one(value, 1)), dtype: dtypes[Number(one(tensor, 1) ?? 0n)], dims };
    })
    .filter(({ name }) => !weights.has(name));
  const external = all(graph, 5)
    .flatMap((tensor) => all(tensor, 13))
    .find((entry) => text(one(entry, 1)) === 'location');
  return {
    /** The file that large weights lie in. */
    external: external && text(one(external, 2)),
    inputs,
    outputs: all(graph, 12).map((value) => text(one(value, 1))),
    nodes: all(graph, 1).length,
  };
}

/** Numbers of a repeated integer field, packed or not. */
function integers(message, field) {
  return all(message, field).flatMap((value) => {
    if (typeof value === 'bigint') return [Number(BigInt.asIntN(64, value))];
    const numbers = [];
    const read = new Varints(value);
    while (!read.isDone) numbers.push(Number(BigInt.asIntN(64, read.next())));
    return numbers;
  });
}

const floatsIn = (message, field) =>
  all(message, field).flatMap((value) => [...new Float32Array(value.slice().buffer)]);

/** { name, dims, data: numbers } of a TensorProto of floats or integers. */
function readTensor(message) {
  const dims = integers(message, 1);
  const type = Number(one(message, 2) ?? 0n);
  const raw = one(message, 9);
  let data;
  if (raw) {
    const bytes = raw.slice().buffer;
    if (type === 1) data = new Float32Array(bytes);
    else if (type === 7) data = Array.from(new BigInt64Array(bytes), Number);
    else if (type === 6) data = [...new Int32Array(bytes)];
    else data = [...new Uint8Array(bytes)];
  } else if (type === 1) data = Float32Array.from(floatsIn(message, 4));
  else data = integers(message, type === 7 ? 7 : 5);
  return { name: text(one(message, 8)), dims, data };
}

function readAttribute(message) {
  const [f, i, s, t] = [2, 3, 4, 5].map((field) => one(message, field));
  const [floats, ints] = [floatsIn(message, 7), integers(message, 8)];
  const name = text(one(message, 1));
  if (floats.length > 0) return [name, floats];
  if (ints.length > 0) return [name, ints];
  if (f) return [name, new Float32Array(f.slice().buffer)[0]];
  if (s) return [name, text(s)];
  if (t) return [name, readTensor(t)];
  return [name, Number(BigInt.asIntN(64, i ?? 0n))];
}

/** The nodes of a model without bodies, and its constants by name. */
export function readGraph(bytes) {
  const graph = one(bytes, 7);
  const constants = new Map(
    all(graph, 5)
      .map(readTensor)
      .map((tensor) => [tensor.name, tensor]),
  );
  const nodes = [];
  for (const node of all(graph, 1)) {
    const read = {
      op: text(one(node, 4)),
      inputs: all(node, 1).map(text),
      outputs: all(node, 2).map(text),
      attributes: Object.fromEntries(all(node, 5).map(readAttribute)),
    };
    if (read.op === 'Constant') constants.set(read.outputs[0], read.attributes.value);
    else nodes.push(read);
  }
  return { nodes, constants, outputs: all(graph, 12).map((value) => text(one(value, 1))) };
}
