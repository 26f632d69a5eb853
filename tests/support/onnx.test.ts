import { describe, expect, test } from 'vitest';
import { bitWidth, onnxTypeNumber, zeroData, type DType } from './dtype.js';
import { node, readSignature, tensor, value, writeModel } from './onnx.js';
import { readTensor, readValue, writeTensor, writeValue, type OnnxValue } from './pb.js';
import { concatBytes, MessageWriter } from './protobuf.js';
import { runReference } from './reference.js';
import { chunkLimit, syntheticModel } from './synthetic.js';

describe('TensorProto', () => {
  test.each(Object.keys(onnxTypeNumber) as DType[])('%s is written and read back', (dtype) => {
    const data = dtype === 'string' ? ['a', '', 'é'] : zeroData(dtype, 3);
    if (!Array.isArray(data))
      new Uint8Array(data.buffer).forEach((_, i, bytes) => (bytes[i] = i + 1));
    const value = { name: 'x', dtype, dims: [3, 1], data };
    expect(readTensor(writeTensor(value))).toEqual(value);
  });

  test('values in typed fields, packed and not', () => {
    const header = (type: number) => new MessageWriter().packedIntegers(1, [2]).integer(2, type);
    const read = (writer: MessageWriter) => readTensor(writer.finish()).data;
    expect(read(header(1).packedFloats(4, [1.5, -2]))).toEqual(Float32Array.of(1.5, -2));
    expect(read(header(1).float(4, 1.5).float(4, -2))).toEqual(Float32Array.of(1.5, -2));
    expect(read(header(3).packedIntegers(5, [-1, 127]))).toEqual(Int8Array.of(-1, 127));
    expect(read(header(10).packedIntegers(5, [0x3c00, 0xbc00]))).toEqual(
      Uint16Array.of(0x3c00, 0xbc00),
    );
    expect(read(header(22).packedIntegers(5, [0xf1]))).toEqual(Uint8Array.of(0xf1));
    expect(
      read(
        header(7)
          .integer(7, -1)
          .integer(7, 1n << 40n),
      ),
    ).toEqual(BigInt64Array.of(-1n, 1n << 40n));
    expect(read(header(13).packedIntegers(11, [0, (1n << 64n) - 1n]))).toEqual(
      BigUint64Array.of(0n, (1n << 64n) - 1n),
    );
    expect(read(header(11).bytes(10, new Uint8Array(Float64Array.of(1, 2).buffer)))).toEqual(
      Float64Array.of(1, 2),
    );
  });

  test('data of the wrong length is refused', () => {
    const bytes = new MessageWriter()
      .packedIntegers(1, [2])
      .integer(2, 1)
      .bytes(9, new Uint8Array(7));
    expect(() => readTensor(bytes.finish())).toThrow();
    expect(bitWidth('i4')).toBe(4);
  });

  test('sequences and optionals', () => {
    const item = tensor('', 'i64', [2], [1n, -1n]);
    const type = { kind: 'tensor', dtype: 'i64', dims: undefined } as const;
    const sequence: OnnxValue = { name: 's', items: [item, tensor('', 'i64', [0], [])] };
    expect(readValue(writeValue(sequence), { kind: 'sequence', element: type })).toEqual(sequence);
    for (const value of [item, undefined]) {
      const optional: OnnxValue = { name: 'o', value };
      expect(readValue(writeValue(optional), { kind: 'optional', element: type })).toEqual(
        optional,
      );
    }
  });
});

describe('writeModel', () => {
  const branch = (op: string) => ({
    graph: { name: op, nodes: [node(op, ['x', 'w'], ['r'])], outputs: [value('r', 'f32')] },
  });
  const model = writeModel({
    opsets: { '': 18 },
    metadata: { made: 'by a test' },
    graph: {
      nodes: [
        node('ReduceSum', ['x'], ['total'], { keepdims: { int: 0 } }),
        node('Constant', [], ['zero'], { value_float: { float: 0 } }),
        node('Greater', ['total', 'zero'], ['positive']),
        node('If', ['positive'], ['y'], { then_branch: branch('Add'), else_branch: branch('Mul') }),
        node('Transpose', ['y'], ['t'], { perm: { ints: [1, 0] } }),
      ],
      initializers: [tensor('w', 'f32', [2], [10, 20])],
      inputs: [value('x', 'f32', ['n', 2])],
      outputs: [value('t', 'f32', [2, 'n'])],
    },
  });

  test('gives a model that the reference engine runs', async () => {
    const run = async (values: number[]) =>
      (await runReference(model, { x: tensor('x', 'f32', [2, 2], values) })).t;
    expect(await run([1, 2, 3, 4])).toEqual(tensor('t', 'f32', [2, 2], [11, 13, 22, 24]));
    expect(await run([-1, -2, -3, -4])).toEqual(tensor('t', 'f32', [2, 2], [-10, -30, -40, -80]));
  });

  test('has a signature that reads back', () => {
    expect(readSignature(model)).toEqual({
      inputs: [value('x', 'f32', ['n', 2])],
      outputs: [value('t', 'f32', [2, 'n'])],
    });
  });

  test('writes external initializers', () => {
    const external = { location: 'weights.bin', offset: 4096, length: 8 };
    const text = new TextDecoder().decode(
      writeModel({
        graph: {
          nodes: [],
          initializers: [{ name: 'w', dtype: 'f32', dims: [2], external }],
          outputs: [],
        },
      }),
    );
    for (const part of ['location', 'weights.bin', 'offset', '4096', 'length', '8']) {
      expect(text).toContain(part);
    }
  });
});

describe('syntheticModel', () => {
  const collect = async (chunks: AsyncIterable<Uint8Array>) => {
    const all: Uint8Array[] = [];
    for await (const chunk of chunks) all.push(chunk);
    return all;
  };

  test('streams a model that the reference engine runs', async () => {
    const width = 600;
    const model = syntheticModel({ layers: 3, width });
    const chunks = await collect(model.chunks());
    expect(Math.max(...chunks.map(({ length }) => length))).toBe(chunkLimit);
    const bytes = concatBytes(chunks);
    expect(bytes.length).toBe(model.byteLength);

    const row = Float32Array.from({ length: width }, (_, i) => Math.sin(i));
    const { y } = await runReference(bytes, {
      x: { name: 'x', dtype: 'f32', dims: [1, width], data: row },
    });
    const expected = model.expected(row);
    const got = y!.data as Float32Array;
    expect(Math.hypot(...got)).toBeGreaterThan(1);
    expected.forEach((element, i) => expect(got[i]).toBeCloseTo(element, 4));
  });

  test('gives any range of its bytes', async () => {
    const model = syntheticModel({ layers: 2, width: 17 });
    const whole = concatBytes(await collect(model.chunks()));
    for (const [start, end] of [
      [0, 1],
      [3, 999],
      [501, 502],
      [777, whole.length],
      [50, 50],
    ]) {
      const part = concatBytes(await collect(model.chunks(start, end)));
      expect(part).toEqual(whole.slice(start, end));
    }
  });

  test('knows the length of a large file without making it', () => {
    const { byteLength } = syntheticModel({ layers: 24, width: 4096 });
    expect(byteLength).toBeGreaterThan(1.5 * 2 ** 30);
    expect(byteLength).toBeLessThan(1.5 * 2 ** 30 + 4096);
  });
});
