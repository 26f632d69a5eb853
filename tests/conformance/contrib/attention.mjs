// Attention, QAttention and MultiHeadAttention of com.microsoft.

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
    case 'square':
      // More rows and columns than are taken.
      return tensor('i32', [batch, 1, keys + 2, keys + 2], (i) =>
        i % (keys + 2) === 0 || chance() ? 1 : 0,
      );
    case 'keys':
      return tensor('i32', [batch, keys], (i) =>
        i % keys < lengths[Math.floor(i / keys)] ? 1 : 0,
      );
    default:
      return tensor('i32', [batch, rows, keys], (i) => (i % keys === 0 || chance() ? 1 : 0));
  }
}

/** The node with a mask of [batch, rows, keys] cut out of a square one. */
function rowsOfSquare(node, past, rows, keys) {
  const list = (name, ...values) => ({
    op: 'Constant',
    inputs: [],
    outputs: [name],
    attributes: { value_ints: values },
  });
  return [
    list('from', past, 0),
    list('to', past + rows, keys),
    list('cut', 2, 3),
    list('one', 1),
    { op: 'Slice', inputs: ['mask', 'from', 'to', 'cut'], outputs: ['part'] },
    { op: 'Squeeze', inputs: ['part', 'one'], outputs: ['rows'] },
    { ...node, inputs: node.inputs.map((name) => (name === 'mask' ? 'rows' : name)) },
  ];
}

/** The node with operands unpacked from [batch, rows, heads, count, size]. */
function unpacked(node, packed, names, heads, size) {
  const parts = names.map((name) => `${name}_part`);
  return [
    {
      op: 'Constant',
      inputs: [],
      outputs: ['flat'],
      attributes: { value_ints: [0, 0, heads * size] },
    },
    { op: 'Split', inputs: [packed], outputs: parts, attributes: { axis: 3 } },
    ...names.map((name, i) => ({ op: 'Reshape', inputs: [parts[i], 'flat'], outputs: [name] })),
    { ...node, inputs: [...(names.length === 2 ? ['q'] : []), ...names, ...node.inputs.slice(3)] },
  ];
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
    ['no_bias', { noBias: true }],
    ['causal_mask', { causal: true, mask: 'keys' }],
    ['causal_ends', { causal: true, mask: 'ends' }],
    ['causal_past_rows', { causal: true, past: true, mask: 'rows' }],
    ['filter_scale', { mask: 'keys', filter: -3, scale: 0.4 }],
    ['mask_square', { mask: 'square' }],
    ['mask_square_past', { mask: 'square', past: true }],
  ]) {
    for (const quantised of [false, true]) {
      const { mask: form, noBias, scale, filter, uneven } = options;
      if (quantised && (uneven || options.bias || noBias || scale || form === 'square')) continue;
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
        if (noBias) delete initializers.b;
        if (form) inputs.mask = paddingMask(form, batch, rows, keys);
        if (options.past) inputs.past = floats([2, batch, heads, past, size]);
        if (options.bias) inputs.bias = floats([chance() ? batch : 1, heads, rows, keys], 2);
        const mask = options.mask ? 'mask' : '';
        const pastName = options.past ? 'past' : '';
        const present = options.past || options.present;
        const outputs = present ? { y: 'f32', present: 'f32' } : { y: 'f32' };
        const node = {
          op: quantised ? 'QAttention' : 'Attention',
          domain,
          inputs: quantised
            ? ['x', 'w', 'b', 'xs', 'ws', mask, 'xz', 'wz', pastName]
            : ['x', 'w', noBias ? '' : 'b', mask, pastName, options.bias ? 'bias' : ''],
          outputs: Object.keys(outputs),
          attributes: {
            num_heads: heads,
            ...(options.causal && { unidirectional: 1 }),
            ...(uneven && { qkv_hidden_sizes: [hidden, hidden, hiddenV] }),
            ...(scale && { scale: { float: scale } }),
            ...(filter && { mask_filter_value: { float: filter } }),
          },
        };
        return {
          nodes: [node],
          // ONNX Runtime's CPU does not take the square form; its part for these rows is another.
          ...(noBias && {
            reference: [
              {
                op: 'Constant',
                inputs: [],
                outputs: ['b'],
                attributes: { value_floats: { floats: Array(columns).fill(0) } },
              },
              { ...node, inputs: ['x', 'w', 'b'] },
            ],
          }),
          ...(form === 'square' && { reference: rowsOfSquare(node, past, rows, keys) }),
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
    ['heads_first_bias', { headsFirst: true, bias: true }],
    ['mask_lengths', { mask: 'lengths' }],
    ['mask_rows', { mask: 'rows' }],
    ['mask_past', { mask: 'keys', past: true }],
    ['causal_past', { causal: true, past: true, bias: true }],
    ['causal_mask', { causal: true, mask: 'keys', filter: -4 }],
    ['values', { values: true, bias: true }],
    ['values_present', { values: true, present: true }],
    ['scores_batch', { scoreBias: [true, false] }],
    ['scores_both', { scoreBias: [true, true], mask: 'keys' }],
    ['scores_none', { scoreBias: [false, false], packed: 2 }],
    ['packed_present', { packed: 3, present: true }],
    ['packed_keys_present', { packed: 2, present: true }],
    ['token', { past: true, token: true, bias: true }],
    ['score_output', { scores: true, mask: 'keys', bias: true }],
    ['score_output_past', { scores: true, past: true, scale: 0.7 }],
  ]) {
    add(`multi_head_attention_${name}`, () => {
      const [batch, heads, size] = [2, integer(1, 3), pick(4, 8, 6)];
      const rows = options.token ? 1 : integer(1, 6);
      const hidden = heads * size;
      const sizeV = options.values ? pick(4, 12, 5) : size;
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
        inputs.v = floats([batch, fresh, heads * sizeV]);
      }
      if (options.mask) inputs.mask = paddingMask(options.mask, batch, rows, keys);
      if (options.scoreBias) {
        const [batches, each] = options.scoreBias === true ? [false, true] : options.scoreBias;
        inputs.scores = floats([batches ? batch : 1, each ? heads : 1, rows, keys], 2);
      }
      if (options.past) {
        inputs.pk = floats([batch, heads, past, size]);
        inputs.pv = floats([batch, heads, past, size]);
      }
      const outputs =
        options.past || options.present ? { y: 'f32', k2: 'f32', v2: 'f32' } : { y: 'f32' };
      if (options.scores) Object.assign(outputs, { k2: 'f32', v2: 'f32', qk: 'f32' });
      const named = (key) => (inputs[key] ? key : '');
      const node = {
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
          ...(options.filter && { mask_filter_value: { float: options.filter } }),
        },
      };
      return {
        nodes: [node],
        ...(options.packed === 3 && {
          reference: unpacked(node, 'q', ['q3', 'k3', 'v3'], heads, size),
        }),
        ...(options.packed === 2 && { reference: unpacked(node, 'k', ['k3', 'v3'], heads, size) }),
        inputs,
        initializers: options.bias ? { b: floats([2 * hidden + heads * sizeV]) } : {},
        outputs,
      };
    });
  }
}
