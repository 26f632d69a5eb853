// PaddleOCR: one model marks where text is, another reads each line.

import { load } from 'quern';

const models = new URL('../models/', location.href);
const [file, canvas, status, list] = ['file', 'canvas', 'status', 'lines'].map((id) =>
  document.getElementById(id),
);

// Both models were trained with the planes blue, green, red.
const detection = {
  channels: 'bgr',
  multipleOf: 32,
  mean: [0.406, 0.456, 0.485],
  std: [0.225, 0.224, 0.229],
};
const recognition = { channels: 'bgr', height: 48, mean: 0.5, std: 0.5 };
const longestSide = 960;

const ready = Promise.all([
  load(new URL('detection.onnx', models), { cache: true, preprocess: { x: detection } }),
  load(new URL('recognition.onnx', models), { cache: true, preprocess: { x: recognition } }),
  fetch(new URL('characters.txt', models)).then((response) => response.text()),
]);

const firstOf = (results) => Object.values(results)[0];

/** Rectangles around the parts of the map [1, 1, height, width] that are likely text. */
function boxesIn({ data, dims: [, , height, width] }, { width: fullWidth, height: fullHeight }) {
  const [sx, sy] = [fullWidth / width, fullHeight / height];
  const isText = Array.from(data, (probability) => probability > 0.3);
  const boxes = [];
  for (let start = isText.indexOf(true); start >= 0; start = isText.indexOf(true, start)) {
    let [left, top, right, bottom] = [width, height, 0, 0];
    const open = [start];
    while (open.length > 0) {
      const at = open.pop();
      if (!isText[at]) continue;
      isText[at] = false;
      const [x, y] = [at % width, Math.floor(at / width)];
      [left, top] = [Math.min(left, x), Math.min(top, y)];
      [right, bottom] = [Math.max(right, x + 1), Math.max(bottom, y + 1)];
      open.push(at - width, at + width);
      if (x > 0) open.push(at - 1);
      if (x + 1 < width) open.push(at + 1);
    }
    const [w, h] = [right - left, bottom - top];
    if (Math.min(w, h) < 3) continue;
    const margin = (0.75 * w * h) / (w + h); // the model marks a shrunken line
    const [x, y] = [Math.max(0, (left - margin) * sx), Math.max(0, (top - margin) * sy)];
    const [x1, y1] = [(right + margin) * sx, (bottom + margin) * sy];
    boxes.push({ x, y, width: Math.min(x1, fullWidth) - x, height: Math.min(y1, fullHeight) - y });
  }
  return boxes.sort((a, b) => a.y - b.y || a.x - b.x);
}

/** The likeliest character of each step, without repetitions and blanks. */
function textOf({ data, dims: [, steps, classes] }, characters) {
  let [text, last] = ['', 0];
  for (let step = 0; step < steps; step++) {
    const row = data.subarray(step * classes, (step + 1) * classes);
    const best = row.reduce((most, value, i) => (value > row[most] ? i : most), 0);
    if (best !== 0 && best !== last) text += characters[best];
    last = best;
  }
  return text;
}

async function read(picture) {
  const [detector, recognizer, dictionary] = await ready;
  const characters = ['', ...dictionary.trimEnd().split(/\r?\n/), ' '];
  const size = { width: picture.width, height: picture.height };
  const context = Object.assign(canvas, size).getContext('2d');
  context.drawImage(picture, 0, 0);
  Object.assign(context, { strokeStyle: '#0b9b83', lineWidth: Math.max(2, size.width / 400) });
  list.replaceChildren();
  const width = Math.round(
    size.width * Math.min(1, longestSide / Math.max(size.width, size.height)),
  );
  const map = firstOf(await detector.run({ x: { pixels: picture, width } }));
  for (const crop of boxesIn(map, size)) {
    const text = textOf(
      firstOf(await recognizer.run({ x: { pixels: picture, crop } })),
      characters,
    );
    if (!text) continue;
    context.strokeRect(crop.x, crop.y, crop.width, crop.height);
    list.append(Object.assign(document.createElement('li'), { textContent: text }));
  }
  status.value = `${list.children.length} lines on ${detector.device}`;
}

file.addEventListener('change', () => {
  status.value = 'reading';
  createImageBitmap(file.files[0])
    .then(read)
    .catch((error) => (status.value = error.message));
});
