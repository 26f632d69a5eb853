// quern/package in Node: a path as source, WebGPU through the `webgpu` package.

import '../node-platform.js';

export * from './index.js';
