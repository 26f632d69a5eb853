// eslint-disable-next-line @typescript-eslint/triple-slash-reference -- there is nothing to import
/// <reference path="./wasm-modules.d.ts" />
// A thread of quern-cpu-threads in a page whose bundler has moved its script: see startThread in
// wasm.ts. The script is imported here as it is there, since webpack finds no script that is
// imported in one place and a worker's first in another.

const early: unknown[] = [];
const keep = ({ data }: MessageEvent<unknown>): void => void early.push(data);
addEventListener('message', keep);
void import('../wasm/quern-cpu-threads.js').then(() => {
  removeEventListener('message', keep);
  for (const data of early) dispatchEvent(new MessageEvent('message', { data }));
});
