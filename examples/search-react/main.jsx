// The search in React: a hook that loads a model once and gives it back when nobody needs it.

import { load } from 'quern';
import { StrictMode, useEffect, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { embed, similarity } from '../search/embed.js';
import { sentences } from '../search/sentences.js';

function useModel(url) {
  const [state, setState] = useState({});
  useEffect(() => {
    const controller = new AbortController();
    let model;
    load(url, { cache: true, signal: controller.signal })
      .then((loaded) => {
        if (controller.signal.aborted) return loaded.dispose();
        model = loaded;
        setState({ model });
      })
      .catch((error) => {
        if (!controller.signal.aborted) setState({ error });
      });
    return () => {
      controller.abort();
      model?.dispose();
    };
  }, [url]);
  return state;
}

/** Vectors of texts, undefined while they are computed. */
function useVectors(model, texts) {
  const [state, setState] = useState({});
  useEffect(() => {
    if (!model || texts.length === 0) return;
    let current = true;
    embed(model, texts).then((vectors) => current && setState({ texts, vectors }));
    return () => {
      current = false;
    };
  }, [model, texts]);
  return state.texts === texts ? state.vectors : undefined;
}

const modelUrl = new URL('../models/bert.onnx', location.href).href;
const nothing = [];

function Search() {
  const { model, error } = useModel(modelUrl);
  const [query, setQuery] = useState(nothing);
  const vectors = useVectors(model, sentences);
  const queryVectors = useVectors(model, query);
  const scores = vectors && queryVectors?.[0] && vectors.map((v) => similarity(v, queryVectors[0]));
  const order = sentences.map((_, i) => i);
  if (scores) order.sort((a, b) => scores[b] - scores[a]);

  return (
    <>
      <h1>Search by embeddings, in React</h1>
      <p>
        Sentences in the order of their distance to what you type, in the space of a small BERT.
      </p>
      <input
        type="search"
        placeholder="Search"
        aria-label="Search"
        onChange={({ target }) => setQuery(target.value ? [target.value] : nothing)}
      />
      <output>
        {error?.message ??
          (vectors ? `${sentences.length} sentences on ${model.device}` : 'loading')}
      </output>
      <ol>
        {order.map((i) => (
          <li key={i}>
            {sentences[i]} {scores && <small>{scores[i].toFixed(3)}</small>}
          </li>
        ))}
      </ol>
    </>
  );
}

createRoot(document.getElementById('root')).render(
  <StrictMode>
    <Search />
  </StrictMode>,
);
