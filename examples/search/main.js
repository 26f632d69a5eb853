// Sentences in the order of their similarity to a query.

import { load } from 'quern';
import { embed, similarity } from './embed.js';
import { sentences } from './sentences.js';

const [query, status, results] = ['query', 'status', 'results'].map((id) =>
  document.getElementById(id),
);

const model = await load(new URL('../models/bert.onnx', location.href), { cache: true });
const vectors = await embed(model, sentences);
status.value = `${sentences.length} sentences on ${model.device}`;

async function search() {
  const [vector] = query.value ? await embed(model, [query.value]) : [];
  const scored = sentences.map((text, i) => ({
    text,
    score: vector ? similarity(vector, vectors[i]) : undefined,
  }));
  if (vector) scored.sort((a, b) => b.score - a.score);
  results.replaceChildren(
    ...scored.map(({ text, score }) => {
      const item = document.createElement('li');
      item.append(text);
      if (score !== undefined) {
        item.append(
          Object.assign(document.createElement('small'), { textContent: score.toFixed(3) }),
        );
      }
      return item;
    }),
  );
}

query.addEventListener('input', search);
await search();
