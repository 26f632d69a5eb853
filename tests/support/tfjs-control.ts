// Control flow of TensorFlow: functions, frames, branches, lists.

import { bool, func, funcs, int, shape, text, type, type Attr, type Sample } from './tfjs.js';
import type { CaseGraph } from './tfjs-cases.js';

const f32 = type('DT_FLOAT');
const i32 = type('DT_INT32');

/** Loops and branches, of both kinds. */
export function control(g: CaseGraph): void {
  g.begin('while');
  const argument = (name: string, kind: string): object => ({ name, type: kind });
  const node = (name: string, op: string, input: string[], attr: Record<string, Attr> = {}) => ({
    name,
    op,
    input,
    attr,
  });
  g.constant('body_one', { dtype: 'int32', dims: [], data: Int32Array.of(1) });
  g.constant('cond_limit', { dtype: 'int32', dims: [], data: Int32Array.of(4) });
  g.nodes.splice(g.nodes.length - 2, 2); // they are the functions' own
  g.functions.push(
    {
      signature: {
        name: 'cond',
        inputArg: [argument('i', 'DT_INT32'), argument('v', 'DT_FLOAT')],
        outputArg: [argument('z', 'DT_BOOL')],
      },
      nodeDef: [
        node('cond_limit', 'Const', [], { dtype: i32 }),
        node('less', 'Less', ['i', 'cond_limit:output:0'], { T: i32 }),
      ],
      ret: { z: 'less:z:0' },
    },
    {
      signature: {
        name: 'body',
        inputArg: [argument('i', 'DT_INT32'), argument('v', 'DT_FLOAT')],
        outputArg: [argument('a', 'DT_INT32'), argument('b', 'DT_FLOAT')],
      },
      nodeDef: [
        node('body_one', 'Const', [], { dtype: i32 }),
        node('next', 'AddV2', ['i', 'body_one:output:0'], { T: i32 }),
        node('twice', 'AddV2', ['v', 'v'], { T: f32 }),
      ],
      ret: { a: 'next:z:0', b: 'twice:z:0' },
    },
    {
      signature: {
        name: 'then',
        inputArg: [argument('v', 'DT_FLOAT')],
        outputArg: [argument('r', 'DT_FLOAT')],
      },
      nodeDef: [node('n', 'Neg', ['v'], { T: f32 })],
      ret: { r: 'n:y:0' },
    },
    {
      signature: {
        name: 'else',
        inputArg: [argument('v', 'DT_FLOAT')],
        outputArg: [argument('r', 'DT_FLOAT')],
      },
      nodeDef: [node('e', 'Exp', ['v'], { T: f32 })],
      ret: { r: 'e:y:0' },
    },
  );
  const types = { list: { type: ['DT_INT32', 'DT_FLOAT'] } };
  g.out(
    'StatelessWhile',
    [g.number(0), g.x([2, 3])],
    { cond: func('cond'), body: func('body'), T: types },
    2,
  );
  g.begin('if');
  const value = g.x([2, 3]);
  for (const limit of [-100, 100]) {
    const sum = g.op('Sum', [value, g.of([0, 1])], { keep_dims: bool(false), T: f32 });
    const test = g.op('Less', [sum, g.number(limit, 'float32')], { T: f32 });
    g.out('StatelessIf', [test, value], {
      then_branch: func('then'),
      else_branch: func('else'),
      Tcond: type('DT_BOOL'),
    });
  }
  g.begin('frames');
  const enter = (x: string, constant = false): string =>
    g.op('Enter', [x], { frame_name: text('frame'), is_constant: bool(constant), T: f32 });
  const counter = g.op('Merge', [enter(g.number(0)), 'frames/next'], { N: int(2) });
  const sum = g.op('Merge', [enter(g.x([2, 3])), 'frames/nextsum'], { N: int(2) });
  const step = enter(g.x([2, 3]), true);
  const less = g.op('Less', [counter, enter(g.number(3), true)], { T: i32 });
  const again = g.node('LoopCond', 'frames/cond', [less]);
  const counterSwitch = g.op('Switch', [counter, again]);
  const sumSwitch = g.op('Switch', [sum, again]);
  const one = g.op('Const', ['^' + counterSwitch], { dtype: i32 });
  g.constants[one] = { dtype: 'int32', dims: [], data: Int32Array.of(1) };
  const nextCounter = g.op('AddV2', [`${counterSwitch}:1`, one], { T: i32 });
  const nextSum = g.op('AddV2', [`${sumSwitch}:1`, step], { T: f32 });
  g.node('NextIteration', 'frames/next', [nextCounter]);
  g.node('NextIteration', 'frames/nextsum', [nextSum]);
  g.out('Exit', [counterSwitch]);
  g.out('Exit', [sumSwitch]);
  g.begin('branches');
  for (const limit of [-100, 100]) {
    const test = g.op(
      'Less',
      [
        g.op('Sum', [value, g.of([0, 1])], { keep_dims: bool(false), T: f32 }),
        g.number(limit, 'float32'),
      ],
      { T: f32 },
    );
    const data = g.op('Switch', [value, test]);
    const yes = g.op('Neg', [`${data}:1`], { T: f32 });
    const no = g.op('Exp', [data], { T: f32 });
    g.out('Merge', [no, yes], { N: int(2), T: f32 });
  }
  g.begin('lists');
  const list = g.op('TensorListReserve', [g.of([3]), g.number(2)], {
    element_dtype: f32,
    shape_type: i32,
  });
  const filled = g.op(
    'TensorListSetItem',
    [
      g.op('TensorListSetItem', [list, g.number(0), g.x([3], -2, 2, true)], { element_dtype: f32 }),
      g.number(1),
      g.x([3], -2, 2, true),
    ],
    { element_dtype: f32 },
  );
  g.out('TensorListStack', [filled, g.of([3])], { element_dtype: f32, num_elements: int(2) });
  const rows = g.op('TensorListFromTensor', [g.x([4, 3], -2, 2, true), g.of([3])], {
    element_dtype: f32,
    shape_type: i32,
  });
  g.out('TensorListGetItem', [rows, g.number(2), g.of([3])], { element_dtype: f32 });
  const array = g.op('TensorArrayV3', [g.number(2)], {
    dtype: f32,
    element_shape: shape([3]),
    dynamic_size: bool(false),
    clear_after_read: bool(true),
    identical_element_shapes: bool(true),
    tensor_array_name: text('a'),
  });
  const once = g.op(
    'TensorArrayWriteV3',
    [array, g.number(0), g.x([3], -2, 2, true), `${array}:1`],
    { T: f32 },
  );
  const both = g.op('TensorArrayWriteV3', [array, g.number(1), g.x([3], -2, 2, true), once], {
    T: f32,
  });
  g.out('TensorArrayGatherV3', [array, g.of([0, 1]), both], {
    dtype: f32,
    element_shape: shape([3]),
  });
}

/** What the branches of `branchesOf` compute; an index of none of them is the last one's. */
export const branchOperators = ['Neg', 'Exp', 'Square', 'Relu', 'Tanh'];

/** A Case or StatelessCase, which TensorFlow.js lacks. */
export function branchesOf(g: CaseGraph, op: string, index: number): void {
  g.begin('case');
  const chosen: Sample = { dtype: 'int32', dims: [], data: Int32Array.of(index) };
  const input = [g.placeholder('case/index', chosen), g.x([2, 3])];
  for (const name of branchOperators) {
    g.functions.push({
      signature: {
        name: `branch${name}`,
        inputArg: [{ name: 'v', type: 'DT_FLOAT' }],
        outputArg: [{ name: 'r', type: 'DT_FLOAT' }],
      },
      nodeDef: [{ name: 'y', op: name, input: ['v'], attr: { T: f32 } }],
      ret: { r: 'y:y:0' },
    });
  }
  const branches = funcs(...branchOperators.map((name) => `branch${name}`));
  g.out(op, input, { branches, Tin: { list: { type: ['DT_FLOAT'] } } });
}
