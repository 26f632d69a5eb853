// All cases: `make` gives what modelProto of onnx-file.mjs takes.

import { attention } from './attention.mjs';
import { blocks } from './blocks.mjs';
import { cached } from './cached.mjs';
import { layers } from './layers.mjs';
import { machines } from './machines.mjs';
import { quantised, quantisedContrib } from './quantised.mjs';

export const cases = [];
const add = (name, make) => cases.push({ name, make });
quantised(add);
layers(add);
blocks(add);
quantisedContrib(add);
attention(add);
cached(add);
machines(add);
