/// <reference types="@webgpu/types" />
/// <reference lib="esnext.disposable" />
// quern/package: replays what `quern compile` made, without WebAssembly (docs/packages.md).

import { abortable, breathe } from '../async.js';
import type { Description } from '../backend.js';
import { chooseDevice, lackOf, type OpenDevice } from '../device.js';
import {
  DeviceLostError,
  InternalError,
  InvalidArgumentError,
  InvalidModelError,
  isLack,
  LimitError,
  UnsupportedError,
} from '../errors.js';
import { GpuSession } from '../gpu-session.js';
import { Gpu } from '../gpu.js';
import type { Progress } from '../load.js';
import { Model, type LoadedModel } from '../model.js';
import { PixelFeeds } from '../pixel-feeds.js';
import type { PixelOptions } from '../pixels/options.js';
import { platform } from '../platform.js';
import type { PrecisionReport } from '../report.js';
import { WeightStore } from '../weights.js';
import { PackagedCore } from './core.js';
import { inflate, PackageFiles, sha256Of, type PackageSource } from './files.js';
import {
  invalid,
  manifestName,
  mostManifestBytes,
  parseManifest,
  type Manifest,
  type Requirements,
} from './format.js';

export {
  DeviceLostError,
  InternalError,
  InvalidArgumentError,
  InvalidModelError,
  LimitError,
  QuernError,
  UnsupportedError,
  type QuernErrorCode,
} from '../errors.js';
export type { Feed, TensorFeed } from '../feeds.js';
export type { Progress } from '../load.js';
export { Model, type RunOptions } from '../model.js';
export type { ModelReport } from '../report.js';
export type { SourceInput } from '../sources.js';
export { Tensor } from '../tensor.js';
export type { Value } from '../value.js';
export type { PackageSource } from './files.js';

export interface PackageOptions {
  /** 'webgpu' (the default), or a GPUDevice, which is used as it is and stays the caller's. */
  device?: 'webgpu' | GPUDevice;
  /** Which GPU, where there are several. */
  powerPreference?: GPUPowerPreference;
  /** 'sha256-' and the hexadecimal digits that `quern compile` printed: of the manifest. */
  integrity?: string;
  /** Where a GPU device of Quern's own is lost, the package is loaded again. True by default. */
  recover?: boolean;
  /** How pictures become inputs, by input (docs/pixels.md). */
  preprocess?: Record<string, PixelOptions>;
  /** Runs under way at once, 2 by default; more wait. */
  maxConcurrent?: number;
  /** Milliseconds that one submission may keep the GPU. 8 by default, in Node Infinity. */
  sliceTime?: number;
  signal?: AbortSignal;
  onProgress?(progress: Progress): void;
}

/** What a load has got of a package before it needs a device. */
interface Opened {
  manifest: Manifest;
  description: Description;
  precision: PrecisionReport;
  plans: Uint8Array<ArrayBuffer>;
}

/** Loads a package: the URL or, in Node, path of its folder; or its files by name. */
export async function loadPackage(
  source: PackageSource,
  options: PackageOptions = {},
): Promise<Model> {
  const start = performance.now();
  const { signal, device = 'webgpu', maxConcurrent = 2, recover = true } = options;
  const { sliceTime = platform.sliceTime } = options;
  signal?.throwIfAborted();
  if (!Number.isInteger(maxConcurrent) || maxConcurrent < 1) {
    throw new InvalidArgumentError(`maxConcurrent: ${maxConcurrent} is no positive number`);
  }
  if (!(sliceTime > 0)) {
    throw new InvalidArgumentError(`sliceTime: ${sliceTime} is no positive number`);
  }
  const files = new PackageFiles(source);

  const once = async (after?: AbortSignal): Promise<LoadedModel> => {
    const begun = performance.now();
    const timings: Record<string, number> = {};
    // The device is asked for while the files come.
    const choosing = chooseDevice(device, options.powerPreference);
    choosing.catch(() => {}); // awaited below
    let open: OpenDevice | undefined;
    try {
      const opened = await openPackage(files, options.integrity, after);
      timings.plans = performance.now() - begun;
      const chosen = await abortable(choosing, after);
      if (chosen.kind !== 'webgpu') throw new UnsupportedError('package: it runs on WebGPU only');
      open = chosen.open;
      checkDevice(opened.manifest.requires, open);
      const backend = await startSession({
        files,
        opened,
        open,
        maxConcurrent,
        sliceTime,
        signal: after,
        timings,
        onProgress: options.onProgress?.bind(options) ?? (() => {}),
      });
      return {
        backend,
        description: opened.description,
        precision: opened.precision,
        reason: chosen.reason,
        adapter: open.info,
        notes: [],
        cache: undefined,
        loadTime: performance.now() - begun,
        phases: timings,
        fallBack: undefined,
        reload: recover && typeof device === 'string' ? () => once() : undefined,
      };
    } catch (error) {
      if (!open) {
        const release = (late: Awaited<typeof choosing>): void => {
          if (late.kind === 'webgpu') late.open.release();
        };
        choosing.then(release, () => {});
      } else if (isLack(error)) throw lackOf(error, open.info);
      throw error;
    }
  };

  let made: LoadedModel;
  try {
    made = await once(signal);
  } catch (error) {
    if (!(error instanceof DeviceLostError) || !recover || typeof device !== 'string') throw error;
    signal?.throwIfAborted();
    made = await once(signal);
    made.notes.push(`loaded again: ${error.message}`);
  }
  try {
    const pixels = new PixelFeeds(made.description.inputs, options.preprocess);
    await pixels.prepare(made.backend.gpu);
    return new Model(made, { ...made, loadTime: performance.now() - start }, pixels);
  } catch (error) {
    made.backend.dispose();
    throw error;
  }
}

