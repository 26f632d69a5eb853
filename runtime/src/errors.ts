// Everything that Quern throws, apart from an AbortSignal's reason.

/** What kind of failure it is; the first five are those of src/base/result.h. */
export type QuernErrorCode =
  'invalid-model' | 'unsupported' | 'invalid-argument' | 'limit' | 'internal' | 'device-lost';

/** The base of all errors: a lower-case message and a code to switch on. */
export class QuernError extends Error {
  override readonly name: string = 'QuernError';
  readonly code: QuernErrorCode;

  constructor(code: QuernErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** The model's bytes or graph break their format's rules. */
export class InvalidModelError extends QuernError {
  override readonly name = 'InvalidModelError';
  constructor(message: string, options?: ErrorOptions) {
    super('invalid-model', message, options);
  }
}

/** Valid, but an operator, type or form that this build or device lacks. */
export class UnsupportedError extends QuernError {
  override readonly name = 'UnsupportedError';
  constructor(message: string, options?: ErrorOptions) {
    super('unsupported', message, options);
  }
}

/** A value of the caller: an unknown input, a wrong type or shape, a source that can't be read. */
export class InvalidArgumentError extends QuernError {
  override readonly name = 'InvalidArgumentError';
  constructor(message: string, options?: ErrorOptions) {
    super('invalid-argument', message, options);
  }
}

/** A bound would be passed: memory, a limit of the device, nesting. */
export class LimitError extends QuernError {
  override readonly name = 'LimitError';
  constructor(message: string, options?: ErrorOptions) {
    super('limit', message, options);
  }
}

/** A fault of Quern's own. */
export class InternalError extends QuernError {
  override readonly name = 'InternalError';
  constructor(message: string, options?: ErrorOptions) {
    super('internal', message, options);
  }
}

/** The GPU device went away, and could not be replaced (docs/device-life.md). */
export class DeviceLostError extends QuernError {
  override readonly name = 'DeviceLostError';
  constructor(message: string, options?: ErrorOptions) {
    super('device-lost', message, options);
  }
}

const classByCode = {
  'invalid-model': InvalidModelError,
  unsupported: UnsupportedError,
  'invalid-argument': InvalidArgumentError,
  limit: LimitError,
  internal: InternalError,
  'device-lost': DeviceLostError,
} as const;

/** The error of a code. */
export function errorOf(code: QuernErrorCode, message: string, cause?: unknown): QuernError {
  return new classByCode[code](message, cause === undefined ? undefined : { cause });
}

/** Does the model need something that this build or device lacks, or more than it has? */
export function isLack(error: unknown): error is UnsupportedError | LimitError {
  return error instanceof UnsupportedError || error instanceof LimitError;
}

/** Error codes as the core numbers them, in order of src/base/result.h. */
const coreCodes: readonly QuernErrorCode[] = [
  'invalid-model',
  'unsupported',
  'invalid-argument',
  'limit',
  'internal',
];

/** The error for a failing status of a core function, 1 + ErrorCode. */
export function coreError(status: number, message: string): QuernError {
  return errorOf(coreCodes[status - 1] ?? 'internal', message);
}

/** An error as it crosses to another thread. */
export interface ErrorMessage {
  code: QuernErrorCode;
  message: string;
}

export function toMessage(error: unknown): ErrorMessage {
  if (error instanceof QuernError) return { code: error.code, message: error.message };
  return { code: 'internal', message: `core: ${textOf(error)}` };
}

/** The message of anything thrown. */
export function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
