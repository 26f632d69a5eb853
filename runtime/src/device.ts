// Which device a model runs on, and why.

import {
  errorOf,
  InvalidArgumentError,
  UnsupportedError,
  type LimitError,
  type QuernError,
} from './errors.js';
import { platform } from './platform.js';

export type DeviceChoice = 'auto' | 'webgpu' | 'wasm' | GPUDevice;

/** The names by which a GPU can be told from another. */
export interface AdapterInfo {
  vendor: string;
  architecture: string;
  device: string;
  description: string;
  /** Runs on the CPU. */
  software: boolean;
}

/** Rows, columns and depth of a product that a subgroup does at once. */
export interface MatrixShape {
  m: number;
  n: number;
  k: number;
}

/** A GPUDevice with what it is. */
export interface OpenDevice {
  device: GPUDevice;
  info: AdapterInfo;
  /** Subgroup sizes, 0 where unknown. */
  subgroupMin: number;
  subgroupMax: number;
  /** Of subgroup matrices of f16 with f32 sums, where kernels can use them. */
  matrixF16?: MatrixShape;
  /** The caller's device: never destroyed here. */
  borrowed: boolean;
  /** Gives the device back; it is destroyed when nobody uses it, unless it is borrowed. */
  release(): void;
}

export type Chosen = { reason: string } & ({ kind: 'webgpu'; open: OpenDevice } | { kind: 'wasm' });

/** Limits that are asked for as high as the adapter has them. */
const wantedLimits = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupSizeY',
  'maxComputeWorkgroupSizeZ',
  'maxComputeWorkgroupsPerDimension',
] as const;

/** Dawn's, behind its toggle allow_unsafe_apis. */
const subgroupMatrix = 'chromium-experimental-subgroup-matrix' as GPUFeatureName;

const wantedFeatures: readonly GPUFeatureName[] = [
  'shader-f16',
  'subgroups',
  'timestamp-query',
  subgroupMatrix,
];

const softwareNames = /swiftshader|llvmpipe|lavapipe|microsoft basic render|\bwarp\b|software/i;

/**
 * Decides for a device. 'auto' takes no GPU that is emulated by the CPU. `onWebGpu` is told as soon
 * as it is to be WebGPU, which may fail afterwards.
 */
export async function chooseDevice(
  choice: DeviceChoice,
  powerPreference?: GPUPowerPreference,
  onWebGpu: () => void = () => {},
): Promise<Chosen> {
  if (choice === 'wasm') return { kind: 'wasm', reason: 'asked for' };
  if (choice !== 'auto' && choice !== 'webgpu') {
    if (typeof choice !== 'object' || typeof choice.createBuffer !== 'function') {
      throw new InvalidArgumentError('device: it is none of auto, webgpu, wasm, a GPUDevice');
    }
    onWebGpu();
    return { kind: 'webgpu', reason: 'the caller’s device', open: await borrow(choice) };
  }

  let reason = 'a GPU is there';
  try {
    if (choice === 'webgpu') onWebGpu();
    const adapter = await requestAdapter(powerPreference);
    const info = describeAdapter(adapter.info, isFallback(adapter));
    if (choice === 'webgpu') reason = 'asked for';
    else if (info.software) {
      return { kind: 'wasm', reason: `the only GPU adapter is software: ${nameOf(info)}` };
    } else onWebGpu();
    const open = await openShared(adapter, info, powerPreference);
    return { kind: 'webgpu', reason, open };
  } catch (error) {
    if (choice === 'webgpu' || !(error instanceof UnsupportedError)) throw error;
    return { kind: 'wasm', reason: error.message };
  }
}

/** `software`: one that runs on the CPU. */
export async function requestAdapter(
  powerPreference?: GPUPowerPreference,
  software = false,
): Promise<GPUAdapter> {
  const gpu = await platform.gpu();
  let adapter: GPUAdapter | null;
  try {
    adapter = await gpu.requestAdapter({
      ...(powerPreference ? { powerPreference } : {}),
      ...(software ? { forceFallbackAdapter: true } : {}),
    });
  } catch (error) {
    throw new UnsupportedError(`webgpu: no adapter: ${String(error)}`, { cause: error });
  }
  if (!adapter) throw new UnsupportedError('webgpu: the browser or system offers no GPU adapter');
  return adapter;
}

