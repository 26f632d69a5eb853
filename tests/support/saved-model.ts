// SavedModels made of TensorFlow.js's graphs: their weights become variables, in the way of
// TensorFlow 1 (references) or 2 (functions that capture handles).

import { concatBytes, encodeVarint, MessageWriter } from './protobuf.js';
import { func, shape, TfGraph, type, type Data, type NodeJson, type Sample } from './tfjs.js';

/** A folder's files by their paths in it. */
export type FolderFiles = Record<string, Uint8Array<ArrayBuffer>>;

/** What becomes a variable: floats of some size, not axes and shapes. */
function isWeight(sample: Sample): boolean {
  return sample.dtype === 'float32' && sample.dims.length > 0;
}

/** The folder of a graph as tf.saved_model.save would write it. */
export function savedModel(graph: TfGraph, style: 'tf1' | 'tf2', shards = 2): FolderFiles {
  const own = new Set(graph.nodes.map(({ name }) => name));
  const weights = Object.entries(graph.constants).filter(
    ([name, sample]) => own.has(name) && isWeight(sample),
  );
  const keys = weights.map(([name]) =>
    style === 'tf1' ? `model/${name}` : `${name}/.ATTRIBUTES/VARIABLE_VALUE`,
  );
  const names = weights.map(([name]) => name);
  const written = style === 'tf1' ? references(graph, names, keys) : captures(graph, names, keys);
  const tensors = new Map(weights.map(([, sample], i) => [keys[i]!, sample]));
  return { 'saved_model.pb': written, ...checkpoint(tensors, shards) };
}

/** A graph with the other's functions and constants. */
function emptyCopy(graph: TfGraph): TfGraph {
  const out = new TfGraph();
  out.functions.push(...graph.functions);
  Object.assign(out.constants, graph.constants);
  return out;
}

function references(graph: TfGraph, names: string[], keys: string[]): Uint8Array<ArrayBuffer> {
  const out = emptyCopy(graph);
  const float = { dtype: type('DT_FLOAT') };
  for (const node of graph.nodes) {
    if (!names.includes(node.name)) {
      out.nodes.push(node);
      continue;
    }
    const dims = shape(graph.constants[node.name]!.dims);
    out.node('VariableV2', `${node.name}/variable`, [], { ...float, shape: dims });
    out.node('Identity', node.name, [`${node.name}/variable`], { T: float.dtype });
  }
  const strings = (name: string, list: string[]): string =>
    out.node('Const', name, [], { dtype: type('DT_STRING'), value: { tensor: { strings: list } } });
  const inputs = [
    strings('save/Const', ['model']),
    strings('save/RestoreV2/tensor_names', keys),
    strings(
      'save/RestoreV2/shape_and_slices',
      keys.map(() => ''),
    ),
  ];
  out.node('RestoreV2', 'save/RestoreV2', inputs);
  names.forEach((name, i) =>
    out.node('Assign', `save/Assign_${String(i)}`, [
      `${name}/variable`,
      `save/RestoreV2:${String(i)}`,
    ]),
  );
  const port = (name: string): [string, string] => [name, name.includes(':') ? name : `${name}:0`];
  return modelFile(out, {
    inputs: Object.keys(graph.inputs).map(port),
    outputs: graph.outputs.map(port),
  });
}

