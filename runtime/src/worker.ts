// The worker that index.js starts.

import { serveCore } from './core-worker.js';

serveCore(self as unknown as Parameters<typeof serveCore>[0]);
