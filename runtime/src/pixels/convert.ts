// eslint-disable-next-line @typescript-eslint/triple-slash-reference -- there is nothing to import
/// <reference path="../wgsl-modules.d.ts" />
// Pictures to inputs on the GPU: one dispatch each, encoded before a run's own commands.

import { LimitError, UnsupportedError } from '../errors.js';
import { align, Usage, type Gpu } from '../gpu.js';
import type { Place } from '../replay.js';
import convertCode from './convert.wgsl';
import type { Conversion } from './options.js';
import { PictureTexture } from './picture-texture.js';
import bufferCode from './source_buffer.wgsl';
import textureCode from './source_texture.wgsl';
import videoCode from './source_video.wgsl';
import { withOrigin, type Source } from './source.js';
import { tapsFor, type Size, type Taps } from './taps.js';

type Variant = 'texture' | 'buffer' | 'video';
interface Converter {
  layout: GPUBindGroupLayout;
  pipeline: GPUComputePipeline;
}

const codes: Record<Variant, string> = {
  texture: textureCode,
  buffer: bufferCode,
  video: videoCode,
};
const sources: Record<Variant, Omit<GPUBindGroupLayoutEntry, 'binding' | 'visibility'>> = {
  texture: { texture: { sampleType: 'unfilterable-float' } },
  buffer: { buffer: { type: 'read-only-storage' } },
  video: { externalTexture: {} },
};
const compute = 0x4; // GPUShaderStage.COMPUTE
const group = 64;
const paramsBytes = 160;
const uniformUsage = Usage.uniform | Usage.copyTarget;

const converters = new WeakMap<GPUDevice, Map<Variant, Promise<Converter>>>();
const made = new WeakMap<GPUDevice, Map<Variant, Converter>>();

/** Devices that would not import a frame: software ones, as a rule. */
const copying = new WeakSet<GPUDevice>();

function variantOf({ device }: Gpu, { kind }: Pick<Source, 'kind'>): Variant {
  if (kind === 'buffer') return 'buffer';
  const imports = 'importExternalTexture' in device && !copying.has(device);
  return kind === 'video' && imports ? 'video' : 'texture';
}

/** Compiles what sources of that kind need; once for each device. */
export async function prepare(gpu: Gpu, kind: Source['kind']): Promise<void> {
  const variant = variantOf(gpu, { kind });
  await prepareVariant(gpu, variant);
  if (variant === 'video') await prepareVariant(gpu, 'texture'); // where frames can't be imported
}

async function prepareVariant(gpu: Gpu, variant: Variant): Promise<void> {
  const { device } = gpu;
  const ofDevice = converters.get(device) ?? new Map<Variant, Promise<Converter>>();
  const ready = made.get(device) ?? new Map<Variant, Converter>();
  converters.set(device, ofDevice);
  made.set(device, ready);
  let converter = ofDevice.get(variant);
  if (!converter) {
    converter = compile(gpu, variant);
    ofDevice.set(variant, converter);
    converter.then(
      (compiled) => ready.set(variant, compiled),
      () => ofDevice.delete(variant),
    );
  }
  await gpu.guard(converter);
}

async function compile(gpu: Gpu, variant: Variant): Promise<Converter> {
  const { device } = gpu;
  const label = `quern pixels ${variant}`;
  const { value, checked } = gpu.scoped(label, () => {
    const layout = device.createBindGroupLayout({
      label,
      entries: [
        { binding: 0, visibility: compute, buffer: { type: 'uniform' } },
        { binding: 1, visibility: compute, buffer: { type: 'read-only-storage' } },
        { binding: 2, visibility: compute, buffer: { type: 'storage' } },
        { binding: 3, visibility: compute, ...sources[variant] },
      ],
    });
    const module = device.createShaderModule({ label, code: convertCode + codes[variant] });
    const pipeline = device.createComputePipelineAsync({
      label,
      layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: { module, entryPoint: 'main' },
    });
    pipeline.catch(() => {}); // the scope tells more
    return { layout, pipeline };
  });
  gpu.counters.shaderModules++;
  gpu.counters.pipelines++;
  await checked;
  return { layout: value.layout, pipeline: await gpu.guard(value.pipeline) };
}

/** A picture's place in its input. */
export interface Target {
  to: Place;
  /** Of the whole input. */
  bytes: number;
  /** Which picture of the input. */
  index: number;
  size: Size;
}

/** What one picture of an input keeps on the device between runs. */
export class Slot {
  readonly gpu: Gpu;
  readonly #picture: PictureTexture;
  #params: GPUBuffer | undefined;
  #taps: GPUBuffer | undefined;
  /** What the parameters and tables were made of. */
  #key = '';
  #bound: { group: GPUBindGroup; target: Target; source: object } | undefined;

  constructor(gpu: Gpu) {
    this.gpu = gpu;
    this.#picture = new PictureTexture(gpu);
  }

