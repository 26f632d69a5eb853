// src/ops/recurrent, src/ops/signal and the attention of ONNX's own domain.

/** `gates` rows of weights a unit; LSTM has a cell state and peepholes besides. */
function recurrent(gates) {
  return (d) => {
    const type = d.type('T');
    const [steps, batch, inputs, hidden] = [
      d.integer(1, 5),
      d.integer(1, 3),
      d.integer(1, 5),
      d.integer(1, 6),
    ];
    const direction = d.pick('forward', 'reverse', 'bidirectional');
    const n = direction === 'bidirectional' ? 2 : 1;
    if (direction !== 'forward' || d.chance()) d.string('direction', direction);
    d.int('hidden_size', hidden);
    const layout = d.version >= 14 && d.chance(4) ? d.int('layout', 1) : 0;
    const state = layout ? [batch, n, hidden] : [n, batch, hidden];
    const small = { low: -0.6, high: 0.6 };
    d.input(d.tensor(type, layout ? [batch, steps, inputs] : [steps, batch, inputs]));
    d.input(d.tensor(type, [n, gates * hidden, inputs], small));
    d.input(d.tensor(type, [n, gates * hidden, hidden], small));
    if (d.chance()) d.input(d.tensor(type, [n, 2 * gates * hidden], small));
    else d.skip();
    if (d.chance(3)) {
      const lengths = Array.from({ length: batch }, () => d.integer(1, steps));
      lengths[0] = steps;
      d.input(d.values('i32', [batch], lengths));
    } else {
      d.skip();
    }
    if (d.chance()) d.input(d.tensor(type, state, small));
    else d.skip();
    if (gates === 4) {
      if (d.chance()) d.input(d.tensor(type, state, small));
      else d.skip();
      if (d.chance(3)) d.input(d.tensor(type, [n, 3 * hidden], small));
      if (d.chance(4)) d.int('input_forget', 1);
    }
    if (gates === 3) d.maybeInt('linear_before_reset', 0, () => d.pick(0, 1));
    if (d.chance(3)) d.float('clip', d.integer(2, 8) / 4);
    if (d.chance(3)) activations(d, n * { 1: 1, 3: 2, 4: 3 }[gates]);
    const outputs = gates === 4 ? 3 : 2;
    const kept = Array.from({ length: outputs }, () => !d.chance(3));
    if (!kept.includes(true)) kept[0] = true;
    while (!kept.at(-1)) kept.pop();
    for (const one of kept) one ? d.output(type) : d.noOutput();
  };
}

function activations(d, many) {
  const names = Array.from({ length: many }, () =>
    d.pick(
      'Sigmoid',
      'Tanh',
      'Relu',
      'HardSigmoid',
      'Softsign',
      'LeakyRelu',
      'ScaledTanh',
      'Affine',
      'Elu',
      'ThresholdedRelu',
      'Softplus',
    ),
  );
  d.attributes.activations = { strings: names };
  const usesAlpha = ['HardSigmoid', 'LeakyRelu', 'ScaledTanh', 'Affine', 'Elu', 'ThresholdedRelu'];
  const usesBeta = ['HardSigmoid', 'ScaledTanh', 'Affine'];
  const floats = (list, value) => list.map(() => Math.fround(value));
  const alpha = names.filter((name) => usesAlpha.includes(name));
  const beta = names.filter((name) => usesBeta.includes(name));
  if (alpha.length > 0) d.attributes.activation_alpha = { floats: floats(alpha, 0.3) };
  if (beta.length > 0) d.attributes.activation_beta = { floats: floats(beta, 0.4) };
}

function windowed(d) {
  const size = d.values(d.type('T1'), [], [d.integer(1, 40)]);
  d.shapeInput(size);
  d.maybeInt('periodic', 1, () => d.pick(1, 0));
  const type = d.chance() ? d.type('T2', ['f32', 'f16', 'f64', 'bf16']) : 'f32';
  if (type !== 'f32') d.int('output_datatype', { f16: 10, f64: 11, bf16: 16 }[type]);
  d.output(type);
}

