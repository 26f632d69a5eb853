// A page of the extension's, as its popup is: the model is among the extension's files.

import { load } from 'quern';

globalThis.result = async () => {
  const device = new URLSearchParams(location.search).get('device') ?? 'wasm';
  const model = await load(chrome.runtime.getURL('model.onnx'), { device });
  const { y } = await model.run({ x: [1, 2, 3] });
  const report = model.report();
  model.dispose();
  return { device: report.device, core: report.core, y: [...y.data] };
};

/** What the extension's service worker answers, on a model that a server has. */
globalThis.inBackground = (url) => chrome.runtime.sendMessage({ url });
