// The device that a package is made for, in words instead of a GPUDevice.

import type { Target } from '../device.js';
import { InvalidArgumentError } from '../errors.js';
import type { Requirements } from '../package/format.js';

/** WebGPU's own: every device has at least these. */
const defaultLimits = {
  maxBufferSize: 256 << 20,
  maxStorageBufferBindingSize: 128 << 20,
  maxStorageBuffersPerShaderStage: 8,
  maxComputeWorkgroupStorageSize: 16 << 10,
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupSizeX: 256,
  maxComputeWorkgroupSizeY: 256,
  maxComputeWorkgroupSizeZ: 64,
  maxComputeWorkgroupsPerDimension: 65_535,
};
type LimitName = keyof typeof defaultLimits;

/** Features that make a difference to kernels. */
const features = ['shader-f16', 'subgroups'];
/** Sizes that WebGPU allows. */
const anySubgroups = { min: 4, max: 128 };

export interface TargetOptions {
  features: readonly string[];
  /** NAME=VALUE. */
  limits: readonly string[];
  /** MIN-MAX, or one size. */
  subgroupSize?: string | undefined;
}

export function targetOf(options: TargetOptions): { target: Target; requires: Requirements } {
  for (const feature of options.features) {
    if (features.includes(feature)) continue;
    throw new InvalidArgumentError(`--features ${feature}: it is one of ${features.join(', ')}`);
  }
  const limits = { ...defaultLimits };
  for (const option of options.limits) {
    const [, name = '', digits] = /^(\w+)=(\d+)$/.exec(option) ?? [];
    if (!Object.hasOwn(limits, name)) {
      throw new InvalidArgumentError(
        `--limit ${option}: expected NAME=VALUE, NAME one of ${Object.keys(limits).join(', ')}`,
      );
    }
    limits[name as LimitName] = Number(digits);
  }
  const hasSubgroups = options.features.includes('subgroups');
  if (options.subgroupSize !== undefined && !hasSubgroups) {
    throw new InvalidArgumentError('--subgroup-size: only with --features subgroups');
  }
  const [, min = '', max = min] = /^(\d+)(?:-(\d+))?$/.exec(options.subgroupSize ?? '4-128') ?? [];
  const subgroups = hasSubgroups ? { min: Number(min), max: Number(max) } : null;
  if (subgroups && !(subgroups.min >= anySubgroups.min && subgroups.max <= anySubgroups.max)) {
    throw new InvalidArgumentError(
      `--subgroup-size ${options.subgroupSize}: expected MIN-MAX, from 4 to 128`,
    );
  }
  return {
    target: {
      subgroupMin: subgroups?.min ?? 0,
      subgroupMax: subgroups?.max ?? 0,
      device: { features: new Set(options.features), limits },
    },
    requires: { features: [...options.features], limits, subgroups },
  };
}