  /**
   * Encodes the conversion of a picture as it is now; the commands must be submitted before this is
   * called again. `what` begins the messages of errors.
   */
  encode(
    encoder: GPUCommandEncoder,
    what: string,
    conversion: Conversion,
    source: Source,
    target: Target,
  ): void {
    const gpu = this.gpu;
    const { maxStorageBufferBindingSize, maxComputeWorkgroupsPerDimension } = gpu.device.limits;
    if (target.bytes > maxStorageBufferBindingSize) {
      throw new LimitError(
        `${what}: the device binds ${maxStorageBufferBindingSize} bytes, the input has ` +
          `${target.bytes}`,
      );
    }
    const perWord = 4 / conversion.elementBytes;
    const pixels = target.size.width * target.size.height;
    const items = perWord === 1 ? pixels : Math.ceil((pixels * conversion.channels) / perWord);
    const groups = Math.ceil(items / group);
    const rowGroups = Math.min(groups, maxComputeWorkgroupsPerDimension);
    this.#write(what, conversion, source, target, { items, rowItems: rowGroups * group });

    const { pipeline, bindGroup } = this.#bind(what, source, target);
    const pass = encoder.beginComputePass({ label: 'quern pixels' });
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, bindGroup);
    pass.dispatchWorkgroups(rowGroups, Math.ceil(groups / rowGroups));
    pass.end();
  }

  #bind(what: string, source: Source, target: Target) {
    const gpu = this.gpu;
    let resource: GPUBindingResource;
    let key: object;
    const frame = source.kind === 'video' ? this.#import(what, source.image) : undefined;
    if (frame) {
      key = resource = frame; // another object each time
    } else if (source.kind === 'buffer') {
      key = source.buffer;
      resource = { buffer: source.buffer };
    } else {
      ({ key, view: resource } = this.#picture.of(what, source));
    }
    const variant = frame ? 'video' : source.kind === 'buffer' ? 'buffer' : 'texture';
    const { layout, pipeline } = made.get(gpu.device)!.get(variant)!;
    const { to, bytes } = target;
    const before = this.#bound;
    if (
      before?.source === key &&
      before.target.bytes === bytes &&
      before.target.to.buffer === to.buffer &&
      before.target.to.offset === to.offset
    ) {
      return { pipeline, bindGroup: before.group };
    }
    const bindGroup = gpu.createBindGroup(layout, [
      { binding: 0, resource: { buffer: this.#params! } },
      { binding: 1, resource: { buffer: this.#taps! } },
      { binding: 2, resource: { ...to, size: align(bytes, 4) } },
      { binding: 3, resource },
    ]);
    this.#bound = { group: bindGroup, target, source: key };
    return { pipeline, bindGroup };
  }

  /** The frame as it is; undefined where it has to be copied, on the GPU if it lies there. */
  #import(what: string, source: HTMLVideoElement | VideoFrame): GPUExternalTexture | undefined {
    const { device } = this.gpu;
    if (variantOf(this.gpu, { kind: 'video' }) !== 'video') return undefined;
    try {
      return withOrigin(what, () => device.importExternalTexture({ source }));
    } catch (error) {
      if ((error as { name?: unknown }).name !== 'OperationError') throw error;
      copying.add(device);
      return undefined;
    }
  }

  /** Parameters and tables, where they are not those of the run before. */
  #write(
    what: string,
    conversion: Conversion,
    source: Source,
    { index, size, bytes }: Target,
    { items, rowItems }: { items: number; rowItems: number },
  ): void {
    const { channels, elementBytes, matrix, bias, padColor, placing, axes, dims } = conversion;
    const { width, height } = source;
    const key = JSON.stringify([
      ...[width, height, size, index, rowItems, bytes, placing],
      ...[channels, axes, matrix, bias, padColor],
    ]);
    if (key === this.#key) return;
    const plane = size.width * size.height;
    const imageBytes = plane * channels * elementBytes;
    if (index > 0 && imageBytes % 4 !== 0) {
      throw new UnsupportedError(
        `${what}: pictures of ${imageBytes} bytes, no whole words, do not go into one input`,
      );
    }
    const last = axes.channel >= 0 && axes.channel === dims.length - 1;
    const taps = tapsFor(source, size, placing);
    const params = new ArrayBuffer(paramsBytes);
    new Uint32Array(params).set([
      ...[size.width, size.height, channels, last ? channels : 1, last ? 1 : plane],
      ...[(index * imageBytes) / 4, 4 / elementBytes, items, rowItems],
      ...[taps.x.count, taps.y.count, width, height],
    ]);
    const floats = new Float32Array(params);
    matrix.forEach((column, c) => floats.set(column, 16 + c * 4));
    floats.set(bias, 32);
    floats.set(padColor, 36);

    const gpu = this.gpu;
    const table = [taps.x, taps.y].map(tableOf);
    const tableBytes = table.reduce((sum, { byteLength }) => sum + byteLength, 0);
    this.#params ??= gpu.createBuffer('pixel params', paramsBytes, uniformUsage);
    if (!this.#taps || this.#taps.size < tableBytes) {
      if (this.#taps) gpu.destroyBuffer(this.#taps);
      this.#taps = gpu.createBuffer('pixel taps', tableBytes, Usage.storage | Usage.copyTarget);
      this.#bound = undefined;
    }
    gpu.queue.writeBuffer(this.#params, 0, params);
    gpu.queue.writeBuffer(this.#taps, 0, table[0]!);
    gpu.queue.writeBuffer(this.#taps, table[0]!.byteLength, table[1]!);
    this.#key = key;
  }

  /** Frees its memory; commands submitted before may still use it. */
  dispose(): void {
    for (const buffer of [this.#params, this.#taps]) if (buffer) this.gpu.destroyBuffer(buffer);
    this.#picture.dispose();
    this.#params = this.#taps = this.#bound = undefined;
    this.#key = '';
  }
}

/** [first, weights...] for each element of an axis. */
function tableOf({ count, first, weights }: Taps): Uint32Array<ArrayBuffer> {
  const table = new Uint32Array(first.length * (count + 1));
  const bits = new Uint32Array(weights.buffer);
  first.forEach((pixel, i) => {
    table[i * (count + 1)] = pixel;
    table.set(bits.subarray(i * count, (i + 1) * count), i * (count + 1) + 1);
  });
  return table;
}
