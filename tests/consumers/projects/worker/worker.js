import { load } from 'quern';

const model = await load('/model.onnx', { device: 'wasm' });
const { y } = await model.run({ x: [1, 2, 3] });
postMessage({ device: model.device, core: model.report().core, y: [...y.data] });