/** Where browsers had the property before it moved into `info`. */
function isFallback(adapter: GPUAdapter): boolean {
  return (adapter as { isFallbackAdapter?: boolean }).isFallbackAdapter === true;
}

function describeAdapter(info: GPUAdapterInfo | undefined, fallback: boolean): AdapterInfo {
  const { vendor = '', architecture = '', device = '', description = '' } = info ?? {};
  const software =
    fallback ||
    info?.isFallbackAdapter === true ||
    softwareNames.test(`${vendor} ${architecture} ${device} ${description}`);
  return { vendor, architecture, device, description, software };
}

/** A GPU's name for people. */
export function nameOf({ vendor, architecture, device, description }: AdapterInfo): string {
  return description || [vendor, architecture, device].filter(Boolean).join(' ') || 'unnamed';
}

/** An error of what a GPU lacks, with the GPU's name. */
export function lackOf(error: UnsupportedError | LimitError, info: AdapterInfo): QuernError {
  return errorOf(error.code, `${error.message} (WebGPU on ${nameOf(info)})`, error);
}

/** What the experimental feature adds to GPUAdapterInfo. */
interface SubgroupMatrixConfig {
  componentType: string;
  resultComponentType: string;
  M: number;
  N: number;
  K: number;
}
type MatrixInfo = GPUAdapterInfo & { subgroupMatrixConfigs?: Iterable<SubgroupMatrixConfig> };

/** The smallest program in the form that kernels have: the feature's language still changes. */
const matrixProbe = ({ m, n, k }: MatrixShape, workgroup: number): string => `
enable f16;
enable chromium_experimental_subgroup_matrix;
var<workgroup> tile: array<vec4<u32>, 256>;
@compute @workgroup_size(${workgroup}) fn main() {
  let a = subgroupMatrixLoad<subgroup_matrix_left<f16, ${k}, ${m}>, row_major>(&tile, 0u, 8u);
  let b = subgroupMatrixLoad<subgroup_matrix_right<f16, ${n}, ${k}>, row_major>(&tile, 0u, 8u);
  let y = subgroupMatrixMultiply<f32>(a, b);
  subgroupMatrixStore<row_major>(&tile, 0u, y, 8u);
}`;

/** Can kernels use subgroup matrices of f16? Their shape then. */
async function matrixShape(
  device: GPUDevice,
  raw: GPUAdapterInfo | undefined,
): Promise<MatrixShape | undefined> {
  const { subgroupMinSize = 0, subgroupMaxSize = 0 } = raw ?? {};
  const needed = [subgroupMatrix, 'shader-f16', 'subgroups'] as const;
  if (!needed.every((name) => device.features.has(name))) return undefined;
  // How invocations share a matrix is only known where subgroups have one size.
  if (subgroupMinSize !== subgroupMaxSize || subgroupMaxSize === 0) return undefined;
  const configs = [...((raw as MatrixInfo).subgroupMatrixConfigs ?? [])];
  const config = configs.find(
    ({ componentType, resultComponentType, M, N, K }) =>
      componentType === 'f16' && resultComponentType === 'f32' && M === 16 && N === 16 && K === 16,
  );
  if (!config) return undefined;
  const shape = { m: config.M, n: config.N, k: config.K };
  device.pushErrorScope('validation');
  const module = device.createShaderModule({ code: matrixProbe(shape, subgroupMaxSize) });
  device.createComputePipeline({ layout: 'auto', compute: { module } });
  const error = await device.popErrorScope();
  return error ? undefined : shape;
}

async function opened(device: GPUDevice, info: AdapterInfo, raw?: GPUAdapterInfo) {
  const { subgroupMinSize = 0, subgroupMaxSize = 0 } = raw ?? {};
  const matrixF16 = await matrixShape(device, raw);
  return {
    ...{ device, info, subgroupMin: subgroupMinSize, subgroupMax: subgroupMaxSize },
    ...(matrixF16 ? { matrixF16 } : {}),
  };
}

async function borrow(device: GPUDevice): Promise<OpenDevice> {
  // Browsers of 2024 have no adapterInfo on devices.
  const raw = device.adapterInfo as GPUAdapterInfo | undefined;
  return {
    ...(await opened(device, describeAdapter(raw, false), raw)),
    borrowed: true,
    release() {},
  };
}

