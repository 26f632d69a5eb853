// The extension's service worker: it may not import(), so it is bundled into one file.

import { load } from 'quern';

chrome.runtime.onMessage.addListener(({ url }, sender, respond) => {
  run(url).then(respond, (error) => respond({ error: String(error) }));
  return true; // the answer comes later
});

async function run(url) {
  const model = await load(url, { device: 'wasm', cache: 'cache-storage' });
  const { y } = await model.run({ x: [1, 2, 3] });
  const { device, core, cache } = model.report();
  model.dispose();
  return { device, core, y: [...y.data], kept: cache.files[0].kept };
}
