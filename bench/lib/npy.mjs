// NumPy's files, as bench/models.py writes them.

const kinds = {
  '<f4': ['f32', Float32Array],
  '<f2': ['f16', Uint16Array],
  '<f8': ['f64', Float64Array],
  '<i8': ['i64', BigInt64Array],
  '<i4': ['i32', Int32Array],
  '|u1': ['u8', Uint8Array],
  '|i1': ['i8', Int8Array],
  '|b1': ['bool', Uint8Array],
};

/** { dtype, dims, data } of a row-major, little-endian array. */
export function readNpy(file) {
  const length = file[6] === 1 ? file.readUInt16LE(8) : file.readUInt32LE(8);
  const start = (file[6] === 1 ? 10 : 12) + length;
  const head = file.toString('latin1', 0, start);
  const [, descr] = /'descr': *'([^']+)'/.exec(head);
  const [, shape] = /'shape': *\(([^)]*)\)/.exec(head);
  if (!kinds[descr] || !head.includes("'fortran_order': False")) {
    throw new Error(`npy: ${descr} or its order is not read here`);
  }
  const [dtype, Kind] = kinds[descr];
  const dims = shape
    .split(',')
    .filter((dim) => dim.trim())
    .map(Number);
  const bytes = file.buffer.slice(file.byteOffset + start, file.byteOffset + file.length);
  return { dtype, dims, data: new Kind(bytes) };
}
