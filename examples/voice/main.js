// Silero VAD on the microphone: its recurrent state stays in the model.

import { load } from 'quern';
import worklet from './worklet.js?worker&url';

const rate = 16000;
const context = 64; // samples of the frame before
const threshold = 0.5;
const [button, canvas, status] = ['start', 'canvas', 'status'].map((id) =>
  document.getElementById(id),
);
const probabilities = new Array(150).fill(0);

function draw() {
  const { width, height } = canvas;
  const style = getComputedStyle(document.documentElement);
  const context = canvas.getContext('2d');
  context.clearRect(0, 0, width, height);
  const step = width / probabilities.length;
  probabilities.forEach((probability, i) => {
    context.fillStyle = style.getPropertyValue(probability > threshold ? '--accent' : '--line');
    const bar = Math.max(2, probability * (height - 8));
    context.fillRect(i * step, height - bar, step - 1, bar);
  });
}

async function start() {
  button.disabled = true;
  status.value = 'loading';
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  const model = await load(new URL('../models/voice.onnx', location.href), {
    device: 'wasm', // a small model, and many short runs
    cache: true,
  });
  const audio = new AudioContext({ sampleRate: rate });
  await audio.audioWorklet.addModule(worklet);
  const frames = new AudioWorkletNode(audio, 'frames', { numberOfOutputs: 0 });
  audio.createMediaStreamSource(stream).connect(frames);

  const input = new Float32Array(context + 512);
  let state = { data: new Float32Array(256), dims: [2, 1, 128] }; // before anything was heard
  let heard = 0;
  let last = Promise.resolve();
  const next = async (frame) => {
    input.copyWithin(0, 512);
    input.set(frame, context);
    const { output } = await model.run(
      {
        input: { data: input, dims: [1, input.length] },
        sr: BigInt(rate),
        ...(state && { state }),
      },
      { state: { stateN: 'state' }, outputs: ['output'] },
    );
    state = undefined; // from now on the model keeps it
    const probability = output.data[0];
    probabilities.push(probability);
    probabilities.shift();
    if (probability > threshold) heard++;
    draw();
    status.className = probability > threshold ? 'speaking' : '';
    status.value = `${probability > threshold ? 'Somebody speaks' : 'Silence'}; ${((heard * 512) / rate).toFixed(1)} s of speech so far`;
  };
  frames.port.onmessage = ({ data }) => {
    last = last.then(() => next(data)).catch((error) => (status.value = error.message));
  };
}

draw();
button.addEventListener('click', () => {
  start().catch((error) => {
    status.value = error.message;
    button.disabled = false;
  });
});
