import { load } from 'quern';
import ort from 'quern/ort';

const model = await load(process.argv[2], { device: 'wasm', threads: 1 });
const { y } = await model.run({ x: [1, 2, 3] });
ort.env.wasm.numThreads = 1;
const session = await ort.InferenceSession.create(process.argv[2]);
const again = await session.run({ x: new ort.Tensor('float32', [1, 2, 3], [3]) });
console.log(JSON.stringify({ y: [...y.data], again: [...again.y.data] }));
