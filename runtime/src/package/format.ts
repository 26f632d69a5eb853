// The manifest of a package (docs/packages.md): what its files hold, checked field by field.

import type { ValueInfo, WeightInfo } from '../backend.js';
import { byteSize, dtypeOf, elementCount, numberOf, type DType } from '../dtype.js';
import { InvalidModelError, UnsupportedError } from '../errors.js';
import { planVersion } from '../plan.js';

export const manifestName = 'manifest.json';
/** Raised when a package of before can't be read any more. */
export const packageVersion = 1;
/** Of the manifest, of one file, and of what a section becomes when it is inflated. */
export const mostManifestBytes = 64 << 20;
export const mostFileBytes = 256 << 20;
export const mostSectionBytes = 256 << 20;
/** As the core bounds its arenas. */
export const mostArenaBytes = 2 ** 32;

/** A file of the package: what it must be, to the bit. */
export interface PackageFile {
  name: string;
  bytes: number;
  /** In hexadecimal digits. */
  sha256: string;
}

/** A part of the first file, compressed (zlib). */
export interface Section {
  offset: number;
  bytes: number;
  /** When inflated. */
  rawBytes: number;
}

/** The inputs that a plan is for. */
export interface Binding {
  /** By input; null where it is left out. */
  dims: (number[] | null)[];
  /** Contents in hexadecimal digits, of the inputs that the plan was made by. */
  values: Record<string, string>;
  plan: Section;
}

/** What a device must have. */
export interface Requirements {
  features: string[];
  /** By their names in GPUSupportedLimits. */
  limits: Record<string, number>;
  /** Sizes of subgroups that the programs are for; null: they use none. */
  subgroups: { min: number; max: number } | null;
}

export interface PackagedWeight extends Pick<WeightInfo, 'name' | 'dtype' | 'dims' | 'bytes'> {
  /** Nothing but the load program reads it. */
  loadOnly: boolean;
}

export interface Manifest {
  requires: Requirements;
  inputs: ValueInfo[];
  outputs: ValueInfo[];
  /** Inputs whose contents choose the plan, by number. */
  hostInputs: number[];
  /** JSON for the report: what the core says of a session. */
  description: Section;
  /** Programs, and what is done once at load: a plan message. */
  common: Section;
  /** A plan message each. */
  bindings: Binding[];
  /** They lie in the files after the first, one after the other. */
  weights: PackagedWeight[];
  files: PackageFile[];
}

export function invalid(what: string): InvalidModelError {
  return new InvalidModelError(`package: ${what}`);
}

type Fields = Record<string, unknown>;

/** Throws an InvalidModelError with the field that is wrong. */
export function parseManifest(text: string): Manifest {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw invalid(`${manifestName} is no JSON: ${String(error)}`);
  }
  const top = fields(json, 'manifest');
  if (top.format !== 'quern-package') throw invalid(`${manifestName} is not that of a package`);
  if (top.version !== packageVersion || top.planVersion !== planVersion) {
    throw new UnsupportedError(
      `package: it has version ${String(top.version)}.${String(top.planVersion)}, this quern reads ` +
        `${packageVersion}.${planVersion}: compile the model again`,
    );
  }
  const files = list(top.files, 'files').map(parseFile);
  if (files.length === 0) throw invalid('manifest: files is empty');
  const inputs = list(top.inputs, 'inputs').map(parseValue);
  const section = (value: unknown, what: string): Section =>
    parseSection(value, what, files[0]!.bytes);
  const manifest: Manifest = {
    requires: parseRequirements(top.requires),
    inputs,
    outputs: list(top.outputs, 'outputs').map(parseValue),
    hostInputs: list(top.hostInputs, 'hostInputs').map((input) =>
      natural(input, 'hostInputs', inputs.length - 1),
    ),
    description: section(top.description, 'description'),
    common: section(top.common, 'common'),
    bindings: list(top.bindings, 'bindings').map((binding) =>
      parseBinding(binding, inputs, section),
    ),
    weights: list(top.weights, 'weights').map(parseWeight),
    files,
  };
  const sum = (items: { bytes: number }[]): number =>
    items.reduce((total, { bytes }) => total + bytes, 0);
  if (manifest.bindings.length === 0) throw invalid('manifest: bindings is empty');
  if (sum(manifest.weights) !== sum(files.slice(1))) {
    throw invalid(
      `manifest: weights of ${sum(manifest.weights)} bytes in files of ${sum(files.slice(1))}`,
    );
  }
  return manifest;
}

function fields(value: unknown, what: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  throw invalid(`manifest: ${what} is no object`);
}

