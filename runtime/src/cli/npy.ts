// NumPy's .npy files.

import { elementCount, byteSize, bytesOf, type NumericDType, type NumericData } from '../dtype.js';
import { InvalidArgumentError } from '../errors.js';
import type { Tensor } from '../tensor.js';
import { tensorFromBytes } from '../tensor.js';

/** Our types by NumPy's names, without the byte order. */
const types: Record<string, NumericDType> = {
  ...{ f2: 'f16', f4: 'f32', f8: 'f64', b1: 'bool', c8: 'c64', c16: 'c128' },
  ...{ i1: 'i8', i2: 'i16', i4: 'i32', i8: 'i64', u1: 'u8', u2: 'u16', u4: 'u32', u8: 'u64' },
};
const magic = '\x93NUMPY';

export function readNpy(file: Uint8Array<ArrayBuffer>): Tensor<NumericDType> {
  const latin1 = new TextDecoder('latin1');
  const fail = (what: string): never => {
    throw new InvalidArgumentError(`npy: ${what}`);
  };
  if (file.length < 12 || latin1.decode(file.subarray(0, 6)) !== magic) fail('wrong signature');
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const [start, length] =
    file[6]! < 2 ? [10, view.getUint16(8, true)] : [12, view.getUint32(8, true)];
  const header = latin1.decode(file.subarray(start, start + length));
  const [, order, name] = /'descr':\s*'([<>|=])(\w+)'/.exec(header) ?? [];
  const dtype = types[name ?? ''] ?? fail(`elements of type ${name ?? 'unknown'}`);
  if (order === '>') fail('big-endian elements');
  if (!/'fortran_order':\s*False/.test(header)) fail('columns first');
  const [, shape] = /'shape':\s*\(([^)]*)\)/.exec(header) ?? fail('no shape');
  const dims = (shape!.match(/\d+/g) ?? []).map(Number);
  const bytes = byteSize(dtype, elementCount(dims));
  const data = file.subarray(start + length, start + length + bytes);
  if (data.length !== bytes) fail('it ends early');
  return tensorFromBytes(dtype, dims, data.slice());
}

export function writeNpy(tensor: Tensor): Uint8Array {
  const { dtype, dims } = tensor;
  const name = Object.keys(types).find((key) => types[key] === dtype);
  if (!name) throw new InvalidArgumentError(`npy: it has no type for ${dtype}`);
  const order = /[a-z]1$/.test(name) ? '|' : '<';
  const shape = dims.length === 1 ? `${dims[0]},` : dims.join(', ');
  let header = `{'descr': '${order}${name}', 'fortran_order': False, 'shape': (${shape}), }`;
  header = header.padEnd(Math.ceil((header.length + 11) / 64) * 64 - 11) + '\n';
  const head = Uint8Array.from(magic + '\x01\x00', (char) => char.charCodeAt(0));
  const length = new Uint8Array(Uint16Array.of(header.length).buffer);
  const data = bytesOf(tensor.data as NumericData);
  return Buffer.concat([head, length, Buffer.from(header, 'latin1'), data]);
}