/** Devices of our own by power preference: models share one, so tensors go from model to model. */
const shared = new Map<string, { device: Promise<GPUDevice>; users: number }>();

async function openShared(
  adapter: GPUAdapter,
  info: AdapterInfo,
  powerPreference = '',
): Promise<OpenDevice> {
  let entry = shared.get(powerPreference);
  if (!entry) {
    const created = { device: requestDevice(adapter), users: 0 };
    entry = created;
    shared.set(powerPreference, created);
    const forget = (): void => {
      if (shared.get(powerPreference) === created) shared.delete(powerPreference);
    };
    created.device.then((device) => device.lost.then(forget), forget);
  }
  const own = entry;
  own.users++;
  const device = await own.device;
  let released = false;
  return {
    ...(await opened(device, info, adapter.info)),
    borrowed: false,
    release() {
      if (released) return;
      released = true;
      if (--own.users > 0) return;
      if (shared.get(powerPreference) === own) shared.delete(powerPreference);
      device.destroy();
    },
  };
}

/** A device with all that Quern makes use of. */
export async function requestDevice(adapter: GPUAdapter): Promise<GPUDevice> {
  const requiredLimits = Object.fromEntries(
    wantedLimits.map((name) => [name, adapter.limits[name]]),
  );
  const requiredFeatures = wantedFeatures.filter((name) => adapter.features.has(name));
  try {
    return await adapter.requestDevice({ label: 'quern', requiredFeatures, requiredLimits });
  } catch (error) {
    throw new UnsupportedError(`webgpu: the adapter gives no device: ${String(error)}`, {
      cause: error,
    });
  }
}

/** What kernels' tiles depend on, by vendor. Measured for NVIDIA alone: docs/tuning.md corrects it. */
interface Family {
  /** Of the family's usual device, browsers tell none; else a large device is assumed. */
  cores?: number;
  /**
   * Sum of 1 where its compiler does better if operands of products are bound for writing, 2 where
   * it multiplies four bytes at once (all browsers that tell the vendor have it in WGSL).
   */
  traits?: number;
}
const families: Record<string, Family> = {
  apple: { cores: 16 },
  arm: { cores: 12 },
  'img-tec': { cores: 8 },
  intel: { cores: 16 },
  nvidia: { traits: 3 },
  qualcomm: { cores: 8 },
  samsung: { cores: 8 },
};

/** Cores, emulated by a CPU, traits: as targetWords has them. */
function familyWords({ vendor, software }: AdapterInfo): [number, number, number] {
  if (software) return [platform.cores(), 1, 0];
  const { cores = 0, traits = 0 } = families[vendor.toLowerCase()] ?? {};
  return [cores, 0, traits];
}

/** What plans depend on of a device. */
export type Target = Pick<OpenDevice, 'subgroupMin' | 'subgroupMax' | 'matrixF16'> & {
  info?: AdapterInfo;
  device: {
    features: ReadonlySet<string>;
    limits: { readonly [name in (typeof wantedLimits)[number]]: number };
  };
};

/** The words by which quern_loader_finish learns of a device (src/api/abi.h). */
export function targetWords(open: Target, passes: boolean): Uint32Array<ArrayBuffer> {
  const { limits, features } = open.device;
  const wide = (value: number): [number, number] => [value % 2 ** 32, Math.floor(value / 2 ** 32)];
  return Uint32Array.of(
    0,
    Number(passes),
    0,
    Number(features.has('shader-f16')),
    Number(features.has('subgroups')),
    open.subgroupMin,
    open.subgroupMax,
    limits.maxStorageBuffersPerShaderStage,
    limits.maxComputeInvocationsPerWorkgroup,
    limits.maxComputeWorkgroupStorageSize,
    limits.maxComputeWorkgroupsPerDimension,
    ...wide(limits.maxStorageBufferBindingSize),
    ...wide(limits.maxBufferSize),
    ...(open.matrixF16 ? [open.matrixF16.m, open.matrixF16.n, open.matrixF16.k] : [0, 0, 0]),
    ...(open.info ? familyWords(open.info) : []),
  );
}
