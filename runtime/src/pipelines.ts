// Programs of a session: pipelines compile in parallel, each is waited for where it is used.

import { breathe, Semaphore } from './async.js';
import { InternalError, textOf } from './errors.js';
import type { Gpu } from './gpu.js';
import { Access, type Program } from './plan.js';
import { platform } from './platform.js';

const computeStage = 4; // GPUShaderStage.COMPUTE

const bufferTypes: Record<Access, GPUBufferBindingType> = {
  [Access.read]: 'read-only-storage',
  [Access.readWrite]: 'storage',
  [Access.uniform]: 'uniform',
};

export interface CompiledProgram {
  number: number;
  label: string;
  layout: GPUBindGroupLayout;
  /** Set when `compile()` ends. */
  pipeline: GPUComputePipeline | undefined;
  /** Begins to compile, unless somebody did. */
  compile(): Promise<void>;
}

export class Pipelines {
  readonly #gpu: Gpu;
  readonly #programs = new Map<number, CompiledProgram>();
  readonly #modules = new Map<string, GPUShaderModule>();
  readonly #layouts = new Map<string, { group: GPUBindGroupLayout; pipeline: GPUPipelineLayout }>();

  /**
   * As many compile at once as there are cores for it: with all 93 of a small model at once, Dawn
   * on SwiftShader takes twice the processor time, in threads that wait for each other.
   */
  readonly #lanes = Math.min(Math.max(platform.cores(), 2), 16);
  readonly #slots = new Semaphore(this.#lanes);
  #closed = false;

  /** Programs that no run has needed yet: message by message, those of long texts first. */
  #later: CompiledProgram[] = [];

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
  }

  get count(): number {
    return this.#programs.size;
  }

  /** Begins to compile, or leaves it for `later`; failures show where a program is used. */
  async add(programs: readonly Program[], later = false): Promise<CompiledProgram[]> {
    const compiled: CompiledProgram[] = [];
    const batch = 8;
    // Long texts take long: they begin first.
    const sorted = [...programs].sort((a, b) => b.wgsl.length - a.wgsl.length);
    for (let first = 0; first < sorted.length; first += batch) {
      const { checked } = this.#gpu.scoped('programs', () => {
        for (const program of sorted.slice(first, first + batch)) {
          const added = this.#add(program);
          compiled.push(added);
          if (later) this.#later.push(added);
          else void added.compile().catch(() => {}); // while the next text is read
        }
      });
      checked.catch(() => {}); // the pipelines tell it better
      await breathe();
    }
    return compiled;
  }

  /** Compiles what was left for later, a few at a time, so that a run that needs one comes first. */
  compileRest(): void {
    const rest = this.#later;
    this.#later = [];
    const lane = async (): Promise<void> => {
      for (let next = rest.shift(); next && !this.#closed; next = rest.shift()) {
        await next.compile().catch(() => {});
      }
    };
    for (let lanes = Math.max(1, this.#lanes >> 1); lanes > 0; lanes--) void lane();
  }

  /** Nothing more is compiled that nobody waits for. */
  close(): void {
    this.#closed = true;
    this.#later = [];
  }

  #add(program: Program): CompiledProgram {
    const { group, pipeline: layout } = this.#layoutOf(program.access);
    const module = this.#moduleOf(program);
    this.#gpu.counters.pipelines++;
    const descriptor = {
      label: program.label,
      layout,
      compute: { module, constants: program.overrides },
    };
    let compiling: Promise<void> | undefined;
    const create = async (): Promise<void> => {
      this.#gpu.throwIfLost();
      try {
        compiled.pipeline = await this.#gpu.device.createComputePipelineAsync(descriptor);
      } catch (error) {
        throw await compileError(program, module, error);
      }
    };
    const compiled: CompiledProgram = {
      number: program.number,
      label: program.label,
      layout: group,
      pipeline: undefined,
      compile: () => (compiling ??= this.#gpu.guard(this.#slots.run(create))),
    };
    this.#programs.set(program.number, compiled);
    return compiled;
  }

  /** Begins to compile a program; failures show where it is used. */
  begin(number: number): void {
    void this.get(number)
      .compile()
      .catch(() => {});
  }

  get(number: number): CompiledProgram {
    const program = this.#programs.get(number);
    if (!program) throw new InternalError(`core message: program ${number} was never sent`);
    return program;
  }

  #moduleOf({ label, wgsl }: Program): GPUShaderModule {
    let module = this.#modules.get(wgsl);
    if (!module) {
      module = this.#gpu.device.createShaderModule({ label, code: wgsl });
      this.#gpu.counters.shaderModules++;
      this.#modules.set(wgsl, module);
    }
    return module;
  }

  #layoutOf(access: readonly Access[]) {
    const key = access.join('');
    let layouts = this.#layouts.get(key);
    if (!layouts) {
      const group = this.#gpu.device.createBindGroupLayout({
        entries: access.map((kind, binding) => ({
          binding,
          visibility: computeStage,
          buffer: { type: bufferTypes[kind] },
        })),
      });
      const pipeline = this.#gpu.device.createPipelineLayout({ bindGroupLayouts: [group] });
      layouts = { group, pipeline };
      this.#layouts.set(key, layouts);
    }
    return layouts;
  }
}

/** What the compiler says, with the lines it means. */
async function compileError(
  { number, label, wgsl }: Program,
  module: GPUShaderModule,
  error: unknown,
): Promise<InternalError> {
  let text = `webgpu: program ${number} (${label}) does not compile: ${textOf(error)}`;
  try {
    const { messages } = await module.getCompilationInfo();
    const lines = wgsl.split('\n');
    for (const { type, message, lineNum } of messages) {
      if (type !== 'error') continue;
      text += `\n  line ${lineNum}: ${message}\n    ${lines[lineNum - 1]?.trim() ?? ''}`;
    }
  } catch {
    // The device is gone, or the browser has no such information.
  }
  return new InternalError(text, { cause: error });
}
