// Writes small TFLite files: what the packages have none of, quantised models.

/** A field's bytes, or what its offset leads to. */
type Field = Uint8Array | ((writer: Writer) => number);
/** By the fields' numbers in the schema. */
export type Fields = Record<number, Field>;

class Writer {
  bytes: number[] = [];

  place(): number {
    while (this.bytes.length % 8 !== 0) this.bytes.push(0);
    return this.bytes.length;
  }

  put(at: number, value: number): void {
    for (let i = 0; i < 4; i++) this.bytes[at + i] = (value >>> (8 * i)) & 255;
  }

  /** Elements begin at a multiple of `align`, after their number. */
  vector(count: number, content: Uint8Array, align = 8): number {
    while ((this.bytes.length + 4) % align !== 0) this.bytes.push(0);
    const at = this.bytes.length;
    this.bytes.push(0, 0, 0, 0, ...content);
    this.put(at, count);
    return at;
  }

  table(fields: Fields): number {
    const ids = Object.keys(fields).map(Number);
    const slots = Math.max(-1, ...ids) + 1;
    const vtable = this.place();
    this.bytes.push(...new Uint8Array(4 + 2 * slots));
    const at = this.place();
    this.bytes.push(0, 0, 0, 0);
    this.put(at, at - vtable);
    const half = (where: number, value: number): void => {
      this.bytes[where] = value & 255;
      this.bytes[where + 1] = value >> 8;
    };
    const children: [number, (writer: Writer) => number][] = [];
    for (const id of ids) {
      const field = fields[id]!;
      // FlatBuffers' own reader wants every number at a multiple of its size.
      const width = field instanceof Uint8Array ? field.length : 4;
      while ((this.bytes.length - at) % width !== 0) this.bytes.push(0);
      half(vtable + 4 + 2 * id, this.bytes.length - at);
      if (typeof field === 'function') children.push([this.bytes.length, field]);
      this.bytes.push(...(field instanceof Uint8Array ? field : [0, 0, 0, 0]));
    }
    half(vtable, 4 + 2 * slots);
    half(vtable + 2, this.bytes.length - at);
    for (const [where, child] of children) this.put(where, child(this) - where);
    return at;
  }
}

const raw = (data: ArrayBufferView): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
export const byte = (value: number): Field => Uint8Array.of(value);
export const int = (value: number): Field => raw(Int32Array.of(value));
export const real = (value: number): Field => raw(Float32Array.of(value));
const list =
  (data: Int32Array | Float32Array | BigInt64Array): Field =>
  (writer) =>
    writer.vector(data.length, raw(data));
const ints = (values: readonly number[]): Field => list(Int32Array.from(values));
const text =
  (value: string): Field =>
  (writer) =>
    writer.vector(value.length, new TextEncoder().encode(`${value}\0`));
const tables =
  (all: Fields[]): Field =>
  (writer) => {
    const at = writer.vector(all.length, new Uint8Array(4 * all.length));
    all.forEach((fields, i) => {
      const entry = at + 4 + 4 * i;
      writer.put(entry, writer.table(fields) - entry);
    });
    return at;
  };

const types = { float32: 0, int32: 2, uint8: 3, int64: 4, int16: 7, int8: 9 };
export interface TensorSpec {
  type: keyof typeof types;
  dims: number[];
  /** real = scale * (stored - zero); several scales are those of `axis`. */
  scale?: number[];
  zero?: number[];
  axis?: number;
  data?: ArrayBufferView;
}

export class TfliteWriter {
  readonly #tensors: Fields[] = [];
  readonly #buffers: Fields[] = [{}];
  readonly #codes: Fields[] = [];
  readonly #operators: Fields[] = [];
  readonly #inputs: number[] = [];
  readonly #outputs: number[] = [];

  tensor({ type, dims, scale = [], zero, axis = 0, data }: TensorSpec): number {
    const fields: Fields = { 0: ints(dims), 1: byte(types[type]) };
    if (data) {
      fields[2] = int(this.#buffers.length);
      const bytes = raw(data);
      this.#buffers.push({
        0: (writer) => writer.vector(bytes.length, bytes, 16),
      });
    }
    fields[3] = text(`t${this.#tensors.length}`);
    if (scale.length > 0) {
      const zeros = BigInt64Array.from((zero ?? scale.map(() => 0)).map(BigInt));
      const quantization: Fields = {
        2: list(Float32Array.from(scale)),
        3: list(zeros),
        6: int(axis),
      };
      fields[4] = (writer) => writer.table(quantization);
    }
    return this.#tensors.push(fields) - 1;
  }

  input(spec: TensorSpec): number {
    const tensor = this.tensor(spec);
    this.#inputs.push(tensor);
    return tensor;
  }

  /** An operator by its number (BuiltinOperator); `kind` is that of its options (BuiltinOptions). */
  op(
    code: number,
    version: number,
    inputs: number[],
    out: TensorSpec,
    kind: number,
    options: Fields,
  ): number {
    const output = this.tensor(out);
    this.#codes.push({ 0: byte(code), 2: int(version), 3: int(code) });
    this.#operators.push({
      0: int(this.#operators.length),
      1: ints(inputs),
      2: ints([output]),
      3: byte(kind),
      4: (writer) => writer.table(options),
    });
    return output;
  }

  output(tensor: number): void {
    this.#outputs.push(tensor);
  }

  file(): Uint8Array {
    const writer = new Writer();
    writer.bytes.push(0, 0, 0, 0, ...new TextEncoder().encode('TFL3'));
    const graph = {
      0: tables(this.#tensors),
      1: ints(this.#inputs),
      2: ints(this.#outputs),
      3: tables(this.#operators),
    };
    const root = writer.table({
      0: int(3),
      1: tables(this.#codes),
      2: tables([graph]),
      4: tables(this.#buffers),
    });
    writer.put(0, root);
    return Uint8Array.from(writer.bytes);
  }
}
