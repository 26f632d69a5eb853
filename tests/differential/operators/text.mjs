// Strings: src/ops/string.

const words = ['', 'a', 'b', 'Abc', 'abc', 'x-y', 'a b  c', 'été', '1,2,,3', '日本'];

function text(d, dims) {
  const size = dims.reduce((a, b) => a * b, 1);
  return d.values(
    'string',
    dims,
    Array.from({ length: size }, () => d.pick(...words)),
  );
}

export const texts = {
  StringConcat: (d) => {
    const dims = d.dims({ most: 4, elements: 40 });
    d.input(text(d, dims));
    d.input(text(d, d.narrower(dims)));
    d.output('string');
  },
  StringSplit: (d) => {
    d.input(text(d, d.dims({ most: 3, elements: 20 })));
    if (d.chance()) d.string('delimiter', d.pick(',', ' ', '-', 'b'));
    if (d.chance()) d.int('maxsplit', d.integer(1, 3));
    d.output('string');
    d.output('i64');
  },
  StringNormalizer: (d) => {
    d.input(text(d, d.pick([d.integer(1, 6)], [1, d.integer(1, 6)])));
    if (d.chance()) d.string('case_change_action', d.pick('NONE', 'LOWER', 'UPPER'));
    d.maybeInt('is_case_sensitive', 0, () => d.pick(0, 1));
    if (d.chance()) d.attributes.stopwords = { strings: d.some(words.slice(1, 6)) };
    if (d.attributes.stopwords?.strings.length === 0) delete d.attributes.stopwords;
    d.output('string');
  },
  RegexFullMatch: (d) => {
    d.input(text(d, d.dims({ most: 3, elements: 20 })));
    d.string(
      'pattern',
      d.pick('a', 'a|b', '[a-z]+', '.*', '\\w+', '(a|b)?', '[^a]*', 'a.*c', '\\d(,\\d?)*'),
    );
    d.output('bool');
  },
  TfIdfVectorizer: (d) => {
    const type = d.type('T', ['i32', 'i64']);
    const dims = d.pick([d.integer(1, 12)], [d.integer(1, 3), d.integer(1, 12)]);
    const size = dims.reduce((a, b) => a * b, 1);
    d.input(
      d.values(
        type,
        dims,
        Array.from({ length: size }, () => d.integer(1, 4)),
      ),
    );
    const [ones, twos] = [d.integer(1, 4), d.integer(0, 3)];
    const pairs = [
      [1, 2],
      [2, 1],
      [3, 3],
    ].slice(0, twos);
    d.ints('pool_int64s', [...[1, 2, 3, 4].slice(0, ones), ...pairs.flat()]);
    d.ints('ngram_counts', [0, ones]);
    const total = ones + twos;
    d.ints('ngram_indexes', d.shuffled(Array.from({ length: total }, (_, i) => i)));
    d.int('min_gram_length', d.pick(1, twos > 0 ? 2 : 1));
    d.int('max_gram_length', twos > 0 ? 2 : 1);
    d.int('max_skip_count', d.integer(0, 2));
    const mode = d.string('mode', d.pick('TF', 'IDF', 'TFIDF'));
    if (mode !== 'TF' || d.chance()) {
      d.attributes.weights = { floats: Array.from({ length: total }, () => d.integer(1, 8) / 4) };
    }
    d.output('f32');
  },
};
