// The domain ai.onnx.ml: src/ops/ml.

import { count } from '../draw.mjs';

export const learnedDomain = 'ai.onnx.ml';

const floats = (d, n, low = -8, high = 8) =>
  Array.from({ length: n }, () => d.integer(low, high) / 4);
const numbers = ['f32', 'f64', 'i64', 'i32'];
const transforms = ['NONE', 'SOFTMAX', 'LOGISTIC', 'SOFTMAX_ZERO'];

function features(d, { rows = d.integer(1, 6), columns = d.integer(1, 6), types = numbers } = {}) {
  const type = d.pick(...types);
  d.input(d.tensor(type, [rows, columns]), { constant: false });
  return { type, rows, columns };
}

/** Trees of up to three levels over `columns` features; `leaf` adds what a leaf says. */
function trees(d, columns, leaf) {
  const nodes = { treeids: [], nodeids: [], featureids: [], values: [], modes: [] };
  Object.assign(nodes, { truenodeids: [], falsenodeids: [], missing: [] });
  const many = d.integer(1, 3);
  for (let tree = 0; tree < many; ++tree) {
    let next = 0;
    const grow = (level) => {
      const id = next++;
      const at = nodes.treeids.length;
      const branches = level < 3 && !d.chance(3);
      nodes.treeids.push(tree);
      nodes.nodeids.push(id);
      nodes.featureids.push(branches ? d.integer(0, columns - 1) : 0);
      nodes.values.push(branches ? d.integer(-6, 6) / 4 + 0.01 : 0);
      const mode = d.pick('BRANCH_LEQ', 'BRANCH_LT', 'BRANCH_GT', 'BRANCH_GTE', 'BRANCH_NEQ');
      nodes.modes.push(branches ? mode : 'LEAF');
      nodes.missing.push(branches ? d.integer(0, 1) : 0);
      nodes.truenodeids.push(0);
      nodes.falsenodeids.push(0);
      if (!branches) {
        leaf(tree, id);
        return id;
      }
      nodes.truenodeids[at] = grow(level + 1);
      nodes.falsenodeids[at] = grow(level + 1);
      return id;
    };
    grow(0);
  }
  d.ints('nodes_treeids', nodes.treeids);
  d.ints('nodes_nodeids', nodes.nodeids);
  d.ints('nodes_featureids', nodes.featureids);
  d.attributes.nodes_values = { floats: nodes.values };
  d.attributes.nodes_modes = { strings: nodes.modes };
  d.ints('nodes_truenodeids', nodes.truenodeids);
  d.ints('nodes_falsenodeids', nodes.falsenodeids);
  if (d.chance()) d.ints('nodes_missing_value_tracks_true', nodes.missing);
}

