// Serves the built page on this machine: node app/serve.mjs [--port N]

import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { preview } from 'vite';

const { values } = parseArgs({ options: { port: { type: 'string', default: '4173' } } });
const server = await preview({
  configFile: fileURLToPath(new URL('vite.config.js', import.meta.url)),
  preview: { port: Number(values.port) },
});
server.printUrls();
