// Control flow and sequences inside each other, against onnxruntime-node, on every device. Each
// model runs with several inputs, so that branches, trip counts and lengths differ.

import { beforeAll, expect, test } from 'vitest';
import { load, type Model } from '../../runtime/src/node.js';
import { feedsOf, valuesOf } from '../browser/run-model.js';
import { compare, webgpuTolerance } from '../support/compare.js';
import { dawnGpu } from '../support/dawn.js';
import {
  node,
  tensor,
  value,
  writeModel,
  type AttributeSpec,
  type GraphSpec,
  type NodeSpec,
  type ValueSpec,
} from '../support/onnx.js';
import type { Tensors, TensorValue } from '../support/pb.js';
import { Reference } from '../support/reference.js';

beforeAll(async () => void (await dawnGpu()));

interface Case {
  graph: GraphSpec;
  /** Inputs of each run. */
  runs: TensorValue[][];
  opset?: number;
}

const floats = (name: string, dims: number[], seed = 1): TensorValue =>
  tensor(
    name,
    'f32',
    dims,
    Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(7 * seed + i)),
  );
const integer = (name: string, of: number): TensorValue => tensor(name, 'i64', [], [of]);
const list = (name: string, of: number[]): TensorValue => tensor(name, 'i64', [of.length], of);
const flag = (name: string, of: boolean): TensorValue => tensor(name, 'bool', [], [of ? 1 : 0]);
const number = (name: string, of: number): TensorValue => tensor(name, 'f32', [], [of]);

/** A body: inputs and outputs as names with types. */
const body = (
  nodes: NodeSpec[],
  inputs: ValueSpec[],
  outputs: ValueSpec[],
  initializers: TensorValue[] = [],
): { graph: GraphSpec } => ({ graph: { nodes, inputs, outputs, initializers } });
/** Inputs that every Loop body begins with. */
const turn = (prefix = ''): ValueSpec[] => [
  value(`${prefix}i`, 'i64', []),
  value(`${prefix}going`, 'bool', []),
];
const sequence = (name: string): ValueSpec => ({
  name,
  type: { kind: 'sequence', element: { kind: 'tensor', dtype: 'f32', dims: undefined } },
});

/** Scales x by 2 where its sum is positive, else takes 1 from it. */
const bend = (from: string, to: string, prefix = ''): NodeSpec[] => [
  node('ReduceSum', [from], [`${prefix}sum`], { keepdims: { int: 0 } }),
  node('Greater', [`${prefix}sum`, 'zero'], [`${prefix}positive`]),
  node('If', [`${prefix}positive`], [to], {
    then_branch: body(
      [node('Mul', [from, 'two'], [`${prefix}t`])],
      [],
      [value(`${prefix}t`, 'f32')],
    ),
    else_branch: body(
      [node('Sub', [from, 'one'], [`${prefix}e`])],
      [],
      [value(`${prefix}e`, 'f32')],
    ),
  }),
];
const constants = [number('zero', 0), number('one', 1), number('two', 2)];

const scanBody = (): AttributeSpec =>
  body(
    [
      node('Add', ['state', 'a'], ['sum']),
      node('Mul', ['sum', 'b'], ['scaled']),
      node('Max', ['top', 'scaled'], ['higher']),
      node('Concat', ['sum', 'scaled'], ['both'], { axis: { int: 0 } }),
    ],
    [
      value('state', 'f32', [3]),
      value('top', 'f32', [3]),
      value('a', 'f32', [3]),
      value('b', 'f32', [3]),
    ],
    [
      value('sum', 'f32', [3]),
      value('higher', 'f32', [3]),
      value('both', 'f32', [6]),
      value('scaled', 'f32', [3]),
    ],
  );

