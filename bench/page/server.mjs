// Serves the page of the bench, its scripts, Quern as built and the peers' packages, on the loopback
// interface, cross-origin isolated: WebAssembly gets its threads.

import { createReadStream, existsSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize, sep } from 'node:path';
import { pipeline } from 'node:stream';

const types = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.mjs': 'text/javascript; charset=utf-8',
  '.wasm': 'application/wasm',
};

const headers = {
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
  'cross-origin-resource-policy': 'same-origin',
  // As files with a hash in their names have it: what is loaded again is not fetched again.
  'cache-control': 'public, max-age=3600, immutable',
};

/**
 * `folders`: of each first part of a path, those that may have the file. `page`: of the address /.
 * Gives { url, close() }.
 */
export async function serve(folders, page) {
  const find = (path) => {
    const [, first, ...rest] = normalize(path).split(sep);
    const inside = rest.join(sep);
    for (const folder of folders[first] ?? []) {
      const file = join(folder, inside);
      if (file.startsWith(join(folder, sep)) && existsSync(file) && statSync(file).isFile()) {
        return file;
      }
    }
    return undefined;
  };
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://localhost');
    const file = pathname === '/' ? page : find(decodeURIComponent(pathname));
    if (!file) {
      response.writeHead(404, headers).end();
      return;
    }
    response.writeHead(200, {
      ...headers,
      'content-type': types[extname(file)] ?? 'application/octet-stream',
      'content-length': statSync(file).size,
    });
    pipeline(createReadStream(file), response, () => {}); // a reader may leave
  });
  await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
