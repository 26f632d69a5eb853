// Everything that onnxruntime-web exports.

export {
  env,
  TRACE,
  TRACE_EVENT_BEGIN,
  TRACE_EVENT_END,
  TRACE_FUNC_BEGIN,
  TRACE_FUNC_END,
  type Env,
} from './env.js';
export { registerBackend } from './providers.js';
export * from './session-types.js';
export * from './tensor-types.js';