function list(value: unknown, what: string): unknown[] {
  if (Array.isArray(value)) return value;
  throw invalid(`manifest: ${what} is no list`);
}

function text(value: unknown, what: string): string {
  if (typeof value === 'string') return value;
  throw invalid(`manifest: ${what} is no text`);
}

function natural(value: unknown, what: string, most = Number.MAX_SAFE_INTEGER): number {
  if (Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= most) {
    return value as number;
  }
  throw invalid(`manifest: ${what}: ${String(value)} is no whole number from 0 to ${most}`);
}

function parseFile(value: unknown): PackageFile {
  const { name, bytes, sha256 } = fields(value, 'files');
  // A file beside the manifest, and nothing else.
  if (!/^\w[\w.-]{0,99}$/.test(text(name, 'files: name'))) {
    throw invalid(`manifest: files: '${String(name)}' is no plain name`);
  }
  if (!/^[\da-f]{64}$/.test(text(sha256, 'files: sha256'))) {
    throw invalid(`manifest: files: ${String(name)}: its sha256 is not 64 hexadecimal digits`);
  }
  return {
    name: name as string,
    bytes: natural(bytes, 'files: bytes', mostFileBytes),
    sha256: sha256 as string,
  };
}

function parseSection(value: unknown, what: string, fileBytes: number): Section {
  const { offset, bytes, rawBytes } = fields(value, what);
  const at = natural(offset, `${what}: offset`, fileBytes);
  return {
    offset: at,
    bytes: natural(bytes, `${what}: bytes`, fileBytes - at),
    rawBytes: natural(rawBytes, `${what}: rawBytes`, mostSectionBytes),
  };
}

function parseRequirements(value: unknown): Requirements {
  const { features, limits, subgroups } = fields(value, 'requires');
  const sizes = subgroups === null ? null : fields(subgroups, 'requires: subgroups');
  return {
    features: list(features, 'requires: features').map((one) => text(one, 'requires: features')),
    limits: Object.fromEntries(
      Object.entries(fields(limits, 'requires: limits')).map(([name, limit]) => [
        name,
        natural(limit, `requires: limits: ${name}`),
      ]),
    ),
    subgroups: sizes && {
      min: natural(sizes.min, 'requires: subgroups: min'),
      max: natural(sizes.max, 'requires: subgroups: max'),
    },
  };
}

function parseDType(value: unknown): DType {
  const dtype = text(value, 'dtype') as DType;
  if (dtypeOf(numberOf(dtype)) !== dtype) throw invalid(`manifest: dtype '${dtype}'`);
  return dtype;
}

function parseDims(value: unknown): number[] {
  const dims = list(value, 'dims').map((dim) => natural(dim, 'dims'));
  if (!Number.isSafeInteger(elementCount(dims))) throw invalid(`manifest: dims ${dims.join('x')}`);
  return dims;
}

function parseValue(value: unknown): ValueInfo {
  const { name, dtype, dims, optional } = fields(value, 'inputs or outputs');
  return {
    name: text(name, 'name'),
    dtype: parseDType(dtype),
    dims: dims === null ? undefined : list(dims, 'dims').map(parseDim),
    ...(optional === true ? { optional } : {}),
  };
}

function parseDim(dim: unknown): number | string {
  return typeof dim === 'string' ? dim : natural(dim, 'dims');
}

function parseBinding(
  value: unknown,
  inputs: readonly ValueInfo[],
  section: (value: unknown, what: string) => Section,
): Binding {
  const { dims, values, plan } = fields(value, 'bindings');
  const shapes = list(dims, 'bindings: dims').map((one) => (one === null ? null : parseDims(one)));
  if (shapes.length !== inputs.length) {
    throw invalid(`manifest: bindings: ${shapes.length} inputs, the model has ${inputs.length}`);
  }
  const contents = Object.entries(fields(values, 'bindings: values'));
  for (const [, digits] of contents) text(digits, 'bindings: values');
  return {
    dims: shapes,
    values: Object.fromEntries(contents) as Record<string, string>,
    plan: section(plan, 'bindings: plan'),
  };
}

function parseWeight(value: unknown): PackagedWeight {
  const { name, dtype, dims, bytes, loadOnly } = fields(value, 'weights');
  const weight = {
    name: text(name, 'weights: name'),
    dtype: parseDType(dtype),
    dims: parseDims(dims),
    bytes: natural(bytes, 'weights: bytes'),
    loadOnly: loadOnly === true,
  };
  if (byteSize(weight.dtype, elementCount(weight.dims)) !== weight.bytes) {
    throw invalid(
      `manifest: weight '${weight.name}' has ${weight.bytes} bytes, its dims another number`,
    );
  }
  return weight;
}