export const learned = {
  ArrayFeatureExtractor: (d) => {
    const dims = d.dims({ least: 1, most: 4, zero: false });
    const type = d.pick(...numbers, 'string');
    d.input(d.tensor(type, dims));
    const many = d.integer(1, 5);
    d.input(d.i64(Array.from({ length: many }, () => d.integer(0, dims.at(-1) - 1))));
    d.output(type);
  },
  Binarizer: (d) => {
    const type = d.pick('f32', 'f64', 'i64', 'i32');
    d.input(d.tensor(type, d.dims({ least: 1 })));
    d.maybeFloat('threshold', -1, 1);
    d.output(type);
  },
  FeatureVectorizer: (d) => {
    const type = d.pick(...numbers);
    const rows = d.integer(1, 4);
    const widths = Array.from({ length: d.integer(1, 4) }, () => d.integer(1, 4));
    for (const width of widths) d.input(d.tensor(type, [rows, width]));
    d.ints('inputdimensions', widths);
    d.output('f32');
  },
  Imputer: (d) => {
    const floating = d.chance();
    const type = floating ? d.pick('f32', 'f64') : 'i64';
    const { columns } = features(d, { types: [type] });
    const many = d.pick(1, columns);
    if (floating) {
      const { values } = d.tensors[0].tensor;
      for (let i = 0; i < values.length; i += 3) values[i] = NaN;
      d.attributes.imputed_value_floats = { floats: floats(d, many) };
      d.float('replaced_value_float', NaN);
    } else {
      d.ints(
        'imputed_value_int64s',
        floats(d, many).map((x) => 4 * x),
      );
      d.int('replaced_value_int64', d.integer(-2, 2));
    }
    d.output(type);
  },
  LabelEncoder: (d) => {
    const kinds = { i64: 'int64s', f32: 'floats', string: 'strings' };
    const form = d.pick(
      'i64 f32',
      'f32 i64',
      'i64 i64',
      'f32 f32',
      'string i64',
      'i64 string',
      'string f32',
      'string string',
    );
    const [from, to] = form.split(' ');
    const many = d.integer(1, 6);
    const listed = (type, of) => {
      const list = Array.from({ length: many }, (_, i) => of(i));
      if (type === 'string') return { strings: list.map((x) => `s${x}`) };
      return type === 'i64' ? { ints: list } : { floats: list };
    };
    d.attributes[`keys_${kinds[from]}`] = listed(from, (i) => i - 1);
    d.attributes[`values_${kinds[to]}`] = listed(to, () => d.integer(-5, 5));
    if (d.chance()) {
      if (to === 'i64') d.int('default_int64', d.integer(-3, 3));
      else if (to === 'f32') d.float('default_float', d.integer(-3, 3));
      else d.string('default_string', 'none');
    }
    const dims = d.dims({ least: 1, most: 3 });
    const values = Array.from({ length: count(dims) }, () => d.integer(-2, 6));
    d.input(d.values(from, dims, from === 'string' ? values.map((x) => `s${x}`) : values));
    d.output(to);
  },
  LinearRegressor: (d) => {
    const { columns } = features(d, { types: ['f32'] });
    const targets = d.integer(1, 3);
    if (targets > 1 || d.chance()) d.int('targets', targets);
    d.attributes.coefficients = { floats: floats(d, targets * columns) };
    if (d.chance()) d.attributes.intercepts = { floats: floats(d, targets) };
    if (d.chance(3)) d.string('post_transform', d.pick(...transforms));
    d.output('f32');
  },
  LinearClassifier: (d) => {
    const { columns } = features(d);
    const classes = d.integer(2, 4);
    d.ints(
      'classlabels_ints',
      Array.from({ length: classes }, (_, i) => i * 3 - 1),
    );
    d.attributes.coefficients = { floats: floats(d, classes * columns) };
    d.attributes.intercepts = { floats: floats(d, classes).map((x, i) => x + i / 64) };
    if (d.chance()) d.int('multi_class', d.integer(0, 1));
    if (d.chance()) d.string('post_transform', d.pick(...transforms));
    d.output('i64');
    d.output('f32');
  },
  Normalizer: (d) => {
    features(d);
    if (d.chance()) d.string('norm', d.pick('MAX', 'L1', 'L2'));
    d.output('f32');
  },
  OneHotEncoder: (d) => {
    const type = d.pick('i64', 'f32', 'string');
    const dims = d.dims({ least: 1, most: 3 });
    const values = Array.from({ length: count(dims) }, () => d.integer(0, 4));
    d.input(d.values(type, dims, type === 'string' ? values.map((x) => `s${x}`) : values));
    if (type === 'string') d.attributes.cats_strings = { strings: ['s0', 's1', 's2', 's3', 's4'] };
    else d.ints('cats_int64s', [0, 1, 2, 3, 4]);
    d.maybeInt('zeros', 1, () => 1);
    d.output('f32');
  },
  Scaler: (d) => {
    const { columns } = features(d);
    const many = d.pick(1, columns);
    d.attributes.offset = { floats: floats(d, many) };
    d.attributes.scale = { floats: floats(d, many) };
    d.output('f32');
  },
  TreeEnsembleRegressor: (d) => {
    const { columns } = features(d, { types: ['f32', 'f64', 'i64'] });
    const targets = d.integer(1, 3);
    const leaves = { treeids: [], nodeids: [], ids: [], weights: [] };
    trees(d, columns, (tree, node) => {
      leaves.treeids.push(tree);
      leaves.nodeids.push(node);
      leaves.ids.push(d.integer(0, targets - 1));
      leaves.weights.push(d.integer(-8, 8) / 4);
    });
    d.int('n_targets', targets);
    d.ints('target_treeids', leaves.treeids);
    d.ints('target_nodeids', leaves.nodeids);
    d.ints('target_ids', leaves.ids);
    d.attributes.target_weights = { floats: leaves.weights };
    if (targets === 1 && d.chance()) {
      d.string('aggregate_function', d.pick('SUM', 'AVERAGE', 'MIN', 'MAX'));
    }
    // ONNX Runtime leaves out the base of a target that no leaf has.
    if (targets === 1 && d.chance()) d.attributes.base_values = { floats: floats(d, targets) };
    d.output('f32');
  },
  TreeEnsembleClassifier: (d) => {
    const { columns } = features(d, { types: ['f32', 'f64', 'i64', 'i32'] });
    // Of two classes ONNX Runtime takes the label to be 0 or 1, whatever the labels are.
    const classes = d.integer(3, 4);
    const leaves = { treeids: [], nodeids: [], ids: [], weights: [] };
    trees(d, columns, (tree, node) => {
      for (let id = 0; id < classes; ++id) {
        leaves.treeids.push(tree);
        leaves.nodeids.push(node);
        leaves.ids.push(id);
        leaves.weights.push(d.integer(0, 9) / 8 + id / 64 + tree / 512);
      }
    });
    d.ints(
      'classlabels_int64s',
      Array.from({ length: classes }, (_, i) => i * 2),
    );
    d.ints('class_treeids', leaves.treeids);
    d.ints('class_nodeids', leaves.nodeids);
    d.ints('class_ids', leaves.ids);
    d.attributes.class_weights = { floats: leaves.weights };
    if (d.chance()) d.string('post_transform', d.pick(...transforms));
    d.output('i64');
    d.output('f32');
  },
};
