// Texts as vectors: words become numbers, BERT makes vectors of them, and their mean is the text's.

const vocabulary = 300;
const longest = 64;

/** A word's number, by its letters alone: the small model of this example comes without a word list. */
function idOf(word) {
  let hash = 2166136261;
  for (const character of word) hash = Math.imul(hash ^ character.codePointAt(0), 16777619);
  return BigInt(1 + ((hash >>> 0) % (vocabulary - 1)));
}

/** The texts as vectors, of length 1. */
export async function embed(model, texts) {
  const words = texts.map((text) =>
    (text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? ['']).slice(0, longest),
  );
  const width = Math.max(...words.map(({ length }) => length));
  const dims = [texts.length, width];
  const ids = new BigInt64Array(texts.length * width);
  const mask = new BigInt64Array(ids.length);
  words.forEach((row, i) => {
    ids.set(row.map(idOf), i * width);
    mask.fill(1n, i * width, i * width + row.length);
  });
  const { out0 } = await model.run({
    input_ids: { data: ids, dims },
    attention_mask: { data: mask, dims },
  });
  const size = out0.dims[2];
  return words.map((row, i) => {
    const vector = new Float32Array(size);
    for (let word = 0; word < row.length; word++) {
      for (let j = 0; j < size; j++) vector[j] += out0.data[(i * width + word) * size + j];
    }
    const length = Math.hypot(...vector);
    return vector.map((value) => value / length);
  });
}

/** Cosine similarity. */
export const similarity = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