function captures(graph: TfGraph, names: string[], keys: string[]): Uint8Array<ArrayBuffer> {
  const out = emptyCopy(graph);
  const inputs = Object.keys(graph.inputs);
  const argument = (name: string, type: string): object => ({ name, type });
  const place = new Map(inputs.map((name, i) => [name, `args_${String(i)}`]));
  const within = (input: string): string => {
    const [node = '', index = '0'] = input.split(':');
    return place.get(node) ?? `${node}:output:${index}`;
  };
  const body: NodeJson[] = [];
  for (const node of graph.nodes) {
    if (place.has(node.name)) continue;
    const at = names.indexOf(node.name);
    const read = { op: 'ReadVariableOp', input: [`capture_${String(at)}`] };
    const input = (node.input ?? []).filter((one) => !one.startsWith('^')).map(within);
    body.push(
      at < 0 ? { ...node, input } : { name: node.name, attr: { dtype: type('DT_FLOAT') }, ...read },
    );
  }
  const typeName = (name: string): string =>
    ({ float32: 'DT_FLOAT', int32: 'DT_INT32', bool: 'DT_BOOL' })[graph.inputs[name]!.dtype];
  const captured = names.map((_, i) => argument(`capture_${String(i)}`, 'DT_RESOURCE'));
  const inputArg = [
    ...inputs.map((name) => argument(place.get(name)!, typeName(name))),
    ...captured,
  ];
  const outputArg = graph.outputs.map((_, i) => argument(`identity_${String(i)}`, 'DT_FLOAT'));
  const result = (of: (output: string, i: number) => string): Record<string, string> =>
    Object.fromEntries(graph.outputs.map((name, i) => [`identity_${String(i)}`, of(name, i)]));
  const call = (name: string, input: string[], f: string): NodeJson => {
    return { name, op: 'StatefulPartitionedCall', input, attr: { f: func(f) } };
  };
  const allArguments = inputArg.map((one) => (one as { name: string }).name);
  out.functions.push(
    {
      signature: { name: '__inference_model', inputArg, outputArg },
      nodeDef: body,
      ret: result(within),
    },
    {
      signature: { name: '__inference_signature_wrapper', inputArg, outputArg },
      nodeDef: [call('StatefulPartitionedCall', allArguments, '__inference_model')],
      ret: result((_, i) => `StatefulPartitionedCall:output:${String(i)}`),
    },
    restoring(names, keys),
  );
  for (const { name, op, attr } of graph.nodes) {
    if (op === 'Placeholder' && place.has(name)) {
      out.node(op, `serving_default_${name}`, [], attr);
    }
  }
  for (const [i, name] of names.entries()) {
    out.node('VarHandleOp', `Variable_${String(i)}`, [], {
      dtype: type('DT_FLOAT'),
      shape: shape(graph.constants[name]!.dims),
      shared_name: { s: btoa('Variable') }, // one for all, as TensorFlow 2 allows
    });
  }
  const handles = names.map((_, i) => `Variable_${String(i)}`);
  const ports = inputs.map((name) => `serving_default_${name}`);
  out.nodes.push(
    call('StatefulPartitionedCall', [...ports, ...handles], '__inference_signature_wrapper'),
    { name: 'saver_filename', op: 'Placeholder', input: [], attr: { dtype: type('DT_STRING') } },
    call(
      'StatefulPartitionedCall_1',
      ['saver_filename', ...handles],
      '__inference__traced_restore',
    ),
  );
  return modelFile(out, {
    inputs: inputs.map((name) => [name, `serving_default_${name}:0`]),
    outputs: graph.outputs.map((name, i) => [name, `StatefulPartitionedCall:${String(i)}`]),
  });
}

/** The function that restores variables. */
function restoring(names: string[], keys: string[]): TfGraph['functions'][number] {
  const strings = (name: string, list: string[]): NodeJson => {
    const value = { tensor: { strings: list } };
    return { name, op: 'Const', input: [], attr: { dtype: type('DT_STRING'), value } };
  };
  const node = (name: string, op: string, input: string[]): NodeJson => {
    return { name, op, input, attr: {} };
  };
  const operands = ['file_prefix', 'tensor_names:output:0', 'shape_and_slices:output:0'];
  const handle = (i: number): string => `assignvariableop_${String(i)}`;
  return {
    signature: {
      name: '__inference__traced_restore',
      inputArg: [
        { name: 'file_prefix', type: 'DT_STRING' },
        ...names.map((_, i) => ({ name: handle(i), type: 'DT_RESOURCE' })),
      ],
      outputArg: [{ name: 'identity', type: 'DT_STRING' }],
    },
    nodeDef: [
      strings('tensor_names', keys),
      strings(
        'shape_and_slices',
        keys.map(() => ''),
      ),
      node('RestoreV2', 'RestoreV2', operands),
      ...names.flatMap((_, i) => [
        node(`Identity_${String(i)}`, 'Identity', [`RestoreV2:tensors:${String(i)}`]),
        node(`Assign_${String(i)}`, 'AssignVariableOp', [
          handle(i),
          `Identity_${String(i)}:output:0`,
        ]),
      ]),
    ],
    ret: { identity: 'file_prefix' },
  };
}