export const recurrences = {
  RNN: recurrent(1),
  GRU: recurrent(3),
  LSTM: recurrent(4),

  HannWindow: windowed,
  HammingWindow: windowed,
  BlackmanWindow: windowed,
  DFT: (d) => {
    const type = d.type('T1');
    const inverse = d.maybeInt('inverse', 0, () => d.pick(0, 1));
    const onesided = !inverse && d.chance() ? d.int('onesided', 1) : 0;
    const rank = d.integer(1, 3);
    const dims = Array.from({ length: rank + 1 }, (_, i) =>
      i === 0 ? d.integer(1, 3) : d.integer(1, 17),
    );
    d.input(d.tensor(type, [...dims, onesided || (!inverse && d.chance()) ? 1 : 2]));
    const axis = d.chance() ? d.integer(1, rank) : undefined;
    const length = d.chance(3) ? d.integer(1, 20) : undefined;
    if (length !== undefined) d.shapeInput(d.values(d.type('T2'), [], [length]));
    else d.skip();
    const written = axis !== undefined && d.chance() ? axis - rank - 2 : axis;
    if (d.version < 20) {
      if (axis !== undefined) d.int('axis', axis);
    } else if (axis !== undefined) {
      d.input(d.i64([written], []), { constant: true });
    }
    d.output(type);
  },
  STFT: (d) => {
    const type = d.type('T1');
    const [batch, frame, step] = [d.integer(1, 2), d.integer(2, 16), d.integer(1, 5)];
    const length = frame + d.integer(0, 30);
    const onesided = d.maybeInt('onesided', 1, () => d.pick(1, 0));
    d.input(d.tensor(type, [batch, length, onesided || d.chance() ? 1 : 2]));
    const kind = d.type('T2');
    d.shapeInput(d.values(kind, [], [step]));
    const withWindow = d.chance();
    if (withWindow) d.input(d.tensor(type, [frame], { low: 0, high: 1 }));
    else d.skip();
    if (!withWindow || d.chance()) d.shapeInput(d.values(kind, [], [frame]));
    d.output(type);
  },
  MelWeightMatrix: (d) => {
    const kind = d.type('T1');
    const rate = d.pick(8000, 16000);
    d.shapeInput(d.values(kind, [], [d.integer(1, 12)]));
    d.shapeInput(d.values(kind, [], [d.integer(4, 64)]));
    d.shapeInput(d.values(kind, [], [rate]));
    d.input(d.values('f32', [], [d.integer(0, 200)]));
    d.input(d.values('f32', [], [rate / 2 - d.integer(0, 1000)]));
    d.output('f32');
  },

  RotaryEmbedding: (d) => {
    const type = d.type('T');
    const [batch, heads, steps, size] = [
      d.integer(1, 2),
      d.integer(1, 3),
      d.integer(1, 5),
      2 * d.integer(1, 4),
    ];
    const flat = d.chance();
    d.input(d.tensor(type, flat ? [batch, steps, heads * size] : [batch, heads, steps, size]));
    if (flat) d.int('num_heads', heads);
    const partial = size > 2 && d.chance(3) ? d.int('rotary_embedding_dim', 2) : size;
    const positions = d.chance();
    const table = positions ? [steps + 3, partial / 2] : [batch, steps, partial / 2];
    d.input(d.tensor(type, table, { low: -1, high: 1 }));
    d.input(d.tensor(type, table, { low: -1, high: 1 }));
    if (positions) {
      d.input(
        d.i64(
          Array.from({ length: batch * steps }, () => d.integer(0, steps + 2)),
          [batch, steps],
        ),
      );
    }
    d.maybeInt('interleaved', 0, () => d.pick(0, 1));
    d.output(type);
  },
  Attention: (d) => {
    const type = d.type('T1');
    const [batch, steps, keys, size] = [
      d.integer(1, 2),
      d.integer(1, 5),
      d.integer(1, 6),
      d.integer(1, 8),
    ];
    const [heads, values] = [d.integer(1, 3), d.integer(1, 8)];
    const queries = heads * d.pick(1, 1, 2);
    const flat = d.chance(3);
    const shape = (many, length, width) =>
      flat ? [batch, length, many * width] : [batch, many, length, width];
    if (flat) {
      d.int('q_num_heads', queries);
      d.int('kv_num_heads', heads);
    }
    d.input(d.tensor(type, shape(queries, steps, size)));
    d.input(d.tensor(type, shape(heads, keys, size)));
    const other = d.chance(4) ? d.type('T2') : type;
    d.input(d.tensor(other, shape(heads, keys, values)));
    const past = d.chance(4) ? d.integer(1, 3) : 0;
    const total = keys + past;
    if (d.chance()) {
      const dims = d.pick([steps, total], [1, 1, steps, total], [batch, queries, steps, total]);
      d.input(d.tensor(d.pick(type, 'bool', d.type('U')), dims));
      // A row without any key is not defined.
      const mask = d.tensors.at(-1).tensor;
      if (mask.dtype === 'bool') mask.values = mask.values.map((v, i) => (i % total === 0 ? 1 : v));
    } else {
      d.skip();
    }
    if (past > 0) {
      d.input(d.tensor(type, [batch, heads, past, size]));
      d.input(d.tensor(other, [batch, heads, past, values]));
    }
    // Of one query behind a cache ONNX Runtime hides no key, be there later ones among the new.
    const hidden = past > 0 && steps === 1 && keys > 1;
    if (!hidden) d.maybeInt('is_causal', 0, () => d.pick(0, 1));
    d.maybeFloat('scale', 0.25, 1);
    if (d.chance(3)) d.float('softcap', d.integer(1, 8));
    d.output(type);
    if (past > 0) {
      d.output(type);
      d.output(other);
    }
  },
  LinearAttention: (d) => {
    const [type, state] = [d.type('T'), d.type('S')];
    const [batch, steps, size, values] = [
      d.integer(1, 2),
      d.integer(1, 5),
      d.integer(1, 9),
      d.integer(1, 6),
    ];
    const heads = d.integer(1, 3);
    const queries = heads * d.pick(1, 1, 2);
    d.int('q_num_heads', queries);
    d.int('kv_num_heads', heads);
    const rule = d.pick('linear', 'gated', 'delta', 'gated_delta');
    if (rule !== 'gated_delta' || d.chance()) d.string('update_rule', rule);
    d.maybeFloat('scale', 0.25, 1);
    const small = { low: -0.6, high: 0.6 };
    const row = (width) => d.input(d.tensor(type, [batch, steps, width], small));
    row(queries * size);
    row(heads * size);
    row(heads * values);
    const past = d.chance();
    if (past) d.input(d.tensor(state, [batch, heads, size, values], small));
    else d.skip();
    if (rule.startsWith('gated')) row(d.pick(heads, heads * size));
    else d.skip();
    if (rule.endsWith('delta')) row(d.pick(heads, 1));
    d.output(type);
    d.output(past ? state : type);
  },
  CausalConvWithState: (d) => {
    const type = d.type('T');
    const [batch, channels, length, width] = [
      d.integer(1, 3),
      d.integer(1, 6),
      d.integer(1, 9),
      d.integer(1, 5),
    ];
    d.input(d.tensor(type, [batch, channels, length]));
    d.input(d.tensor(type, [channels, 1, width]));
    if (d.chance()) d.input(d.tensor(type, [channels]));
    else d.skip();
    if (d.chance()) d.input(d.tensor(type, [batch, channels, width - 1]));
    if (d.chance()) d.string('activation', d.pick('none', 'silu', 'swish'));
    d.output(type);
    d.output(type);
  },
};
