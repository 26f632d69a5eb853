// GroupQueryAttention and RotaryEmbedding of com.microsoft.

import { floats, integer, integers, pick, tensor } from './random.mjs';

const domain = 'com.microsoft';

export function cached(add) {
  for (const [name, options] of [
    ['prompt', {}],
    ['prompt_rotary', { rotary: true }],
    ['prompt_packed', { packed: true }],
    ['prompt_packed_rotary', { packed: true, rotary: true, interleaved: 1 }],
    ['token', { past: true }],
    ['token_rotary', { past: true, rotary: true }],
    ['token_ragged', { past: true, rotary: true, packed: true, ragged: true }],
    ['token_buffer', { past: true, buffer: true }],
    ['prompt_window', { window: 3 }],
    ['token_window', { past: true, window: 3, rotary: true }],
    ['softcap', { softcap: 2 }],
    ['smooth', { smooth: true }],
    ['sink', { sink: true, past: true }],
    ['score_bias', { scoreBias: true }],
    ['several_tokens', { past: true, several: true, rotary: true }],
    ['several_window', { past: true, several: true, window: 2 }],
    ['prompt_padded', { padded: true, rotary: true }],
    ['positions', { past: true, rotary: true, positions: true }],
    ['scale', { scale: 0.2, past: true }],
    ['softcap_all', { softcap: 3, past: true, rotary: true, window: 4, packed: true }],
    ['smooth_token', { smooth: true, past: true, ragged: true }],
    ['score_bias_token', { scoreBias: true, past: true, ragged: true }],
    ['ragged_buffer', { past: true, buffer: true, ragged: true, rotary: true }],
    ['interleaved_token', { past: true, rotary: true, interleaved: 1, ragged: true }],
    ['partial_rotary', { past: true, rotary: true, partial: true }],
    ['both_ways', { bidirectional: true }],
    ['half', { dtype: 'f16', past: true, rotary: true }],
    ['half_prompt', { dtype: 'f16', packed: true, rotary: true }],
  ]) {
    add(`group_query_attention_${name}`, () => {
      const [kvHeads, group] = [integer(1, 2), integer(1, 3)];
      // ONNX Runtime wants multiples of 16 under a rotation, and of 8 rotated pairs.
      const size = options.partial ? 32 : options.rotary ? pick(16, 32) : pick(8, 16, 24);
      const heads = kvHeads * group;
      const batch = options.several ? 1 : 2;
      const rows = options.past && !options.several ? 1 : integer(2, 6);
      const past = options.past ? integer(2, 6) : 0;
      const capacity = options.buffer ? past + 5 : past;
      // Tokens before this step, of each row.
      const before = Array.from({ length: batch }, (_, i) =>
        options.ragged && i > 0 ? integer(1, past) : past,
      );
      const total = past + rows;
      const type = options.dtype ?? 'f32';
      const random = (dims, scale = 1) => floats(dims, scale, type);
      const inputs = {};
      if (options.packed) inputs.q = random([batch, rows, (heads + 2 * kvHeads) * size]);
      else {
        inputs.q = random([batch, rows, heads * size]);
        inputs.k = random([batch, rows, kvHeads * size]);
        inputs.v = random([batch, rows, kvHeads * size]);
      }
      inputs.pk = random([batch, kvHeads, capacity, size]);
      inputs.pv = random([batch, kvHeads, capacity, size]);
      // A padded row of the batch is shorter than the others.
      const missing = (i) => (options.padded && i > 0 ? 1 : 0);
      inputs.lengths = tensor('i32', [batch], (i) => before[i] + rows - 1 - missing(i));
      inputs.total = tensor('i32', [], () => total);
      if (options.scoreBias) inputs.scores = random([1, heads, rows, total], 2);
      if (options.positions) {
        inputs.positions = tensor('i64', [batch, rows], (i) => before[Math.floor(i / rows)]);
      }
      const initializers = {};
      if (options.rotary) {
        const rotated = options.partial ? size / 4 : size / 2;
        initializers.cos = random([16, rotated]);
        initializers.sin = random([16, rotated]);
      }
      if (options.sink) initializers.sink = random([heads], 2);
      const named = (key) => (inputs[key] || initializers[key] ? key : '');
      // What rows past a batch entry's end give is nothing that the operator says.
      const cut = ['none', 0, 'one', 1, 'end', -1];
      const cutting = options.padded
        ? [
            ...[0, 2, 4].map((i) => ({
              op: 'Constant',
              inputs: [],
              outputs: [cut[i]],
              attributes: { value_ints: [cut[i + 1]] },
            })),
            { op: 'Slice', inputs: ['rows', 'none', 'end', 'one'], outputs: ['y'] },
          ]
        : [];
      return {
        nodes: [
          {
            op: 'GroupQueryAttention',
            domain,
            inputs: [
              ...['q', named('k'), named('v'), 'pk', 'pv', 'lengths', 'total'],
              ...[named('cos'), named('sin'), named('positions'), named('scores'), named('sink')],
            ],
            outputs: [options.padded ? 'rows' : 'y', 'k2', 'v2'],
            attributes: {
              num_heads: heads,
              kv_num_heads: kvHeads,
              do_rotary: options.rotary ? 1 : 0,
              rotary_interleaved: options.interleaved ?? 0,
              ...(options.window && { local_window_size: options.window }),
              ...(options.softcap && { softcap: { float: options.softcap } }),
              ...(options.smooth && { smooth_softmax: 1 }),
              ...(options.scale && { scale: { float: options.scale } }),
              ...(options.bidirectional && { causal: 0 }),
            },
          },
          ...cutting,
        ],
        inputs,
        initializers,
        outputs: { y: type, k2: type, v2: type },
      };
    });
  }

  for (const [name, options] of [
    ['flat', {}],
    ['interleaved', { interleaved: 1 }],
    ['heads', { rank4: true }],
    ['offset', { offset: true }],
    ['partial', { partial: true }],
    ['partial_heads', { partial: true, rank4: true, interleaved: 1 }],
    ['interleaved_offset', { interleaved: 1, offset: true }],
    ['half', { dtype: 'f16' }],
    ['scale', { scale: 2 }],
  ]) {
    add(`rotary_embedding_${name}`, () => {
      const [batch, rows, heads, size] = [2, integer(1, 5), integer(1, 3), pick(8, 16)];
      const rotated = options.partial ? size / 2 : size;
      const type = options.dtype ?? 'f32';
      return {
        nodes: [
          {
            op: 'RotaryEmbedding',
            domain,
            inputs: ['x', 'at', 'cos', 'sin'],
            outputs: ['y'],
            attributes: {
              interleaved: options.interleaved ?? 0,
              ...(options.partial && { num_heads: heads, rotary_embedding_dim: rotated }),
              ...(options.scale && { scale: { float: options.scale } }),
            },
          },
        ],
        inputs: {
          x: floats(
            options.rank4 ? [batch, heads, rows, size] : [batch, rows, heads * size],
            1,
            type,
          ),
          at: options.offset ? integers('i64', [1], 0, 9) : integers('i64', [batch, rows], 0, 14),
        },
        initializers: {
          cos: floats([16, rotated / 2], 1, type),
          sin: floats([16, rotated / 2], 1, type),
        },
        outputs: { y: type },
      };
    });
  }
}
