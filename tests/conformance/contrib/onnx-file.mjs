// Writes small ONNX models and tensors, for cases of make-contrib.mjs.

export const typeNumber = {
  f32: 1,
  u8: 2,
  i8: 3,
  u16: 4,
  i16: 5,
  i32: 6,
  i64: 7,
  bool: 9,
  f16: 10,
  f64: 11,
  u4: 21,
  i4: 22,
};

/** A message of protobuf's wire format. */
class Message {
  #parts = [];

  integer(field, value) {
    return this.#raw(varint(BigInt(field << 3)), varint(BigInt.asUintN(64, BigInt(value))));
  }
  float(field, value) {
    return this.#raw(varint(BigInt((field << 3) | 5)), bytesOf(Float32Array.of(value)));
  }
  bytes(field, bytes) {
    return this.#raw(varint(BigInt((field << 3) | 2)), varint(BigInt(bytes.length)), bytes);
  }
  string(field, text) {
    return this.bytes(field, Buffer.from(text));
  }
  message(field, message) {
    return this.bytes(field, message.finish());
  }
  #raw(...parts) {
    this.#parts.push(...parts);
    return this;
  }
  finish() {
    return Buffer.concat(this.#parts);
  }
}

function varint(value) {
  const out = [];
  for (; value > 127n; value >>= 7n) out.push(Number(value & 127n) | 128);
  out.push(Number(value));
  return Buffer.from(out);
}

export function bytesOf(array) {
  return Buffer.from(array.buffer, array.byteOffset, array.byteLength);
}

/** A TensorProto of `{ dtype, dims, data }`, where `data` is a typed array of raw contents. */
export function tensorProto(name, { dtype, dims, data }) {
  const message = new Message();
  for (const dim of dims) message.integer(1, dim);
  return message.integer(2, typeNumber[dtype]).string(8, name).bytes(9, bytesOf(data)).finish();
}

function attribute(name, value) {
  const message = new Message().string(1, name);
  if (typeof value === 'string') return message.string(4, value).integer(20, 3);
  if (typeof value === 'object' && 'float' in value) {
    return message.float(2, value.float).integer(20, 1);
  }
  if (Array.isArray(value)) {
    for (const item of value) message.integer(8, item);
    return message.integer(20, 7);
  }
  if (typeof value === 'object') {
    for (const item of value.floats) message.float(7, item);
    return message.integer(20, 6);
  }
  return message.integer(3, value).integer(20, 2);
}

function valueInfo(name, dtype, dims) {
  const tensor = new Message().integer(1, typeNumber[dtype]);
  if (dims) {
    const shape = new Message();
    for (const dim of dims) {
      const entry = new Message();
      if (typeof dim === 'number') entry.integer(1, dim);
      else entry.string(2, dim);
      shape.message(1, entry);
    }
    tensor.message(2, shape);
  }
  return new Message().string(1, name).message(2, new Message().message(1, tensor));
}

/**
 * A ModelProto. `nodes`: `{ op, domain, inputs, outputs, attributes }`; numbers among attributes
 * are integers, `{ float: x }` is a float; `inputs`: tensors by name, with `shown`: the dims that
 * the model declares; `initializers`: tensors by name; `outputs`: element types by name.
 */
export function modelProto({ nodes, inputs, initializers = {}, outputs, opset = 17 }) {
  const graph = new Message();
  for (const node of nodes) {
    const message = new Message();
    for (const name of node.inputs) message.string(1, name);
    for (const name of node.outputs) message.string(2, name);
    message.string(4, node.op);
    for (const [name, value] of Object.entries(node.attributes ?? {})) {
      message.message(5, attribute(name, value));
    }
    if (node.domain) message.string(7, node.domain);
    graph.message(1, message);
  }
  graph.string(2, 'case');
  for (const [name, tensor] of Object.entries(initializers)) {
    graph.bytes(5, tensorProto(name, tensor));
  }
  for (const [name, tensor] of Object.entries(inputs)) {
    graph.message(11, valueInfo(name, tensor.dtype, tensor.shown ?? tensor.dims));
  }
  for (const [name, dtype] of Object.entries(outputs)) {
    graph.message(12, valueInfo(name, dtype));
  }
  const model = new Message().integer(1, 10).string(2, 'quern-tests').message(7, graph);
  model.message(8, new Message().string(1, '').integer(2, opset));
  const domains = new Set(['com.microsoft', ...nodes.map(({ domain }) => domain ?? '')]);
  for (const domain of domains) {
    if (domain) model.message(8, new Message().string(1, domain).integer(2, 1));
  }
  return model.finish();
}
