import { Model } from './model.jsx';

export default function Page() {
  return <Model url="/model.onnx" />;
}
