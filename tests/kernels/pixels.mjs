// The shaders of pictures under naga: pictures in memory, buffers and textures to inputs, and tensors
// to a texture, against a plain reference.
//   deno run -A --unstable-webgpu --unstable-sloppy-imports tests/kernels/pixels.mjs
import process from 'node:process';

import { load } from '../../runtime/dist/node.js';
import { node, value, writeModel } from '../support/onnx.ts';
import { expectedElements, farthest, testPicture } from '../support/pixels.ts';

const adapter = await navigator.gpu.requestAdapter();
const device = await adapter.requestDevice();
const errors = [];
device.addEventListener('uncapturederror', ({ error }) => errors.push(error.message));

const identity = (dims, dtype = 'f32') =>
  writeModel({
    graph: {
      nodes: [node('Identity', ['x'], ['y'])],
      inputs: [value('x', dtype, dims)],
      outputs: [value('y', dtype, dims)],
    },
  });

let checked = 0;
const failures = [];
function expectNear(name, expected, got, most) {
  checked++;
  const { difference, text } = farthest(expected, got);
  const wrong = got.length !== expected.length || !(difference <= most);
  if (wrong) failures.push(`${name}: ${text}, ${got.length} of ${expected.length} elements`);
}

const picture = testPicture(61, 44); // at 25x21 no pixel lies on a filter's edge
const { width, height } = picture;
const buffer = device.createBuffer({
  size: picture.data.byteLength,
  usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST,
});
device.queue.writeBuffer(buffer, 0, picture.data);
const texture = device.createTexture({
  size: [width, height],
  format: 'rgba8unorm',
  usage: GPUTextureUsage.TEXTURE_BINDING | GPUTextureUsage.COPY_DST,
});
device.queue.writeTexture({ texture }, picture.data, { bytesPerRow: width * 4 }, [width, height]);
const sources = { bytes: picture, buffer: { data: buffer, width, height }, texture };

for (const dtype of ['f32', 'f16', 'u8']) {
  const options = { fit: 'letterbox', padColor: 7 };
  if (dtype !== 'u8') Object.assign(options, { mean: [0.5, 0.4, 0.3], std: [0.25, 0.5, 1] });
  const model = await load(identity([1, 3, 21, 25], dtype), {
    device,
    preprocess: { x: options },
  });
  for (const [source, pixels] of Object.entries(sources)) {
    for (const filter of ['nearest', 'bilinear', 'bicubic', 'lanczos', 'box', 'area']) {
      const { y } = await model.run({ x: { pixels, filter } });
      const scale = dtype === 'u8' ? { scale: 1 } : {};
      const elements = expectedElements(picture, 25, 21, { ...options, ...scale, filter });
      const expected = dtype === 'u8' ? Uint8ClampedArray.from(elements) : elements;
      const got = Array.from({ length: y.size }, (_, i) =>
        Number(y.get(0, Math.floor(i / 525), Math.floor(i / 25) % 21, i % 25)),
      );
      // Half a step of 8 bits by the smallest std, or a whole one where elements are rounded.
      const step = dtype === 'u8' ? 1 : 0.5 / 255 / 0.25;
      expectNear(`${source} to ${dtype}, ${filter}`, expected, got, step);
    }
  }
  model.dispose();
}

async function pixelsOf(target) {
  const bytesPerRow = 256;
  const size = bytesPerRow * target.height;
  const usage = GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ;
  const read = device.createBuffer({ size, usage });
  const encoder = device.createCommandEncoder();
  const extent = [target.width, target.height];
  encoder.copyTextureToBuffer({ texture: target }, { buffer: read, bytesPerRow }, extent);
  device.queue.submit([encoder.finish()]);
  await read.mapAsync(GPUMapMode.READ);
  const bytes = new Uint8Array(read.getMappedRange());
  const rows = Array.from({ length: target.height }, (_, y) =>
    bytes.slice(y * bytesPerRow, y * bytesPerRow + target.width * 4),
  );
  read.destroy();
  return rows.flatMap((row) => [...row]);
}

const mask = Float32Array.from({ length: 12 }, (_, i) => i / 11); // 3 rows of 4
const model = await load(identity(['h', 'w']), { device });
const target = device.createTexture({
  size: [4, 3],
  format: 'rgba8unorm',
  usage: GPUTextureUsage.RENDER_ATTACHMENT | GPUTextureUsage.COPY_SRC,
});
const [front, back] = [testPicture(4, 3, 9), testPicture(4, 3, 10)];
const drawings = {
  image: [{}, (v) => [v, v, v, 1]],
  mask: [{ as: 'mask', color: [0, 128, 255] }, (v) => [0, (v * 128) / 255, v, v]],
  heatmap: [{ as: 'heatmap', colormap: 'gray' }, (v) => [v, v, v, 1]],
  blend: [
    { as: 'blend', foreground: front, background: back },
    (v, i) => {
      const mixed = (c) => v * front.data[i * 4 + c] + (1 - v) * back.data[i * 4 + c];
      return [mixed(0) / 255, mixed(1) / 255, mixed(2) / 255, 1];
    },
  ],
};
const { y } = await model.run({ x: { data: mask, dims: [3, 4] } }, { outputs: 'gpu' });
for (const [name, [options, colorOf]] of Object.entries(drawings)) {
  await model.draw(y, target, options);
  const expected = [...mask].flatMap((v, i) => colorOf(v, i).map((c) => c * 255));
  expectNear(`drawn as ${name}`, expected, await pixelsOf(target), 1);
}

for (const problem of [...failures, ...errors]) console.log(`FAIL ${problem}`);
console.log(`${checked - failures.length} of ${checked} pictures as they should be`);
process.exit(failures.length + errors.length > 0 ? 1 : 0);
