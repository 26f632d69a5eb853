// eslint-disable-next-line @typescript-eslint/triple-slash-reference -- there is nothing to import
/// <reference path="../wgsl-modules.d.ts" />
// Draws tensors: on the GPU in one render pass, without one to a 2D canvas.

import { InvalidArgumentError } from '../errors.js';
import { align, storageUsage, Usage, type Gpu } from '../gpu.js';
import type { PixelSource } from '../pixel-feeds.js';
import { tensorBytes, type Tensor } from '../tensor.js';
import type { DrawOptions, DrawTarget } from './draw-options.js';
import { kinds, modes, planDrawing, type DrawPlan } from './draw-plan.js';
import code from './draw.wgsl';
import { PictureTexture } from './picture-texture.js';
import { describe, ready } from './source.js';

interface Drawer {
  layout: GPUBindGroupLayout;
  module: GPUShaderModule;
  pipelineLayout: GPUPipelineLayout;
  /** By the target's format. */
  pipelines: Map<string, Promise<GPURenderPipeline>>;
}

// GPUShaderStage
const fragment = 0x2;
const renderAttachment = 0x10; // GPUTextureUsage
const paramsBytes = 480;

/** What drawings keep on the device between one and the next. */
export class DrawSlot {
  readonly gpu: Gpu;
  readonly top: PictureTexture;
  readonly under: PictureTexture;
  params: GPUBuffer | undefined;
  elements: GPUBuffer | undefined;
  /** Bound where there is no picture. */
  none: GPUTexture | undefined;

  constructor(gpu: Gpu) {
    this.gpu = gpu;
    this.top = new PictureTexture(gpu);
    this.under = new PictureTexture(gpu);
  }

  dispose(): void {
    for (const buffer of [this.params, this.elements]) if (buffer) this.gpu.destroyBuffer(buffer);
    if (this.none) this.gpu.destroyTexture(this.none);
    this.params = this.elements = this.none = undefined;
    this.top.dispose();
    this.under.dispose();
  }
}

const drawers = new WeakMap<GPUDevice, Drawer>();

/** `slot`: of the model's device; without one the tensor is in host memory. */
export async function draw(
  slot: DrawSlot | undefined,
  tensor: Tensor,
  target: DrawTarget,
  options: DrawOptions,
): Promise<void> {
  if (slot) return drawOnGpu(slot, tensor, target, options);
  const { drawOnHost } = await import('./draw-cpu.js');
  return drawOnHost(tensor, target, options);
}

async function drawOnGpu(
  slot: DrawSlot,
  tensor: Tensor,
  target: DrawTarget,
  options: DrawOptions,
): Promise<void> {
  const { gpu } = slot;
  const format = formatOf(target);
  const { width, height } = target;
  if (!(width > 0 && height > 0)) {
    throw new InvalidArgumentError(`draw: a target of ${width}x${height} has no pixels`);
  }
  const plan = planDrawing(tensor, { width, height }, options);
  for (const [what, picture] of pictures(plan)) {
    await ready(what, picture);
    if (describe(what, picture).kind === 'buffer') {
      throw new InvalidArgumentError(
        `${what}: pixels in a GPUBuffer can't be drawn, a texture can`,
      );
    }
  }
  const drawer = drawerOf(gpu);
  const pipeline = await pipelineOf(gpu, drawer, format);
  await gpu.checked('draw', () => {
    const view = viewOf(gpu.device, target, format);
    const bindGroup = gpu.createBindGroup(drawer.layout, entries(slot, plan, tensor, target));
    const encoder = gpu.device.createCommandEncoder();
    const pass = encoder.beginRenderPass({
      colorAttachments: [{ view, loadOp: 'clear', storeOp: 'store' }],
    });
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, bindGroup);
    pass.draw(3);
    pass.end();
    gpu.queue.submit([encoder.finish()]);
  });
}

function isPicture(layer: DrawPlan['top']): layer is PixelSource {
  return !Array.isArray(layer);
}

export function pictures({ top, under }: DrawPlan): [what: string, picture: PixelSource][] {
  return [
    ...(isPicture(top) ? [['draw, foreground', top] as [string, PixelSource]] : []),
    ...(isPicture(under) ? [['draw, picture below', under] as [string, PixelSource]] : []),
  ];
}

function entries(
  slot: DrawSlot,
  plan: DrawPlan,
  tensor: Tensor,
  { width, height }: { width: number; height: number },
): GPUBindGroupEntry[] {
  const { gpu } = slot;
  slot.params ??= gpu.createBuffer('draw params', paramsBytes, Usage.uniform | Usage.copyTarget);
  gpu.queue.writeBuffer(slot.params, 0, paramsOf(plan, width, height));
  const view = (texture: PictureTexture, layer: DrawPlan['top'], what: string): GPUTextureView => {
    if (!isPicture(layer)) {
      slot.none ??= gpu.createTexture({ size: [1, 1], format: 'rgba8unorm', usage: 0x4 });
      return slot.none.createView();
    }
    const source = describe(what, layer);
    if (source.kind === 'buffer') throw new InvalidArgumentError(`${what}: it is a buffer`);
    return texture.of(what, source).view;
  };
  return [
    { binding: 0, resource: { buffer: slot.params } },
    { binding: 1, resource: { buffer: bufferOf(slot, tensor), size: align(tensor.byteLength, 4) } },
    { binding: 2, resource: view(slot.top, plan.top, 'draw, foreground') },
    { binding: 3, resource: view(slot.under, plan.under, 'draw, picture below') },
  ];
}

