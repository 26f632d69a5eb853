// TensorFlow.js on WebGPU, on the convolutional models: an ONNX graph through its operators, as its
// own converter would write it: NHWC, batch normalisation and activations inside convolutions.

import { made } from '../meter.mjs';
import { readGraph } from '../onnx.mjs';

let library;

async function start(open) {
  const tf = await open();
  if (!(await tf.setBackend('webgpu'))) throw new Error('TensorFlow.js takes no WebGPU');
  await tf.ready();
  return tf;
}

/** Submits what it has collected: it does so by itself only now and then. */
function flush(backend) {
  backend.endComputePassEncoder();
  if (backend.commandEncoder) backend.submitQueue();
}

/** `open`: gives the library with its WebGPU backend; throws Missing where it is not installed. */
export function tfjs(open) {
  return {
    name: 'TensorFlow.js WebGPU',
    async create(model) {
      library ??= start(open);
      const tf = await library;
      const graph = new TfGraph(tf, readGraph(await model.bytes()));
      const { device } = tf.backend();
      if (!made.devices.includes(device)) throw new Error('TensorFlow.js has another device');
      const feed = () =>
        Object.fromEntries(
          Object.entries(model.inputs).map(([name, { dtype, dims, data }]) => {
            if (dtype !== 'f32') throw new Error(`input ${name}: ${dtype} is not written here`);
            return [name, tf.tensor(data, dims)];
          }),
        );
      const kept = feed();
      return {
        device,
        async run() {
          const inputs = feed();
          const outputs = graph.run(inputs);
          const read = {};
          for (const [name, tensor] of Object.entries(outputs)) {
            read[name] = { data: await tensor.data(), dims: tensor.shape };
          }
          for (const tensor of [...Object.values(inputs), ...Object.values(outputs)]) {
            tensor.dispose();
          }
          return read;
        },
        async launch() {
          for (const tensor of Object.values(graph.run(kept))) tensor.dispose();
          flush(tf.backend());
        },
        async idle() {
          flush(tf.backend());
          await device.queue.onSubmittedWorkDone();
        },
        close() {
          for (const tensor of Object.values(kept)) tensor.dispose();
          graph.dispose();
        },
      };
    },
  };
}

/**
 * A value is a tensor of TensorFlow.js with `nhwc` (of rank 4, the channels moved last), or numbers
 * on the host: { dims, data }.
 */
class TfGraph {
  constructor(tf, { nodes, constants, outputs }) {
    this.tf = tf;
    this.constants = constants;
    this.outputs = outputs;
    this.weights = new Map();
    this.nodes = this.joined(nodes);
  }

  dispose() {
    for (const tensor of this.weights.values()) tensor.dispose();
  }

  /** Batch normalisation goes into the convolution's weights, an activation onto it. */
  joined(nodes) {
    const users = new Map();
    for (const node of nodes)
      for (const name of node.inputs) users.set(name, [...(users.get(name) ?? []), node]);
    const onlyUser = (node) => {
      const [user, more] = users.get(node.outputs[0]) ?? [];
      return more ? undefined : user;
    };
    const gone = new Set();
    for (const node of nodes) {
      if (node.op !== 'Conv') continue;
      node.weights = this.constants.get(node.inputs[1]);
      node.bias = this.constants.get(node.inputs[2])?.data;
      let next = onlyUser(node);
      if (next?.op === 'BatchNormalization') {
        this.fold(node, next);
        node.outputs = next.outputs;
        gone.add(next);
        next = onlyUser(node);
      }
      if (next?.op === 'Relu') {
        node.activation = 'relu';
        node.outputs = next.outputs;
        gone.add(next);
      }
    }
    return nodes.filter((node) => !gone.has(node));
  }

  fold(node, { inputs, attributes }) {
    const [scale, shift, mean, variance] = inputs
      .slice(1)
      .map((name) => this.constants.get(name).data);
    const { dims, data } = node.weights;
    const count = data.length / dims[0];
    const factor = Array.from(
      scale,
      (s, i) => s / Math.sqrt(variance[i] + (attributes.epsilon ?? 1e-5)),
    );
    node.weights = { dims, data: data.map((w, i) => w * factor[Math.floor(i / count)]) };
    node.bias = Float32Array.from(
      factor,
      (f, i) => ((node.bias?.[i] ?? 0) - mean[i]) * f + shift[i],
    );
  }

  run(inputs) {
    const { tf } = this;
    return tf.tidy(() => {
      const values = new Map(Object.entries(inputs).map(([name, tensor]) => [name, { tensor }]));
      for (const node of this.nodes) {
        const method = this[`op${node.op}`];
        if (!method) throw new Error(`${node.op} is not written for TensorFlow.js`);
        const operands = node.inputs.map((name) => values.get(name) ?? this.constants.get(name));
        values.set(node.outputs[0], method.call(this, operands, node.attributes, node));
      }
      return Object.fromEntries(this.outputs.map((name) => [name, this.plain(values.get(name))]));
    });
  }

