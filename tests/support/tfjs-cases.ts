// One graph with the operators of TensorFlow that TensorFlow.js can compute, each with outputs of
// its own.

import {
  bool,
  float,
  int,
  ints,
  randomData,
  text,
  texts,
  TfGraph,
  type,
  type Attr,
  type Sample,
} from './tfjs.js';

const f32 = type('DT_FLOAT');
const i32 = type('DT_INT32');

/** Operands are numbered; placeholders unless they are constants. */
export class CaseGraph extends TfGraph {
  #count = 0;
  #prefix = '';

  /** `unknown`: placeholders declare no extents, only their rank. */
  constructor(readonly unknown = false) {
    super();
  }

  begin(name: string): void {
    this.#prefix = name;
  }

  #name(): string {
    return `${this.#prefix}/${String(this.#count++)}`;
  }

  x(dims: number[], low = -2, high = 2, fixed = false): string {
    const count = dims.reduce((product, n) => product * n, 1);
    const data = randomData(count, low, high, this.#count + 1);
    const declared = this.unknown && !fixed ? dims.map(() => -1) : dims;
    return this.placeholder(this.#name(), { dtype: 'float32', dims, data }, declared);
  }

  xi(dims: number[], low: number, high: number, fixed = false): string {
    const count = dims.reduce((product, n) => product * n, 1);
    const data = Int32Array.from(randomData(count, low, high, this.#count + 1), Math.floor);
    const declared = this.unknown && !fixed ? dims.map(() => -1) : dims;
    return this.placeholder(this.#name(), { dtype: 'int32', dims, data }, declared);
  }

  xb(dims: number[]): string {
    const count = dims.reduce((product, n) => product * n, 1);
    const data = Uint8Array.from(randomData(count, 0, 2, this.#count + 1), Math.floor);
    const declared = this.unknown ? dims.map(() => -1) : dims;
    return this.placeholder(this.#name(), { dtype: 'bool', dims, data }, declared);
  }

  k(dims: number[], low = -1, high = 1): string {
    const count = dims.reduce((product, n) => product * n, 1);
    return this.constant(this.#name(), {
      dtype: 'float32',
      dims,
      data: randomData(count, low, high, this.#count + 1),
    });
  }

  of(values: number[], dims = [values.length], dtype: Sample['dtype'] = 'int32'): string {
    const data = dtype === 'float32' ? Float32Array.from(values) : Int32Array.from(values);
    return this.constant(this.#name(), { dtype, dims, data });
  }

  number(value: number, dtype: Sample['dtype'] = 'int32'): string {
    return this.of([value], [], dtype);
  }

  op(name: string, input: string[], attr: Record<string, Attr> = {}): string {
    return this.node(name, this.#name(), input, attr);
  }

  /** A node whose outputs are outputs of the model. */
  out(name: string, input: string[], attr: Record<string, Attr> = {}, outputs = 1): string {
    const node = this.op(name, input, attr);
    // A node of its own for each, which no other takes: an output of the GraphDef too.
    for (let i = 0; i < outputs; i++) {
      this.output(this.op('Identity', [i === 0 ? node : `${node}:${String(i)}`]));
    }
    return node;
  }
}

const unary = {
  'Abs Neg Sign Square Relu Relu6 Elu Selu Sigmoid Tanh Softplus Exp Expm1 Erf Floor Ceil Round Sin Cos Tan Atan Sinh Cosh IsNan ZerosLike OnesLike LogicalNotOf':
    [-2, 2],
  'Sqrt Rsqrt Log Log1p Reciprocal Acosh': [1.1, 4],
  'Acos Asin Atanh': [-0.9, 0.9],
} as const;

export function elementwise(g: CaseGraph): void {
  for (const [names, [low, high]] of Object.entries(unary)) {
    for (const name of names.split(' ')) {
      if (name === 'LogicalNotOf') continue;
      g.begin(name);
      g.out(name, [g.x([2, 3], low, high)], { T: f32 });
    }
  }
  g.begin('LogicalNot');
  g.out('LogicalNot', [g.xb([4])]);
  g.begin('LeakyRelu');
  g.out('LeakyRelu', [g.x([2, 3])], { alpha: float(0.3), T: f32 });
  g.begin('Prelu');
  g.out('Prelu', [g.x([2, 3]), g.k([3], 0.1, 0.4)]);
  g.begin('ClipByValue');
  g.out('ClipByValue', [g.x([2, 3]), g.number(-1, 'float32'), g.number(1, 'float32')]);
  for (const name of 'Add AddV2 Sub Mul RealDiv Div Maximum Minimum SquaredDifference FloorDiv FloorMod Atan2 DivNoNan Pow'.split(
    ' ',
  )) {
    g.begin(name);
    g.out(name, [g.x([2, 3], 0.5, 3), g.x([3], 0.5, 3)], { T: f32 });
  }
  for (const name of ['Atan2', 'FloorMod', 'FloorDiv']) {
    g.begin(`${name}-signs`);
    g.out(name, [g.x([4, 4]), g.x([4, 4])], { T: f32 });
  }
  g.begin('DivNoNan-zero');
  g.out('DivNoNan', [g.x([2, 3]), g.of([0, 1, 2, 0, 4, 5], [2, 3], 'float32')], { T: f32 });
  for (const name of 'Add Sub Mul Maximum Minimum FloorDiv FloorMod'.split(' ')) {
    g.begin(`${name}-int`);
    g.out(name, [g.xi([3, 4], -9, 9), g.xi([3, 4], 1, 5)], { T: i32 });
  }
  for (const name of 'Equal NotEqual Less LessEqual Greater GreaterEqual'.split(' ')) {
    g.begin(name);
    g.out(name, [g.xi([3, 4], 0, 3), g.xi([4], 0, 3)], { T: i32 });
  }
  for (const name of ['LogicalAnd', 'LogicalOr']) {
    g.begin(name);
    g.out(name, [g.xb([3, 4]), g.xb([4])]);
  }
  g.begin('AddN');
  g.out('AddN', [g.x([2, 3]), g.x([2, 3]), g.x([2, 3])], { N: int(3), T: f32 });
  g.begin('Select');
  g.out('SelectV2', [g.xb([2, 3]), g.x([2, 3]), g.x([3])], { T: f32 });
  g.begin('Cast');
  g.out('Cast', [g.x([2, 3])], { SrcT: f32, DstT: i32 });
  g.out('Cast', [g.xb([3])], { SrcT: type('DT_BOOL'), DstT: f32 });
}

const image = (
  strides: number[],
  padding: string,
  more: Record<string, Attr> = {},
): Record<string, Attr> => ({
  strides: ints(1, ...strides, 1),
  padding: text(padding),
  data_format: text('NHWC'),
  dilations: ints(1, 1, 1, 1),
  T: f32,
  ...more,
});

export function windows(g: CaseGraph): void {
  for (const padding of ['SAME', 'VALID']) {
    for (const stride of [1, 2, 3]) {
      g.begin(`Conv2D-${padding}-${String(stride)}`);
      g.out('Conv2D', [g.x([1, 9, 8, 3]), g.k([3, 2, 3, 4])], image([stride, stride], padding));
      g.begin(`DepthwiseConv2dNative-${padding}-${String(stride)}`);
      g.out(
        'DepthwiseConv2dNative',
        [g.x([1, 9, 8, 3]), g.k([3, 3, 3, 2])],
        image([stride, stride], padding),
      );
      g.begin(`MaxPool-${padding}-${String(stride)}`);
      const pool = image([stride, stride], padding, { ksize: ints(1, 3, 2, 1) });
      g.out('MaxPool', [g.x([1, 9, 8, 3])], pool);
      g.begin(`AvgPool-${padding}-${String(stride)}`);
      g.out('AvgPool', [g.x([1, 9, 8, 3])], pool);
    }
  }
  g.begin('Conv2D-dilated');
  g.out(
    'Conv2D',
    [g.x([2, 9, 8, 3]), g.k([3, 3, 3, 4])],
    image([1, 1], 'SAME', { dilations: ints(1, 2, 2, 1) }),
  );
  g.begin('_FusedConv2D');
  const fused = image([1, 1], 'SAME', {
    fused_ops: texts('BiasAdd', 'Relu6'),
    num_args: int(1),
    epsilon: float(0),
  });
  g.out('_FusedConv2D', [g.x([1, 5, 5, 3]), g.k([3, 3, 3, 4]), g.k([4])], fused);
  g.out('FusedDepthwiseConv2dNative', [g.x([1, 5, 5, 3]), g.k([3, 3, 3, 1]), g.k([3])], fused);
  const prelu = image([1, 1], 'SAME', {
    fused_ops: texts('BiasAdd', 'Prelu'),
    num_args: int(2),
    epsilon: float(0),
  });
  g.out('_FusedConv2D', [g.x([1, 5, 5, 3]), g.k([3, 3, 3, 4]), g.k([4]), g.k([4])], prelu);
  g.begin('Conv2D-explicit');
  const pads = ints(0, 0, 1, 2, 2, 1, 0, 0);
  g.out(
    'Conv2D',
    [g.x([1, 5, 5, 3]), g.k([3, 3, 3, 4])],
    image([1, 1], 'EXPLICIT', { explicit_paddings: pads }),
  );
  for (const [padding, size] of [
    ['SAME', 10],
    ['SAME', 9],
    ['VALID', 11],
  ] as const) {
    g.begin(`Conv2DBackpropInput-${padding}-${String(size)}`);
    const sizes = g.of([1, size, size, 3]);
    g.out(
      'Conv2DBackpropInput',
      [sizes, g.k([3, 3, 3, 4]), g.x([1, 5, 5, 4])],
      image([2, 2], padding),
    );
  }
  g.begin('Conv1D');
  g.out('Conv1D', [g.x([1, 9, 3]), g.k([3, 3, 4])], {
    stride: int(1),
    padding: text('SAME'),
    data_format: text('NWC'),
    dilation: int(1),
  });
  g.begin('Conv3D');
  const volume = {
    strides: ints(1, 2, 1, 1, 1),
    padding: text('SAME'),
    data_format: text('NDHWC'),
    dilations: ints(1, 1, 1, 1, 1),
    T: f32,
  };
  g.out('Conv3D', [g.x([1, 4, 5, 4, 2]), g.k([3, 3, 2, 2, 3])], volume);
  g.begin('MaxPool3D');
  g.out('MaxPool3D', [g.x([1, 4, 5, 4, 2])], { ...volume, ksize: ints(1, 2, 2, 2, 1) });
  g.out('AvgPool3D', [g.x([1, 4, 5, 4, 2])], { ...volume, ksize: ints(1, 2, 2, 2, 1) });
  for (const op of ['ResizeBilinear', 'ResizeNearestNeighbor']) {
    for (const [corners, half] of [
      [false, false],
      [true, false],
      [false, true],
    ] as const) {
      g.begin(`${op}-${String(corners)}-${String(half)}`);
      const how = { align_corners: bool(corners), half_pixel_centers: bool(half), T: f32 };
      g.out(op, [g.x([1, 5, 4, 3]), g.of([7, 9])], how);
      g.out(op, [g.x([1, 8, 9, 2]), g.of([4, 3])], how);
    }
  }
  g.begin('CropAndResize');
  const boxes = g.of([0, 0, 1, 1, 0.2, 0.1, 0.7, 1.2, 0.9, 0.8, 0.1, 0.2], [3, 4], 'float32');
  const crop = { method: text('bilinear'), extrapolation_value: float(0.5) };
  g.out('CropAndResize', [g.x([2, 6, 5, 2]), boxes, g.of([0, 1, 0]), g.of([3, 4])], crop);
  g.begin('DepthToSpace');
  g.out('DepthToSpace', [g.x([1, 2, 3, 8])], { block_size: int(2), data_format: text('NHWC') });
  g.begin('SpaceToBatchND');
  g.out('SpaceToBatchND', [g.x([1, 5, 4, 2]), g.of([2, 2]), g.of([1, 0, 0, 2], [2, 2])], {
    T: f32,
  });
  g.out('BatchToSpaceND', [g.x([4, 3, 3, 2]), g.of([2, 2]), g.of([1, 0, 0, 1], [2, 2])], {
    T: f32,
  });
  g.begin('FusedBatchNorm');
  const norm = [g.k([3]), g.k([3]), g.k([3]), g.k([3], 0.5, 1)];
  g.out('FusedBatchNormV3', [g.x([1, 4, 4, 3]), ...norm], {
    epsilon: float(1e-3),
    is_training: bool(false),
    data_format: text('NHWC'),
  });
  g.begin('LRN');
  const lrn = { depth_radius: int(2), bias: float(1), alpha: float(0.1), beta: float(0.5), T: f32 };
  g.out('LRN', [g.x([1, 3, 3, 7])], lrn);
}

export function shapes(g: CaseGraph): void {
  g.begin('Reshape');
  g.out('Reshape', [g.x([2, 6]), g.of([3, -1])], { T: f32 });
  g.begin('Transpose');
  g.out('Transpose', [g.x([2, 3, 4]), g.of([2, 0, 1])], { T: f32 });
  g.begin('StridedSlice');
  const masks = (
    begin = 0,
    end = 0,
    ellipsis = 0,
    fresh = 0,
    shrink = 0,
  ): Record<string, Attr> => ({
    begin_mask: int(begin),
    end_mask: int(end),
    ellipsis_mask: int(ellipsis),
    new_axis_mask: int(fresh),
    shrink_axis_mask: int(shrink),
    T: f32,
    Index: i32,
  });
  const slice = (
    dims: number[],
    from: number[],
    to: number[],
    step: number[],
    how: Record<string, Attr>,
  ): void => {
    g.out('StridedSlice', [g.x(dims), g.of(from), g.of(to), g.of(step)], how);
  };
  slice([4, 5, 6], [1, 0, -3], [3, 5, -1], [1, 2, 1], masks());
  slice([4, 5, 6], [1, 0], [2, 0], [1, 1], masks(2, 2, 0, 0, 1));
  slice([4, 5, 6], [0, 0, 2], [0, 0, 3], [1, 1, 1], masks(0, 0, 1, 0, 4));
  slice([4, 5], [0, 0, 0], [0, 3, 0], [1, 1, 1], masks(1, 1, 0, 4, 0));
  slice([4, 5], [-1, 0], [-9, 0], [-1, 1], masks(2, 3));
  slice([7], [-1], [0], [1], masks(0, 0, 0, 0, 1));
  slice([7], [5], [1], [-2], masks());
  g.begin('Slice');
  g.out('Slice', [g.x([4, 5]), g.of([1, 2]), g.of([2, -1])], { T: f32 });
  g.begin('Gather');
  g.out('GatherV2', [g.x([4, 5]), g.of([2, 0, 3]), g.number(0)]);
  g.out('GatherV2', [g.x([4, 5]), g.xi([2, 2], 0, 5), g.number(1)], { batch_dims: int(0) });
  g.out('GatherV2', [g.x([2, 5, 3]), g.of([2, 0, 3, 1], [2, 2]), g.number(1)], {
    batch_dims: int(1),
  });
  g.out('GatherNd', [g.x([4, 5]), g.of([2, 1, 0, 3], [2, 2])]);
  g.begin('Split');
  g.out('Split', [g.number(1), g.x([2, 6])], { num_split: int(3) }, 3);
  g.out('SplitV', [g.x([2, 6]), g.of([1, 3, 2]), g.number(1)], { num_split: int(3) }, 3);
  g.begin('Pack');
  g.out('Pack', [g.x([2, 3]), g.x([2, 3])], { axis: int(1), N: int(2), T: f32 });
  g.out('Unpack', [g.x([2, 3])], { axis: int(1), num: int(3), T: f32 }, 3);
  g.begin('ConcatV2');
  g.out('ConcatV2', [g.x([2, 3]), g.x([2, 4]), g.number(-1)], { N: int(2) });
  g.begin('Tile');
  g.out('Tile', [g.x([2, 3]), g.of([2, 3])]);
  g.out('BroadcastTo', [g.x([1, 3]), g.of([2, 3])]);
  g.begin('Pad');
  g.out('Pad', [g.x([2, 3]), g.of([1, 0, 2, 1], [2, 2])], { T: f32 });
  g.out('PadV2', [g.x([2, 3]), g.of([1, 0, 2, 1], [2, 2]), g.number(7, 'float32')], { T: f32 });
  g.out('MirrorPad', [g.x([3, 4]), g.of([1, 0, 2, 1], [2, 2])], { mode: text('REFLECT') });
  g.out('MirrorPad', [g.x([3, 4]), g.of([1, 0, 2, 1], [2, 2])], { mode: text('SYMMETRIC') });
  g.begin('Shape');
  const whole = g.x([2, 3, 4]);
  const dims = g.op('Shape', [whole], { T: f32, out_type: i32 });
  g.output(g.op('Identity', [dims]));
  const first = g.op('StridedSlice', [dims, g.of([0]), g.of([1]), g.of([1])], masks(0, 0, 0, 0, 1));
  g.out('Reshape', [whole, g.op('Pack', [first, g.number(-1)], { axis: int(0), N: int(2) })], {
    T: f32,
  });
  g.out('Size', [whole]);
  g.out('Rank', [whole]);
  g.begin('ExpandDims');
  g.out('ExpandDims', [g.x([2, 3]), g.number(-1)]);
  g.out('Squeeze', [g.x([2, 1, 3, 1])], { squeeze_dims: ints(1, 3) });
  g.begin('Reverse');
  g.out('ReverseV2', [g.x([2, 3, 4]), g.of([0, 2])]);
  g.begin('ScatterNd');
  g.out('ScatterNd', [g.of([1, 3], [2, 1]), g.x([2, 3]), g.of([4, 3])]);
  g.out('TensorScatterUpdate', [g.x([4, 3]), g.of([1, 3], [2, 1]), g.x([2, 3])]);
  g.begin('SparseToDense');
  g.out('SparseToDense', [g.of([1, 3]), g.of([5]), g.x([2], -1, 1, true), g.number(0, 'float32')], {
    validate_indices: bool(true),
  });
}

export function reductions(g: CaseGraph): void {
  for (const name of ['Sum', 'Mean', 'Max', 'Min', 'Prod', 'EuclideanNorm']) {
    g.begin(name);
    g.out(name, [g.x([2, 3, 4]), g.of([0, -1])], { keep_dims: bool(false), T: f32 });
    if (name !== 'EuclideanNorm')
      g.out(name, [g.x([2, 3, 4]), g.number(1)], { keep_dims: bool(true), T: f32 });
  }
  for (const name of ['All', 'Any']) {
    g.begin(name);
    g.out(name, [g.xb([3, 4]), g.of([1])], { keep_dims: bool(false) });
  }
  for (const name of ['ArgMax', 'ArgMin']) {
    g.begin(name);
    g.out(name, [g.x([3, 4]), g.number(1)], { output_type: type('DT_INT64') });
  }
  g.begin('Cumsum');
  g.out('Cumsum', [g.x([3, 4]), g.number(1)], { exclusive: bool(true), reverse: bool(true) });
  g.begin('MatMul');
  g.out('MatMul', [g.x([3, 4]), g.x([5, 4])], {
    transpose_a: bool(false),
    transpose_b: bool(true),
    T: f32,
  });
  g.out('BatchMatMulV2', [g.x([2, 4, 3]), g.x([2, 4, 5])], {
    adj_x: bool(true),
    adj_y: bool(false),
    T: f32,
  });
  const fused = {
    fused_ops: texts('BiasAdd', 'Relu'),
    num_args: int(1),
    transpose_a: bool(false),
    transpose_b: bool(false),
    T: f32,
    epsilon: float(0),
  };
  g.out('_FusedMatMul', [g.x([3, 4]), g.k([4, 5]), g.k([5])], fused);
  g.begin('Einsum');
  g.out('Einsum', [g.x([2, 3, 4]), g.x([2, 5, 4])], {
    equation: text('bij,bkj->bik'),
    N: int(2),
    T: f32,
  });
  g.begin('BiasAdd');
  g.out('BiasAdd', [g.x([2, 3]), g.k([3])], { data_format: text('NHWC'), T: f32 });
  g.begin('Softmax');
  g.out('Softmax', [g.x([2, 5])]);
  g.out('LogSoftmax', [g.x([2, 5])]);
  g.begin('TopKV2');
  g.out('TopKV2', [g.x([3, 7]), g.number(4)], { sorted: bool(true) }, 2);
  g.begin('OneHot');
  g.out('OneHot', [g.xi([4], 0, 5), g.number(5), g.number(2, 'float32'), g.number(-1, 'float32')], {
    axis: int(-1),
    T: f32,
  });
  g.begin('Range');
  g.out('Range', [g.number(1), g.number(10), g.number(2)], { Tidx: i32 });
  g.begin('Fill');
  g.out('Fill', [g.of([2, 3]), g.number(4, 'float32')], { T: f32 });
  g.begin('LinSpace');
  g.out('LinSpace', [g.number(1, 'float32'), g.number(3, 'float32'), g.number(5)]);
  g.begin('Unique');
  g.out('Unique', [g.xi([9], 0, 5)], { out_idx: i32 }, 2);
  g.begin('ListDiff');
  g.out('ListDiff', [g.of([1, 2, 3, 4, 5, 6]), g.of([1, 3, 5])], { out_idx: i32 }, 2);
  g.begin('Where');
  g.out('Where', [g.xb([3, 4])]);
  g.begin('Bound');
  const sorted = g.of([1, 2, 4, 4, 8, 0, 1, 1, 3, 9], [2, 5], 'float32');
  g.out('LowerBound', [sorted, g.of([4, 0, 9, 1, 2, 10], [2, 3], 'float32')], { out_type: i32 });
  g.out('UpperBound', [sorted, g.of([4, 0, 9, 1, 2, 10], [2, 3], 'float32')], { out_type: i32 });
  g.begin('Bincount');
  g.out('DenseBincount', [g.xi([12], 0, 5), g.number(6), g.of([], [0], 'float32')], {
    binary_output: bool(false),
    T: f32,
  });
  g.begin('NonMaxSuppression');
  const boxes = g.of(
    [0, 0, 1, 1, 0, 0.1, 1, 1.1, 0, 3, 1, 4, 0, 3.05, 1, 4, 5, 5, 6, 6],
    [5, 4],
    'float32',
  );
  const scores = g.of([0.9, 0.75, 0.6, 0.95, 0.3], [5], 'float32');
  const limits = [g.number(4), g.number(0.5, 'float32'), g.number(0.4, 'float32')];
  g.out('NonMaxSuppressionV3', [boxes, scores, ...limits]);
  g.out(
    'NonMaxSuppressionV4',
    [boxes, scores, ...limits],
    { pad_to_max_output_size: bool(true) },
    2,
  );
  g.out('NonMaxSuppressionV5', [boxes, scores, ...limits, g.number(0, 'float32')], {}, 2);
}