const cases: Record<string, Case> = {
  'If in a Loop, on data, with rows collected': {
    graph: {
      initializers: [...constants, flag('yes', true)],
      nodes: [
        node('Loop', ['trips', 'yes', 'x'], ['last', 'rows'], {
          body: body(
            [
              ...bend('v', 'next'),
              node('Identity', ['going'], ['go']),
              node('Neg', ['next'], ['r']),
            ],
            [...turn(), value('v', 'f32', [4])],
            [value('go', 'bool', []), value('next', 'f32', [4]), value('r', 'f32', [4])],
          ),
        }),
      ],
      inputs: [value('trips', 'i64', []), value('x', 'f32', [4])],
      outputs: [value('last', 'f32'), value('rows', 'f32')],
    },
    runs: [3, 0, 5].map((n) => [integer('trips', n), floats('x', [4], n + 1)]),
  },
  'a Loop in a Loop, both trip counts from data, with captures of both': {
    graph: {
      initializers: [flag('yes', true), integer('step', 1)],
      nodes: [
        node('Loop', ['outer', 'yes', 'x'], ['y', 'sums'], {
          body: body(
            [
              node('Add', ['i', 'step'], ['inner']),
              node('Cast', ['i'], ['turn'], { to: { int: 1 } }),
              node('Loop', ['inner', '', 'v'], ['w'], {
                body: body(
                  [
                    node('Mul', ['u', 'scale'], ['scaled']),
                    node('Add', ['scaled', 'turn'], ['moved']),
                    node('Identity', ['jgoing'], ['jgo']),
                  ],
                  [...turn('j'), value('u', 'f32', [2, 2])],
                  [value('jgo', 'bool', []), value('moved', 'f32', [2, 2])],
                ),
              }),
              node('ReduceSum', ['w'], ['s'], { keepdims: { int: 0 } }),
              node('Identity', ['going'], ['go']),
            ],
            [...turn(), value('v', 'f32', [2, 2])],
            [value('go', 'bool', []), value('w', 'f32', [2, 2]), value('s', 'f32', [])],
          ),
        }),
      ],
      inputs: [value('outer', 'i64', []), value('x', 'f32', [2, 2]), value('scale', 'f32', [])],
      outputs: [value('y', 'f32'), value('sums', 'f32')],
    },
    runs: [2, 4, 1].map((n) => [integer('outer', n), floats('x', [2, 2], n), number('scale', 0.5)]),
  },
  'a Loop that its condition ends, growing a value': {
    graph: {
      initializers: [flag('yes', true), number('limit', 6), ...constants],
      nodes: [
        node('Loop', ['', 'yes', 'x'], ['all'], {
          body: body(
            [
              node('Concat', ['v', 'x'], ['longer'], { axis: { int: 0 } }),
              node('ReduceSumSquare', ['longer'], ['energy'], { keepdims: { int: 0 } }),
              node('Less', ['energy', 'limit'], ['go']),
            ],
            [...turn(), value('v', 'f32', ['n'])],
            [value('go', 'bool', []), value('longer', 'f32', ['m'])],
          ),
        }),
      ],
      inputs: [value('x', 'f32', ['k'])],
      outputs: [value('all', 'f32')],
    },
    runs: [2, 3, 9].map((n) => [floats('x', [n], n)]),
  },
  'If in If, branches of unlike shapes': {
    graph: {
      initializers: [...constants, list('front', [0])],
      nodes: [
        node('If', ['a'], ['y'], {
          then_branch: body(
            [
              node('Add', ['x', 'one'], ['x1']),
              node('If', ['b'], ['yy'], {
                then_branch: body(
                  [node('Unsqueeze', ['x1', 'front'], ['p'])],
                  [],
                  [value('p', 'f32')],
                ),
                else_branch: body([node('Mul', ['x1', 'x'], ['q'])], [], [value('q', 'f32')]),
              }),
            ],
            [],
            [value('yy', 'f32')],
          ),
          else_branch: body([...bend('x', 'z', 'in_')], [], [value('z', 'f32')]),
        }),
        node('Exp', ['y'], ['out']),
      ],
      inputs: [value('a', 'bool', []), value('b', 'bool', []), value('x', 'f32', ['n'])],
      outputs: [value('out', 'f32')],
    },
    runs: [
      [true, true],
      [true, false],
      [false, true],
    ].map(([a, b], i) => [flag('a', a!), flag('b', b!), floats('x', [i + 2], i)]),
  },
  'Scan: two states, directions and axes': {
    graph: {
      nodes: [
        node('Scan', ['s', 't', 'p', 'q'], ['s_out', 't_out', 'both_out', 'scaled_out'], {
          body: scanBody(),
          num_scan_inputs: { int: 2 },
          scan_input_axes: { ints: [1, -1] },
          scan_input_directions: { ints: [0, 1] },
          scan_output_axes: { ints: [0, 1] },
          scan_output_directions: { ints: [1, 0] },
        }),
      ],
      inputs: [
        value('s', 'f32', [3]),
        value('t', 'f32', [3]),
        value('p', 'f32', [3, 'n']),
        value('q', 'f32', [3, 'n']),
      ],
      outputs: ['s_out', 't_out', 'both_out', 'scaled_out'].map((name) => value(name, 'f32')),
    },
    runs: [4, 1, 7].map((n) => [
      floats('s', [3], n),
      floats('t', [3], n + 1),
      floats('p', [3, n], n + 2),
      floats('q', [3, n], n + 3),
    ]),
  },
  'Scan of opset 8, with a batch': {
    opset: 8,
    graph: {
      nodes: [
        node('Scan', ['', 's', 't', 'p', 'q'], ['s_out', 't_out', 'both_out', 'scaled_out'], {
          body: scanBody(),
          num_scan_inputs: { int: 2 },
          directions: { ints: [0, 1] },
        }),
      ],
      inputs: [
        value('s', 'f32', [2, 3]),
        value('t', 'f32', [2, 3]),
        value('p', 'f32', [2, 5, 3]),
        value('q', 'f32', [2, 5, 3]),
      ],
      outputs: ['s_out', 't_out', 'both_out', 'scaled_out'].map((name) => value(name, 'f32')),
    },
    runs: [
      [
        floats('s', [2, 3]),
        floats('t', [2, 3], 2),
        floats('p', [2, 5, 3], 3),
        floats('q', [2, 5, 3], 4),
      ],
    ],
  },
  'Scan of opset 8, with the lengths of a batch': {
    opset: 8,
    graph: {
      nodes: [
        node(
          'Scan',
          ['lengths', 's', 't', 'p', 'q'],
          ['s_out', 't_out', 'both_out', 'scaled_out'],
          {
            body: scanBody(),
            num_scan_inputs: { int: 2 },
            directions: { ints: [0, 1] },
          },
        ),
      ],
      inputs: [
        value('lengths', 'i64', [2]),
        value('s', 'f32', [2, 3]),
        value('t', 'f32', [2, 3]),
        value('p', 'f32', [2, 5, 3]),
        value('q', 'f32', [2, 5, 3]),
      ],
      outputs: ['s_out', 't_out', 'both_out', 'scaled_out'].map((name) => value(name, 'f32')),
    },
    runs: [
      [
        list('lengths', [5, 3]),
        floats('s', [2, 3]),
        floats('t', [2, 3], 2),
        floats('p', [2, 5, 3], 3),
        floats('q', [2, 5, 3], 4),
      ],
    ],
  },
  'a Scan in a Loop, with an If on data inside': {
    graph: {
      initializers: [...constants, flag('yes', true)],
      nodes: [
        node('Loop', ['trips', 'yes', 'x'], ['last'], {
          body: body(
            [
              node('Scan', ['v', 'rows'], ['next', 'seen'], {
                body: body(
                  [
                    node('Add', ['c', 'row'], ['moved']),
                    ...bend('moved', 'bent', 's_'),
                    node('Abs', ['bent'], ['kept']),
                  ],
                  [value('c', 'f32', [3]), value('row', 'f32', [3])],
                  [value('bent', 'f32', [3]), value('kept', 'f32', [3])],
                ),
                num_scan_inputs: { int: 1 },
              }),
              node('Identity', ['going'], ['go']),
            ],
            [...turn(), value('v', 'f32', [3])],
            [value('go', 'bool', []), value('next', 'f32', [3])],
          ),
        }),
      ],
      inputs: [value('trips', 'i64', []), value('x', 'f32', [3]), value('rows', 'f32', ['n', 3])],
      outputs: [value('last', 'f32')],
    },
    runs: [
      [2, 3],
      [3, 1],
    ].map(([trips, n]) => [integer('trips', trips!), floats('x', [3]), floats('rows', [n!, 3], n)]),
  },
  'a Loop that fills a sequence, joined at its end': {
    graph: {
      initializers: [flag('yes', true)],
      nodes: [
        node('SequenceEmpty', [], ['none'], { dtype: { int: 1 } }),
        node('Loop', ['trips', 'yes', 'x', 'none'], ['last', 'pieces'], {
          body: body(
            [
              node('Concat', ['v', 'x'], ['longer'], { axis: { int: 0 } }),
              node('SequenceInsert', ['s', 'v'], ['more']),
              node('Identity', ['going'], ['go']),
            ],
            [...turn(), value('v', 'f32', ['n', 2]), sequence('s')],
            [value('go', 'bool', []), value('longer', 'f32', ['m', 2]), sequence('more')],
          ),
        }),
        node('ConcatFromSequence', ['pieces'], ['all'], { axis: { int: 0 } }),
        node('SequenceAt', ['pieces', 'at'], ['one_piece']),
        node('SequenceLength', ['pieces'], ['count']),
      ],
      inputs: [value('trips', 'i64', []), value('at', 'i64', []), value('x', 'f32', ['k', 2])],
      outputs: [value('all', 'f32'), value('one_piece', 'f32'), value('count', 'i64')],
    },
    runs: [
      [3, 1, 2],
      [1, 0, 1],
      [4, -1, 1],
    ].map(([trips, at, n]) => [
      integer('trips', trips!),
      integer('at', at!),
      floats('x', [n!, 2], n),
    ]),
  },
  'SequenceMap over two sequences, with a tensor for all and an If inside': {
    graph: {
      initializers: [...constants, list('halves', [2, 3]), integer('where', 1)],
      nodes: [
        node('SplitToSequence', ['x', 'halves'], ['parts'], { axis: { int: 0 } }),
        node('SplitToSequence', ['z', 'halves'], ['others'], { axis: { int: 0 } }),
        node('SequenceMap', ['parts', 'others', 'shift'], ['mapped', 'sums'], {
          body: body(
            [
              node('Mul', ['part', 'other'], ['product']),
              node('Add', ['product', 'each'], ['moved']),
              ...bend('moved', 'bent', 'm_'),
              node('ReduceMax', ['bent'], ['peak'], { axes: { ints: [1] } }),
            ],
            [value('part', 'f32'), value('other', 'f32'), value('each', 'f32')],
            [value('bent', 'f32'), value('peak', 'f32')],
          ),
        }),
        node('SequenceErase', ['mapped', 'where'], ['fewer']),
        node('ConcatFromSequence', ['fewer'], ['y'], { axis: { int: 0 } }),
        node('ConcatFromSequence', ['sums'], ['peaks'], { axis: { int: 0 } }),
      ],
      inputs: [value('x', 'f32', [5, 3]), value('z', 'f32', [5, 3]), value('shift', 'f32', [3])],
      outputs: [value('y', 'f32'), value('peaks', 'f32')],
    },
    runs: [1, 2].map((seed) => [
      floats('x', [5, 3], seed),
      floats('z', [5, 3], seed + 1),
      floats('shift', [3], seed + 2),
    ]),
  },
};

/** Runs of a model on one device. */
async function runsOf(model: Model, runs: TensorValue[][]): Promise<Tensors[]> {
  const results: Tensors[] = [];
  for (const inputs of runs) {
    const named = Object.fromEntries(inputs.map((input) => [input.name, input]));
    results.push(valuesOf(await model.run(feedsOf(named))));
  }
  return results;
}

test.each(Object.entries(cases))('%s', async (_name, { graph, runs, opset }) => {
  const bytes = writeModel({ opsets: { '': opset ?? 17 }, graph });
  const reference = await Reference.load(bytes);
  const wanted: Tensors[] = [];
  for (const inputs of runs) {
    wanted.push(
      await reference.run(Object.fromEntries(inputs.map((input) => [input.name, input]))),
    );
  }
  await reference.release();
  for (const device of ['wasm', 'webgpu'] as const) {
    for (const passes of [true, false]) {
      const model = await load(bytes, { device, passes });
      const results = await runsOf(model, runs);
      model.dispose();
      for (const [i, result] of results.entries()) {
        for (const [name, expected] of Object.entries(wanted[i]!)) {
          const { message } = compare(expected, result[name]!, webgpuTolerance);
          expect(message, `${device}, run ${i}`).toBe('');
        }
      }
    }
  }
});
