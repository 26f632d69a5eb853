// quern/ort: the names and behaviour of onnxruntime-web on Quern (docs/ort.md).

import * as ort from './api.js';

export * from './api.js';
export default ort;
