// Answers /result with what the model gives. Service workers may not import() later on, so that a
// bundler has put everything into one file.

import { load } from 'quern';

self.addEventListener('install', (event) => event.waitUntil(self.skipWaiting()));
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));
self.addEventListener('fetch', (event) => {
  if (new URL(event.request.url).pathname === '/result') event.respondWith(answer());
});

async function answer() {
  try {
    const model = await load('/model.onnx', { device: 'wasm' });
    const { y } = await model.run({ x: [1, 2, 3] });
    return Response.json({ device: model.device, core: model.report().core, y: [...y.data] });
  } catch (error) {
    return Response.json({ error: String(error) });
  }
}