function bufferOf(slot: DrawSlot, tensor: Tensor): GPUBuffer {
  if (tensor.location === 'gpu') {
    if (tensor.buffer.usage & Usage.storage) return tensor.buffer;
    throw new InvalidArgumentError('draw: the tensor’s GPUBuffer lacks the usage STORAGE');
  }
  const { gpu } = slot;
  const bytes = tensorBytes(tensor);
  if (!slot.elements || slot.elements.size < bytes.length) {
    if (slot.elements) gpu.destroyBuffer(slot.elements);
    slot.elements = gpu.createBuffer('draw tensor', bytes.length, storageUsage);
  }
  const whole = bytes.length - (bytes.length % 4);
  gpu.queue.writeBuffer(slot.elements, 0, bytes, 0, whole);
  if (whole < bytes.length) {
    const tail = new Uint8Array(4);
    tail.set(bytes.subarray(whole));
    gpu.queue.writeBuffer(slot.elements, whole, tail);
  }
  return slot.elements;
}

/** As draw.wgsl has them. */
function paramsOf(plan: DrawPlan, width: number, height: number): ArrayBuffer {
  const params = new ArrayBuffer(paramsBytes);
  const floats = new Float32Array(params);
  const { matrix, bias, stops, map, inside, range, top, under } = plan;
  matrix.forEach((column, c) => floats.set(column, c * 4));
  floats.set(bias, 16);
  stops.forEach((stop, i) => floats.set(stop, 20 + i * 4));
  floats.set([...map.scale, ...map.offset], 88);
  floats.set([inside.x, inside.y, inside.right, inside.bottom], 92);
  if (!isPicture(top)) floats.set(top, 96);
  if (!isPicture(under)) floats.set(under, 100);
  floats.set([range.scale, range.offset, plan.threshold, plan.opacity, width, height], 104);
  new Uint32Array(params, 110 * 4).set([
    ...[plan.width, plan.pixelStride, plan.channelStride, plan.firstElement, plan.channels],
    ...[kinds.indexOf(plan.kind), modes.indexOf(plan.mode), Number(plan.nearest)],
    Number(isPicture(top)) | (Number(isPicture(under)) << 1),
  ]);
  return params;
}

function drawerOf(gpu: Gpu): Drawer {
  const { device } = gpu;
  let drawer = drawers.get(device);
  if (!drawer) {
    const texture: GPUTextureBindingLayout = { sampleType: 'unfilterable-float' };
    const layout = device.createBindGroupLayout({
      entries: [
        { binding: 0, visibility: fragment, buffer: { type: 'uniform' } },
        { binding: 1, visibility: fragment, buffer: { type: 'read-only-storage' } },
        { binding: 2, visibility: fragment, texture },
        { binding: 3, visibility: fragment, texture },
      ],
    });
    drawer = {
      layout,
      module: device.createShaderModule({ label: 'quern draw', code }),
      pipelineLayout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      pipelines: new Map(),
    };
    gpu.counters.shaderModules++;
    drawers.set(device, drawer);
  }
  return drawer;
}

async function pipelineOf(
  gpu: Gpu,
  { module, pipelineLayout, pipelines }: Drawer,
  format: GPUTextureFormat,
): Promise<GPURenderPipeline> {
  let pipeline = pipelines.get(format);
  if (!pipeline) {
    gpu.counters.pipelines++;
    pipeline = gpu.device.createRenderPipelineAsync({
      label: 'quern draw',
      layout: pipelineLayout,
      vertex: { module, entryPoint: 'corner' },
      fragment: { module, entryPoint: 'shade', targets: [{ format }] },
    });
    pipelines.set(format, pipeline);
    pipeline.catch(() => pipelines.delete(format));
  }
  return gpu.guard(pipeline);
}

function formatOf(target: DrawTarget): GPUTextureFormat {
  if ('getContext' in target) return navigator.gpu.getPreferredCanvasFormat();
  const { format, usage, dimension, sampleCount } = target;
  const fail = (text: string): never => {
    throw new InvalidArgumentError(`draw: the GPUTexture ${text}`);
  };
  if (!(usage & renderAttachment)) fail('lacks the usage RENDER_ATTACHMENT');
  if (dimension !== '2d' || sampleCount !== 1) fail(`has ${sampleCount} samples, ${dimension}`);
  if (!/^(r|rg|rgba|bgra)(8unorm|16float|32float)(-srgb)?$|^rgb10a2unorm$/.test(format)) {
    fail(`is of format ${format}, which takes no colours here`);
  }
  return format;
}

const contexts = new WeakMap<object, { context: GPUCanvasContext; device: GPUDevice }>();

function viewOf(device: GPUDevice, target: DrawTarget, format: GPUTextureFormat): GPUTextureView {
  if (!('getContext' in target)) {
    return target.createView({ dimension: '2d', mipLevelCount: 1, arrayLayerCount: 1 });
  }
  let known = contexts.get(target);
  if (known?.device !== device) {
    const context = known?.context ?? (target as OffscreenCanvas).getContext('webgpu');
    if (!context) {
      throw new InvalidArgumentError('draw: the canvas has a context of another kind already');
    }
    context.configure({ device, format, alphaMode: 'premultiplied' });
    known = { context, device };
    contexts.set(target, known);
  }
  return known.context.getCurrentTexture().createView();
}
