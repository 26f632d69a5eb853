import { describe, expect, test } from 'vitest';
import { encodePlan, planMessage } from '../../tests/node/plan-writer.js';
import { Access, BufferKind, decodePlan, type Port, type Slice, type Step } from './plan.js';
import { WordReader, WordWriter } from './words.js';

const slice = (kind: Slice['kind'], index: number, offset: number, bytes: number): Slice => ({
  kind,
  index,
  offset,
  bytes,
});

const full = planMessage({
  programs: [
    {
      number: 3,
      label: 'Add expr',
      wgsl: '// naïve\n@compute @workgroup_size(WG) fn main() {}',
      access: [Access.read, Access.readWrite, Access.uniform],
      overrides: { WG: 64, scale: -0.125 },
    },
  ],
  buffers: [
    {
      kind: BufferKind.constants,
      index: 1,
      bytes: 5_000_000_000,
      planOwned: true,
      contents: Uint8Array.of(1, 2, 3, 4, 5),
    },
  ],
  segment: {
    arenaBytes: 2 ** 40,
    arenaBufferBytes: 2 ** 32,
    liveBytes: 512,
    done: false,
    uploads: [{ index: 0, dtype: 'f32', dims: [2, 3], slice: slice(BufferKind.arena, 0, 256, 24) }],
    once: [
      {
        kind: 'copy',
        node: 9,
        from: slice(BufferKind.weight, 2, 0, 16),
        to: slice(BufferKind.persistent, 0, 256, 16),
      },
    ],
    steps: [
      {
        kind: 'dispatch',
        node: 7,
        program: 3,
        workgroups: [65535, 2, 1],
        paramsOffset: 256,
        paramsBytes: 12,
        slices: [slice(BufferKind.weight, 2, 0, 16), slice(BufferKind.arena, 0, 2 ** 33, 16)],
      },
    ],
    reads: [{ index: 0, dtype: 'i64', dims: [], slice: slice(BufferKind.once, 1, 0, 8) }],
    outputs: [
      {
        index: 1,
        dtype: 'string',
        dims: [2],
        host: { bytes: new Uint8Array(), strings: ['', 'größe'] },
      },
    ],
    params: new Uint8Array(272).fill(7),
  },
});

describe('decodePlan', () => {
  test('reads back what is written', () => {
    expect(decodePlan(encodePlan(full))).toEqual(full);
  });

  test('rejects every message that is cut short or too long', () => {
    const bytes = encodePlan(full);
    for (let length = 0; length < bytes.length; length += 4) {
      expect(() => decodePlan(bytes.subarray(0, length)), `${length} bytes`).toThrow(
        /core message/,
      );
    }
    expect(() => decodePlan(Uint8Array.of(...bytes, 0, 0, 0, 0))).toThrow(/4 bytes after its end/);
  });

  test('survives any single corrupt word', () => {
    const bytes = encodePlan(full);
    for (let at = 0; at < bytes.length; at += 4) {
      for (const value of [0xffffffff, 0x80000000, 7]) {
        const corrupt = bytes.slice();
        new DataView(corrupt.buffer).setUint32(at, value, true);
        try {
          decodePlan(corrupt);
        } catch (error) {
          expect(String(error)).toMatch(/core message/);
        }
      }
    }
  });

  test('names what it does not know', () => {
    const port = (dtype: Port['dtype']): Port => ({
      index: 0,
      dtype,
      dims: [],
      slice: slice(BufferKind.arena, 0, 0, 4),
    });
    const message = encodePlan(planMessage({ segment: { outputs: [port('nonsense' as 'f32')] } }));
    expect(() => decodePlan(message)).toThrow('core message: element type 0');
    const other = encodePlan(planMessage({}));
    other[4] = 9;
    expect(() => decodePlan(other)).toThrow('core message: plan version 9, expected 3');
    const copy: Step = {
      kind: 'copy',
      node: 0,
      from: slice(BufferKind.arena, 0, 0, 4),
      to: slice(BufferKind.arena, 0, 256, 8),
    };
    expect(() => decodePlan(encodePlan(planMessage({ segment: { steps: [copy] } })))).toThrow(
      /source and target of one size/,
    );
  });
});

describe('words', () => {
  test('wide numbers pass 2^32 and stop at 2^53', () => {
    const bytes = new WordWriter()
      .wide(2 ** 32 + 5)
      .wide(2 ** 53 - 1)
      .word(0)
      .word(1 << 30);
    const reader = new WordReader(bytes.finish());
    expect(reader.wide()).toBe(2 ** 32 + 5);
    expect(reader.wide()).toBe(2 ** 53 - 1);
    expect(() => reader.wide()).toThrow(/too large/);
  });

  test('blobs are padded to words', () => {
    const bytes = new WordWriter()
      .blob(Uint8Array.of(1, 2, 3))
      .text('é')
      .word(9)
      .finish();
    expect(bytes.length).toBe(4 + 4 + 4 + 4 + 4);
    const reader = new WordReader(bytes);
    expect([...reader.blob()]).toEqual([1, 2, 3]);
    expect(reader.text()).toBe('é');
    expect(reader.word()).toBe(9);
    reader.end();
  });
});