  /** A constant on the device, made once; `place` tells two layouts apart. */
  weight(key, make) {
    if (!this.weights.has(key)) this.weights.set(key, this.tf.keep(make()));
    return this.weights.get(key);
  }

  /** As ONNX has it. */
  plain(value) {
    if (!value.tensor) return this.weight(value, () => this.tf.tensor(value.data, value.dims));
    return value.nhwc ? this.tf.transpose(value.tensor, [0, 3, 1, 2]) : value.tensor;
  }

  last(value) {
    return value.nhwc ? value.tensor : this.tf.transpose(this.plain(value), [0, 2, 3, 1]);
  }

  binary(name, [a, b]) {
    const { tf } = this;
    if (!a.nhwc && !b.nhwc) return { tensor: tf[name](this.plain(a), this.plain(b)) };
    const side = (value) => {
      if (value.nhwc) return value.tensor;
      const dims = value.tensor?.shape ?? value.dims;
      if (dims.length === 4 && value.tensor) return this.last(value);
      if (value.tensor) throw new Error(`${name}: ranks 4 and ${dims.length}`);
      return this.weight(value, () => {
        const whole = [1, 1, 1, 1, ...dims].slice(-4);
        return tf.tidy(() => tf.transpose(tf.tensor(value.data, whole), [0, 2, 3, 1]));
      });
    };
    return { tensor: tf[name](side(a), side(b)), nhwc: true };
  }

  unary([value], apply) {
    return { tensor: apply(value.tensor ?? this.plain(value)), nhwc: value.nhwc };
  }

  opAdd = (operands) => this.binary('add', operands);
  opSub = (operands) => this.binary('sub', operands);
  opMul = (operands) => this.binary('mul', operands);
  opDiv = (operands) => this.binary('div', operands);
  opPow = (operands) => this.binary('pow', operands);
  opMax = (operands) => this.binary('maximum', operands);
  opRelu = (operands) => this.unary(operands, this.tf.relu);
  opSqrt = (operands) => this.unary(operands, this.tf.sqrt);
  opSigmoid = (operands) => this.unary(operands, this.tf.sigmoid);
  opLeakyRelu = (operands, { alpha = 0.01 }) =>
    this.unary(operands, (x) => this.tf.leakyRelu(x, alpha));
  opHardSigmoid = (operands, { alpha = 0.2, beta = 0.5 }) =>
    this.unary(operands, (x) =>
      this.tf.clipByValue(this.tf.add(this.tf.mul(x, alpha), beta), 0, 1),
    );

  opClip([x, least, most], { min, max }) {
    const low = least?.data[0] ?? min ?? -3.4e38;
    return this.unary([x], (t) => this.tf.clipByValue(t, low, most?.data[0] ?? max ?? 3.4e38));
  }

  window({ kernel_shape: kernel, strides = [1, 1], pads = [0, 0, 0, 0], auto_pad: auto }) {
    const same = auto === 'SAME_UPPER';
    const pad = same
      ? 'same'
      : [
          [0, 0],
          [pads[0], pads[2]],
          [pads[1], pads[3]],
          [0, 0],
        ];
    return { kernel, strides, pad };
  }

  opConv([x], attributes, node) {
    const { tf } = this;
    const { dims, data } = node.weights;
    const { strides, pad } = this.window({ ...attributes, kernel_shape: dims.slice(2) });
    const { group = 1, dilations = [1, 1] } = attributes;
    const depthwise = group > 1 && dims[1] === 1 && dims[0] === group;
    if (group > 1 && !depthwise) throw new Error('grouped convolutions are not in TensorFlow.js');
    // [out, in, y, x] to [y, x, in, out], depthwise to [y, x, channels, 1].
    const filter = this.weight(node, () =>
      tf.tidy(() => tf.transpose(tf.tensor(data, dims), depthwise ? [2, 3, 0, 1] : [2, 3, 1, 0])),
    );
    const bias = node.bias && this.weight(node.outputs, () => tf.tensor1d(node.bias));
    const conv = depthwise ? tf.fused.depthwiseConv2d : tf.fused.conv2d;
    const { activation } = node;
    const rest = { x: this.last(x), filter, strides, pad, dilations, bias, activation };
    return { tensor: conv(rest), nhwc: true };
  }

