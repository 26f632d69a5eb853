// What the benches ask of an ONNX file: its inputs and how many nodes it has.

/** Fields of a protobuf message: numbers, or views for length-delimited ones. */
function* fields(bytes) {
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++];
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const key = Number(varint());
    const wire = key & 7;
    if (wire === 0) yield [key >>> 3, varint()];
    else if (wire === 2) {
      const size = Number(varint());
      yield [key >>> 3, bytes.subarray(at, at + size)];
      at += size;
    } else {
      const size = wire === 1 ? 8 : 4;
      yield [key >>> 3, bytes.subarray(at, at + size)];
      at += size;
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