interface Ports {
  inputs: [name: string, tensor: string][];
  outputs: [name: string, tensor: string][];
}

function modelFile(graph: TfGraph, { inputs, outputs }: Ports): Uint8Array<ArrayBuffer> {
  const signature = new MessageWriter();
  const add = (field: number, ports: [string, string][]): void => {
    for (const [name, tensor] of ports) {
      const info = new MessageWriter().string(1, tensor).integer(2, 1);
      signature.message(field, new MessageWriter().string(1, name).message(2, info));
    }
  };
  add(1, inputs);
  add(2, outputs);
  const meta = new MessageWriter()
    .message(1, new MessageWriter().string(4, 'serve').string(5, '2.17.0'))
    .bytes(2, graph.graphDef())
    .message(5, new MessageWriter().string(1, 'serving_default').message(2, signature));
  return new MessageWriter().integer(1, 1).message(2, meta).finish();
}

/** The files of a checkpoint: an index, and shards that take the tensors in turn. */
export function checkpoint(tensors: Map<string, Sample>, count: number): FolderFiles {
  const shards: Uint8Array[][] = Array.from({ length: count }, () => []);
  const entries = new Map([['', new MessageWriter().integer(1, count).finish()]]);
  for (const [i, key] of [...tensors.keys()].sort().entries()) {
    const { dims, data, dtype } = tensors.get(key)!;
    const bytes = bytesOf(data);
    const shard = shards[i % count]!;
    const sizes = new MessageWriter();
    for (const size of dims) sizes.message(2, new MessageWriter().integer(1, size));
    const checksum = new Float32Array(Uint32Array.of(masked(crc32c(bytes))).buffer);
    const entry = new MessageWriter()
      .integer(1, { float32: 1, int32: 3, bool: 10 }[dtype])
      .message(2, sizes)
      .integer(3, i % count)
      .integer(
        4,
        shard.reduce((sum, { length }) => sum + length, 0),
      )
      .integer(5, bytes.length);
    entries.set(key, concatBytes([entry.finish(), tag(6), new Uint8Array(checksum.buffer)]));
    shard.push(bytes);
  }
  const five = (number: number): string => String(number).padStart(5, '0');
  const name = (i: number): string => `variables/variables.data-${five(i)}-of-${five(count)}`;
  return {
    'variables/variables.index': tableFile(entries),
    ...Object.fromEntries(shards.map((parts, i) => [name(i), concatBytes(parts)])),
  };
}

const tag = (number: number): Uint8Array => Uint8Array.of((number << 3) | 5);
const bytesOf = (data: Data): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
const fixed32 = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);

/** A sorted table as LevelDB's, of ASCII keys in order. */
function tableFile(entries: Map<string, Uint8Array>): Uint8Array<ArrayBuffer> {
  const out: Uint8Array[] = [];
  let size = 0;
  const block = (list: [string, Uint8Array][]): Uint8Array => {
    const parts = list.flatMap(([key, value]) => [
      ...[0, key.length, value.length].map(encodeVarint),
      new TextEncoder().encode(key),
      value,
    ]);
    // Keys that share nothing with the one before; a restart at the block's beginning alone.
    const content = concatBytes([...parts, fixed32(0), fixed32(1), Uint8Array.of(0)]);
    out.push(content, fixed32(masked(crc32c(content))));
    const handle = concatBytes([encodeVarint(size), encodeVarint(content.length - 1)]);
    size += content.length + 4;
    return handle;
  };
  const data = block([...entries]);
  const meta = block([]);
  const index = block([[[...entries.keys()].at(-1)!, data]]);
  const footer = new Uint8Array(48);
  footer.set(concatBytes([meta, index]));
  footer.set(fixed32(0x8b80fb57), 40);
  footer.set(fixed32(0xdb477524), 44);
  return concatBytes([...out, footer]);
}

function crc32c(bytes: Uint8Array): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return ~crc >>> 0;
}

function masked(crc: number): number {
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
