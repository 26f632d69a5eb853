// Support vector machines of ai.onnx.ml.

import { floats, integers } from './random.mjs';

const domain = 'ai.onnx.ml';
const list = (count, span) => ({ floats: [...floats([count], span).data] });

export function machines(add) {
  const kernels = {
    linear: { kernel_type: 'LINEAR', kernel_params: { floats: [0, 0, 0] } },
    poly: { kernel_type: 'POLY', kernel_params: { floats: [0.4, 0.7, 3] } },
    rbf: { kernel_type: 'RBF', kernel_params: { floats: [0.3, 0, 0] } },
    sigmoid: { kernel_type: 'SIGMOID', kernel_params: { floats: [0.2, 0.1, 0] } },
  };
  const rows = 9;
  const features = 5;

  const regressor = (name, attributes, x) =>
    add(`svm_regressor_${name}`, () => ({
      nodes: [
        { op: 'SVMRegressor', domain, inputs: ['x'], outputs: ['y'], attributes: attributes() },
      ],
      inputs: { x: x?.() ?? floats([rows, features], 2) },
      outputs: { y: 'f32' },
    }));
  for (const [name, kernel] of Object.entries(kernels)) {
    regressor(name, () => ({
      ...kernel,
      n_supports: 4,
      coefficients: list(4, 2),
      support_vectors: list(4 * features, 2),
      rho: list(1),
    }));
  }
  const plain = () => ({
    kernel_params: { floats: [0, 0, 0] },
    n_supports: 0,
    coefficients: list(features, 2),
    rho: list(1),
  });
  regressor('no_vectors', plain);
  regressor('one_class', () => ({ ...plain(), one_class: 1 }));

  const classifier = (name, attributes, x) =>
    add(`svm_classifier_${name}`, () => ({
      nodes: [
        {
          op: 'SVMClassifier',
          domain,
          inputs: ['x'],
          outputs: ['label', 'scores'],
          attributes: attributes(),
        },
      ],
      inputs: { x: x?.() ?? floats([rows, features], 2) },
      outputs: { label: 'i64', scores: 'f32' },
    }));
  const machine = (classes, { kernel = kernels.rbf, probabilities = false, transform } = {}) => {
    const vectors = Array.from({ length: classes }, (_, i) => 2 + (i % 3));
    const count = vectors.reduce((sum, n) => sum + n, 0);
    const pairs = (classes * (classes - 1)) / 2;
    return {
      ...kernel,
      classlabels_ints: Array.from({ length: classes }, (_, i) => 3 * i - 2),
      coefficients: list((classes - 1) * count, 2),
      support_vectors: list(count * features, 2),
      vectors_per_class: vectors,
      rho: list(pairs, 0.5),
      ...(probabilities && { prob_a: list(pairs, 2), prob_b: list(pairs, 0.5) }),
      ...(transform && { post_transform: transform }),
    };
  };
  for (const [name, kernel] of Object.entries(kernels)) {
    classifier(`${name}_4`, () => machine(4, { kernel }));
  }
  classifier('two', () => machine(2));
  for (const transform of ['LOGISTIC', 'SOFTMAX', 'SOFTMAX_ZERO']) {
    classifier(`two_${transform.toLowerCase()}`, () => machine(2, { transform }));
    classifier(`three_${transform.toLowerCase()}`, () => machine(3, { transform }));
  }
  classifier('two_probabilities', () => machine(2, { probabilities: true }));
  classifier('five_probabilities', () => machine(5, { probabilities: true }));
  classifier('probabilities_softmax', () =>
    machine(3, { probabilities: true, transform: 'SOFTMAX' }),
  );
  const linear = (classes, span = 2) => ({
    kernel_params: { floats: [0, 0, 0] },
    classlabels_ints: Array.from({ length: classes }, (_, i) => 10 - i),
    coefficients: list(classes * features, span),
    rho: list(1),
  });
  classifier('no_vectors_two', () => linear(2));
  classifier('no_vectors_three', () => linear(3));
  classifier('no_vectors_positive', () => {
    const attributes = linear(2);
    attributes.coefficients.floats = attributes.coefficients.floats.map(Math.abs);
    return attributes;
  });
  classifier(
    'integers',
    () => machine(3),
    () => integers('i64', [rows, features], -2, 2),
  );
  classifier(
    'one_row',
    () => machine(3),
    () => floats([1, features], 2),
  );
}
