// The worker that node.js starts.

import { parentPort } from 'node:worker_threads';

import { serveCore } from './core-worker.js';

const port = parentPort!;
serveCore({
  postMessage: (message, transfer) => port.postMessage(message, transfer),
  addEventListener: (_, listener) =>
    port.on('message', (data) => listener({ data: data as never })),
});
