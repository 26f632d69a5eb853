// What the tester takes from the other tests: bundled once a run, since Node runs no TypeScript.

export { compare, type Tolerance } from '../support/compare.js';
export { dawnAdapter, defaultLimitsDevice, openDawn } from '../support/dawn.js';
export {
  bytesOf,
  decodeElements,
  elementCount,
  encodeSmallFloat,
  zeroData,
} from '../support/dtype.js';
export { value, writeModel } from '../support/onnx.js';
export { readTensor, writeTensor } from '../support/pb.js';
export { Reference } from '../support/reference.js';