  opConvTranspose([x, w, b], attributes, node) {
    const { tf } = this;
    const { strides = [1, 1], pads = [0, 0, 0, 0], group = 1 } = attributes;
    if (group > 1 || pads.some((pad) => pad !== 0)) throw new Error('ConvTranspose: group or pads');
    const input = this.last(x);
    const [batch, height, width] = input.shape;
    const [, channels, kernelY, kernelX] = w.dims;
    const filter = this.weight(node, () =>
      tf.tidy(() => tf.transpose(tf.tensor(w.data, w.dims), [2, 3, 1, 0])),
    );
    const size = [(height - 1) * strides[0] + kernelY, (width - 1) * strides[1] + kernelX];
    const y = tf.conv2dTranspose(input, filter, [batch, ...size, channels], strides, 'valid');
    if (!b) return { tensor: y, nhwc: true };
    return {
      tensor: tf.add(
        y,
        this.weight(b, () => tf.tensor1d(b.data)),
      ),
      nhwc: true,
    };
  }

  opBatchNormalization([x, ...parts], { epsilon = 1e-5 }) {
    const [scale, shift, mean, variance] = parts.map((part) => this.plain(part));
    const tensor = this.tf.batchNorm(this.last(x), mean, variance, shift, scale, epsilon);
    return { tensor, nhwc: true };
  }

  opMaxPool([x], attributes) {
    const { kernel, strides, pad } = this.window(attributes);
    return { tensor: this.tf.maxPool(this.last(x), kernel, strides, pad), nhwc: true };
  }

  opAveragePool([x], attributes) {
    const { kernel, strides, pad } = this.window(attributes);
    return { tensor: this.tf.avgPool(this.last(x), kernel, strides, pad), nhwc: true };
  }

  opGlobalAveragePool = ([x]) => ({ tensor: this.tf.mean(this.last(x), [1, 2], true), nhwc: true });

  opResize([x, , scales, sizes], { mode = 'nearest' }) {
    if (mode !== 'nearest') throw new Error(`Resize: ${mode}`);
    const input = this.last(x);
    const [, height, width] = input.shape;
    const size = sizes
      ? [...sizes.data].slice(2)
      : [height * scales.data[2], width * scales.data[3]].map(Math.floor);
    return { tensor: this.tf.image.resizeNearestNeighbor(input, size), nhwc: true };
  }

  opConcat(operands, { axis }) {
    if (operands.every(({ tensor }) => !tensor)) {
      const data = operands.flatMap((value) => [...value.data]);
      return { dims: [data.length], data };
    }
    const nhwc = operands.some((value) => value.nhwc);
    if (!nhwc)
      return {
        tensor: this.tf.concat(
          operands.map((v) => this.plain(v)),
          axis,
        ),
      };
    const place = [0, 3, 1, 2][(axis + 4) % 4];
    return {
      tensor: this.tf.concat(
        operands.map((v) => this.last(v)),
        place,
      ),
      nhwc,
    };
  }

  opShape([x]) {
    const shape = x.tensor ? x.tensor.shape : x.dims;
    const data = x.nhwc ? [shape[0], shape[3], shape[1], shape[2]] : [...shape];
    return { dims: [data.length], data };
  }

  opCast = ([x]) => x; // of shapes, and between floats

  opSlice([x, starts, ends, axes], attributes) {
    const given = (value, name) => [...(value?.data ?? attributes[name] ?? [])];
    const [from, to, along] = [given(starts, 'starts'), given(ends, 'ends'), given(axes, 'axes')];
    if (!x.tensor) {
      const data = [...x.data].slice(from[0], to[0]);
      return { dims: [data.length], data };
    }
    const input = this.plain(x);
    const begin = input.shape.map(() => 0);
    const size = [...input.shape];
    (along.length > 0 ? along : from.map((_, i) => i)).forEach((axis, i) => {
      const a = (axis + size.length) % size.length;
      const clamp = (n) => Math.min(Math.max(n < 0 ? n + input.shape[a] : n, 0), input.shape[a]);
      begin[a] = clamp(from[i]);
      size[a] = clamp(to[i]) - begin[a];
    });
    return { tensor: this.tf.slice(input, begin, size) };
  }

  opReshape([x, shape]) {
    const input = this.plain(x);
    const dims = [...shape.data].map((dim, i) => (dim === 0 ? input.shape[i] : dim));
    return { tensor: this.tf.reshape(input, dims) };
  }

  opSqueeze([x, axes], attributes) {
    const along = axes ? [...axes.data] : attributes.axes;
    if (!x.tensor) return { dims: [], data: x.data };
    return { tensor: this.tf.squeeze(this.plain(x), along) };
  }

  opTranspose = ([x], { perm }) => ({ tensor: this.tf.transpose(this.plain(x), perm) });
  opMatMul = ([a, b]) => ({ tensor: this.tf.matMul(this.plain(a), this.plain(b)) });
  opSoftmax = ([x]) => ({ tensor: this.tf.softmax(this.plain(x)) });
  opReduceMean = ([x], { axes, keepdims = 1 }) => ({
    tensor: this.tf.mean(this.plain(x), axes, keepdims !== 0),
  });
}
