// The camera's picture with a blurred background: video to canvas, without a copy of pixels on the CPU
// where there is WebGPU.

import { load } from 'quern';

// IS-Net for general use, in the chunks that IMG.LY publishes; ?model= names another place.
const place =
  new URLSearchParams(location.search).get('model') ??
  'https://staticimgly.com/@imgly/background-removal-data/1.7.0/dist/';
const name = '/models/isnet_fp16';

const [button, canvas, status] = ['start', 'canvas', 'status'].map((id) =>
  document.getElementById(id),
);

/** The chunks of the model, one after the other. */
async function chunkedModel() {
  const resources = await (await fetch(new URL('resources.json', place))).json();
  const chunks = resources[name].chunks.values();
  return new ReadableStream({
    async pull(controller) {
      const { value: chunk, done } = chunks.next();
      if (done) return controller.close();
      const response = await fetch(new URL(chunk.name, place));
      controller.enqueue(new Uint8Array(await response.arrayBuffer()));
    },
  });
}

async function openCamera() {
  const video = document.createElement('video');
  video.muted = video.playsInline = true;
  video.srcObject = await navigator.mediaDevices.getUserMedia({ video: true });
  await video.play();
  return video;
}

async function start() {
  button.disabled = true;
  status.value = 'loading the model';
  const preprocess = { input: { scale: 1, mean: 128, std: 256 } };
  const [model, video] = await Promise.all([
    load(await chunkedModel(), {
      preprocess,
      onProgress: ({ phase, loaded, total }) => {
        status.value = `${phase} ${total ? `${Math.round((100 * loaded) / total)} %` : ''}`;
      },
    }),
    openCamera(),
  ]);
  const [input, output] = [model.inputs[0].name, model.outputs[0].name];
  const outputs = model.device === 'webgpu' ? 'gpu' : 'cpu';
  const { videoWidth: width, videoHeight: height } = video;
  Object.assign(canvas, { width, height });
  const blurred = new OffscreenCanvas(width, height);
  const context = blurred.getContext('2d');
  context.filter = `blur(${Math.round(width / 40)}px)`;

  for (let frames = 1; ; frames++) {
    const begun = performance.now();
    context.drawImage(video, 0, 0);
    const result = await model.run({ [input]: video }, { outputs });
    const alpha = result[output];
    await model.draw(alpha, canvas, { as: 'blend', foreground: video, background: blurred });
    alpha.dispose();
    canvas.dataset.frames = String(frames);
    const seconds = (performance.now() - begun) / 1000;
    const pace =
      seconds < 1 ? `${(1 / seconds).toFixed(1)} pictures/s` : `${seconds.toFixed(1)} s a picture`;
    status.value = `${pace} on ${model.device}`;
    await new Promise(requestAnimationFrame);
  }
}

button.addEventListener('click', () => {
  start().catch((error) => {
    status.value = error.message;
    button.disabled = false;
  });
});
