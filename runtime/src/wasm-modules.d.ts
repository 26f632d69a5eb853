// The modules that Emscripten writes to runtime/wasm, which are not there before a build.

declare module '*/quern-core.js' {
  import type { WasmFactory } from './wasm.js';
  const create: WasmFactory;
  export default create;
}
declare module '*/quern-cpu.js' {
  import type { WasmFactory } from './wasm.js';
  const create: WasmFactory;
  export default create;
}
declare module '*/quern-cpu-threads.js' {
  import type { WasmFactory } from './wasm.js';
  const create: WasmFactory;
  export default create;
}
declare module '*/quern-formats.js' {
  import type { WasmFactory } from './wasm.js';
  const create: WasmFactory;
  export default create;
}