async function openPackage(
  files: PackageFiles,
  integrity: string | undefined,
  signal: AbortSignal | undefined,
): Promise<Opened> {
  const bytes = await files.read(manifestName, mostManifestBytes, signal);
  if (integrity !== undefined && integrity !== `sha256-${await sha256Of(bytes)}`) {
    throw new InvalidModelError(`package: ${manifestName} is not that of integrity ${integrity}`);
  }
  const manifest = parseManifest(new TextDecoder().decode(bytes));
  const plans = await files.verified(manifest.files[0]!, signal);
  const json = new TextDecoder().decode(await inflate(plans, manifest.description));
  let parsed: Description & { precisionReport: PrecisionReport };
  try {
    parsed = JSON.parse(json) as typeof parsed;
    for (const node of parsed.nodes) if (!Number.isInteger(node.id)) throw new Error('nodes');
  } catch (error) {
    throw invalid(`its description is damaged: ${String(error)}`);
  }
  const { inputs, outputs, hostInputs, weights } = manifest;
  return {
    manifest,
    plans,
    description: {
      ...parsed,
      ...{ inputs, outputs, hostInputs },
      weights: weights.map((weight) => ({ ...weight, file: '', offset: 0, used: true })),
    },
    precision: parsed.precisionReport,
  };
}

/** Has the device all that the programs were made for? */
function checkDevice({ features, limits, subgroups }: Requirements, open: OpenDevice): void {
  const { device, subgroupMin, subgroupMax } = open;
  const lacking = features.filter((feature) => !device.features.has(feature));
  if (lacking.length > 0) {
    throw new UnsupportedError(`package: it needs the device features ${lacking.join(', ')}`);
  }
  for (const [name, wanted] of Object.entries(limits)) {
    const has: unknown = device.limits[name as keyof GPUSupportedLimits];
    if (typeof has !== 'number') throw invalid(`manifest: there is no limit '${name}'`);
    if (has >= wanted) continue;
    throw new LimitError(`package: it needs ${name} of ${wanted}, the device has ${has}`);
  }
  if (!subgroups || (subgroupMin >= subgroups.min && subgroupMax <= subgroups.max)) return;
  throw new UnsupportedError(
    `package: it needs subgroups of ${subgroups.min} to ${subgroups.max}, the device has ` +
      `${subgroupMin} to ${subgroupMax}`,
  );
}

interface StartOptions {
  files: PackageFiles;
  opened: Opened;
  open: OpenDevice;
  maxConcurrent: number;
  sliceTime: number;
  signal: AbortSignal | undefined;
  timings: Record<string, number>;
  onProgress: (progress: Progress) => void;
}

async function startSession(options: StartOptions): Promise<GpuSession> {
  const { opened, open, signal, timings, onProgress } = options;
  const { manifest, plans, description } = opened;
  const gpu = new Gpu(open);
  const weights = new WeightStore(gpu);
  let session: GpuSession | undefined;
  try {
    const core = await PackagedCore.open(plans, manifest);
    let last = performance.now();
    const timer = (phase: string): void => {
      const now = performance.now();
      timings[phase] = now - last;
      last = now;
    };
    await fillWeights(options, weights);
    await gpu.checked('weights', () => {});
    timer('weights');
    const { maxConcurrent, sliceTime } = options;
    session = new GpuSession({
      ...{ open, gpu, weights, core, description, coreBytes: 0, maxConcurrent, sliceTime },
    });
    const warming = session.warm((loaded, total) =>
      onProgress({ phase: 'compile', loaded, total }),
    );
    await abortable(warming, signal);
    timer('compile');
    return session;
  } catch (error) {
    if (session) session.dispose();
    else {
      weights.close();
      gpu.close();
      open.release();
    }
    // The plans come from outside: what the device says of them is their fault.
    if (error instanceof InternalError) throw new InvalidModelError(`package: ${error.message}`);
    throw error;
  }
}

/** Each file is compared with its hash before anything of it reaches the device. */
async function fillWeights(
  { files, opened: { manifest }, signal, onProgress }: StartOptions,
  store: WeightStore,
): Promise<void> {
  const { weights, files: list } = manifest;
  const total = list.reduce((sum, { bytes }) => sum + bytes, 0);
  let loaded = list[0]!.bytes;
  onProgress({ phase: 'download', loaded, total });
  let coming = total - loaded;
  let weight = 0;
  let offset = 0;
  const skipEmpty = (): void => {
    for (; weight < weights.length && offset === weights[weight]!.bytes; weight++) {
      if (offset === 0) store.allocate(weight, 0, coming);
      offset = 0;
    }
  };
  skipEmpty();
  // The next file is on its way while one is written.
  const fetching = (at: number): Promise<Uint8Array> | undefined => {
    const file = list[at] && files.verified(list[at], signal);
    file?.catch(() => {}); // awaited in its turn
    return file;
  };
  let next = fetching(1);
  for (let at = 1; at < list.length; at++) {
    const bytes = await next!;
    next = fetching(at + 1);
    for (let from = 0; from < bytes.length;) {
      const { bytes: whole } = weights[weight]!;
      const part = bytes.subarray(from, from + Math.min(whole - offset, 1 << 20));
      await store.write({ weight, bytes: whole, offset }, part, coming);
      from += part.length;
      offset += part.length;
      coming -= part.length;
      skipEmpty();
      await breathe();
      signal?.throwIfAborted();
    }
    loaded += bytes.length;
    onProgress({ phase: 'download', loaded, total });
  }
}
