// Renames values of an ONNX model, so that a zoo model has the names that a library looks for.

/** `names`: new names by old ones, of values of the main graph. */
export function renameValues(model, names) {
  const rename = (bytes) => {
    const name = names[new TextDecoder().decode(bytes)];
    return name === undefined ? bytes : new TextEncoder().encode(name);
  };
  const nested = (fields) => (bytes) => rewrite(bytes, fields);
  const named = nested({ 1: rename });
  return rewrite(model, {
    7: nested({
      1: nested({ 1: rename, 2: rename }), // nodes: inputs and outputs
      5: nested({ 8: rename }), // initializers
      11: named,
      12: named,
      13: named,
    }),
  });
}

/** A message with its length-delimited fields changed by number, all else as it was. */
function rewrite(bytes, changes) {
  const parts = [];
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
      const byte = bytes[at++];
      value += (byte & 127) * shift;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const start = at;
    const tag = varint();
    const kind = tag & 7;
    if (kind === 2) {
      const length = varint();
      const body = bytes.subarray(at, at + length);
      at += length;
      const changed = changes[tag >> 3]?.(body) ?? body;
      parts.push(encode(tag), encode(changed.length), changed);
      continue;
    }
    if (kind === 0) varint();
    else at += kind === 1 ? 8 : 4;
    parts.push(bytes.subarray(start, at));
  }
  return Buffer.concat(parts);
}

function encode(value) {
  const bytes = [];
  for (; value >= 128; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return Uint8Array.of(...bytes, value);
}
