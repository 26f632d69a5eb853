// All cases: `make` gives what modelProto of onnx-file.mjs takes.

import { quantised } from './quantised.mjs';

export const cases = [];
const add = (name, make) => cases.push({ name, make });
quantised(add);
