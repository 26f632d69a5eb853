'use client';

import { load } from 'quern';
import { useEffect, useState } from 'react';

/** Loads a model in the browser, runs it and shows what it gives. */
export function Model({ url }) {
  const [text, setText] = useState('loading');
  useEffect(() => {
    const controller = new AbortController();
    const { signal } = controller;
    const run = async () => {
      const device = new URLSearchParams(location.search).get('device') ?? 'wasm';
      const model = await load(url, { device, signal, threads: 2 });
      const { y } = await model.run({ x: [1, 2, 3] }, { signal });
      const { core, threads, ...report } = model.report();
      model.dispose();
      return JSON.stringify({ device: report.device, core, threads, y: [...y.data] });
    };
    run().then(setText, (error) => signal.aborted || setText(String(error)));
    return () => controller.abort();
  }, [url]);
  return <output>{text}</output>;
}
