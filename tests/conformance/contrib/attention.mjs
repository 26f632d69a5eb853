// The attention operators of com.microsoft, and rotary embeddings.

import { chance, floats, integer, integers, pick, scales, tensor } from './random.mjs';

const domain = 'com.microsoft';

/** A mask of 1s with some 0s at the end of each row, or in [batch, rows, keys] form anywhere. */
function paddingMask(kind, batch, rows, keys) {
  const lengths = Array.from({ length: batch }, () => integer(1, keys));
  switch (kind) {
    case 'lengths':
      return tensor('i32', [batch], (i) => lengths[i]);
    case 'ends':
      return tensor('i32', [2 * batch], (i) => (i < batch ? lengths[i] : 0));
    case 'keys':
      return tensor('i32', [batch, keys], (i) =>
        i % keys < lengths[Math.floor(i / keys)] ? 1 : 0,
      );
    default:
      return tensor('i32', [batch, rows, keys], (i) => (i % keys === 0 || chance() ? 1 : 0));
  }
}

export function attention(add) {
  for (const [name, options] of [
    ['plain', {}],
    ['mask_keys', { mask: 'keys' }],
    ['mask_lengths', { mask: 'lengths' }],
    ['mask_ends', { mask: 'ends' }],
    ['mask_rows', { mask: 'rows' }],
    ['causal', { causal: true }],
    ['past', { past: true, causal: true }],
    ['past_mask', { past: true, mask: 'keys' }],
    ['sizes', { uneven: true }],
    ['bias', { bias: true, mask: 'keys' }],
    ['present', { present: true }],
  ]) {
    for (const quantised of [false, true]) {
      if (quantised && (options.uneven || options.bias || options.mask === 'rows')) continue;
      add(`${quantised ? 'q_' : ''}attention_${name}`, () => {
        const [batch, rows, heads, size] = [2, integer(1, 6), integer(1, 3), pick(4, 8, 6)];
        const hidden = heads * size;
        const hiddenV = options.uneven ? heads * 4 : hidden;
        const wide = integer(3, 12);
        const past = options.past ? integer(1, 4) : 0;
        const keys = rows + past;
        const columns = 2 * hidden + hiddenV;
        const inputs = quantised
          ? { x: integers('u8', [batch, rows, wide]) }
          : { x: floats([batch, rows, wide]) };
        const initializers = {
          w: quantised ? integers('i8', [wide, columns]) : floats([wide, columns]),
          b: floats([columns]),
        };
        if (quantised) {
          Object.assign(initializers, {
            xs: scales([], 0.02),
            ws: scales(chance() ? [columns] : [], 0.02),
            xz: integers('u8', []),
            wz: tensor('i8', [], () => 0),
          });
        }
        if (options.mask) inputs.mask = paddingMask(options.mask, batch, rows, keys);
        if (options.past) inputs.past = floats([2, batch, heads, past, size]);
        if (options.bias) inputs.bias = floats([chance() ? batch : 1, heads, rows, keys], 2);
        const mask = options.mask ? 'mask' : '';
        const pastName = options.past ? 'past' : '';
        const present = options.past || options.present;
        const outputs = present ? { y: 'f32', present: 'f32' } : { y: 'f32' };
        return {
          nodes: [
            {
              op: quantised ? 'QAttention' : 'Attention',
              domain,
              inputs: quantised
                ? ['x', 'w', 'b', 'xs', 'ws', mask, 'xz', 'wz', pastName]
                : ['x', 'w', 'b', mask, pastName, options.bias ? 'bias' : ''],
              outputs: Object.keys(outputs),
              attributes: {
                num_heads: heads,
                ...(options.causal && { unidirectional: 1 }),
                ...(options.uneven && { qkv_hidden_sizes: [hidden, hidden, hiddenV] }),
              },
            },
          ],
          inputs,
          initializers,
          outputs,
        };
      });
    }
  }

  for (const [name, options] of [
    ['plain', {}],
    ['bias', { bias: true }],
    ['mask', { mask: 'keys', bias: true }],
    ['score_bias', { scoreBias: true, scale: 0.3 }],
    ['past', { past: true, scoreBias: true }],
    ['present', { present: true }],
    ['causal', { causal: true }],
    ['packed', { packed: 3 }],
    ['packed_keys', { packed: 2 }],
    ['heads_first', { headsFirst: true }],
  ]) {
    add(`multi_head_attention_${name}`, () => {
      const [batch, rows, heads, size] = [2, integer(1, 6), integer(1, 3), pick(4, 8, 6)];
      const hidden = heads * size;
      const same = options.causal || options.past || options.packed === 3;
      const fresh = same ? rows : integer(1, 6);
      const past = options.past ? integer(1, 4) : 0;
      const keys = fresh + past;
      const inputs = {};
      if (options.packed === 3) inputs.q = floats([batch, rows, heads, 3, size]);
      else inputs.q = floats([batch, rows, hidden]);
      if (options.packed === 2) inputs.k = floats([batch, fresh, heads, 2, size]);
      if (options.headsFirst) {
        inputs.k = floats([batch, heads, fresh, size]);
        inputs.v = floats([batch, heads, fresh, size]);
      } else if (!options.packed) {
        inputs.k = floats([batch, fresh, hidden]);
        inputs.v = floats([batch, fresh, hidden]);
      }
      if (options.mask) inputs.mask = paddingMask(options.mask, batch, rows, keys);
      if (options.scoreBias) inputs.scores = floats([1, heads, rows, keys], 2);
      if (options.past) {
        inputs.pk = floats([batch, heads, past, size]);
        inputs.pv = floats([batch, heads, past, size]);
      }
      const outputs =
        options.past || options.present ? { y: 'f32', k2: 'f32', v2: 'f32' } : { y: 'f32' };
      const named = (key) => (inputs[key] ? key : '');
      return {
        nodes: [
          {
            op: 'MultiHeadAttention',
            domain,
            inputs: [
              'q',
              named('k'),
              named('v'),
              options.bias ? 'b' : '',
              named('mask'),
              named('scores'),
              named('pk'),
              named('pv'),
            ],
            outputs: Object.keys(outputs),
            attributes: {
              num_heads: heads,
              ...(options.causal && { unidirectional: 1 }),
              ...(options.scale && { scale: { float: options.scale } }),
            },
          },
        ],
        inputs,
        initializers: options.bias ? { b: floats([3 * hidden]) } : {},
        outputs,
      };
    });
  }

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
  ]) {
    add(`group_query_attention_${name}`, () => {
      const [kvHeads, group, size] = [integer(1, 2), integer(1, 3), pick(8, 16)];
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
      const inputs = {};
      if (options.packed) inputs.q = floats([batch, rows, (heads + 2 * kvHeads) * size]);
      else {
        inputs.q = floats([batch, rows, heads * size]);
        inputs.k = floats([batch, rows, kvHeads * size]);
        inputs.v = floats([batch, rows, kvHeads * size]);
      }
      inputs.pk = floats([batch, kvHeads, capacity, size]);
      inputs.pv = floats([batch, kvHeads, capacity, size]);
      inputs.lengths = tensor('i32', [batch], (i) => before[i] + rows - 1);
      inputs.total = tensor('i32', [], () => total);
      if (options.scoreBias) inputs.scores = floats([1, heads, rows, total], 2);
      const initializers = {};
      if (options.rotary) {
        initializers.cos = floats([16, size / 2]);
        initializers.sin = floats([16, size / 2]);
      }
      if (options.sink) initializers.sink = floats([heads], 2);
      const named = (key) => (inputs[key] || initializers[key] ? key : '');
      return {
        nodes: [
          {
            op: 'GroupQueryAttention',
            domain,
            inputs: [
              ...['q', named('k'), named('v'), 'pk', 'pv', 'lengths', 'total'],
              ...[named('cos'), named('sin'), '', named('scores'), named('sink')],
            ],
            outputs: ['y', 'k2', 'v2'],
            attributes: {
              num_heads: heads,
              kv_num_heads: kvHeads,
              do_rotary: options.rotary ? 1 : 0,
              rotary_interleaved: options.interleaved ?? 0,
              ...(options.window && { local_window_size: options.window }),
              ...(options.softcap && { softcap: { float: options.softcap } }),
              ...(options.smooth && { smooth_softmax: 1 }),
            },
          },
        ],
        inputs,
        initializers,
        outputs: { y: 'f32', k2: 'f32', v2: 'f32' },
      };
    });
  }

  for (const [name, options] of [
    ['flat', {}],
    ['interleaved', { interleaved: 1 }],
    ['heads', { rank4: true }],
    ['offset', { offset: true }],
    ['partial', { partial: true }],
  ]) {
    add(`rotary_embedding_${name}`, () => {
      const [batch, rows, heads, size] = [2, integer(1, 5), integer(1, 3), pick(8, 16)];
      const rotated = options.partial ? size / 2 : size;
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
            },
          },
        ],
        inputs: {
          x: floats(options.rank4 ? [batch, heads, rows, size] : [batch, rows, heads * size]),
          at: options.offset
            ? integers('i64', [1], 0, 9)
            : integers('i64', [batch, rows], 0, 14),
        },
        initializers: { cos: floats([16, rotated / 2]), sin: floats([16, rotated / 2]) },
        outputs: { y: 'f32' },
      };
    });
  }
}
