#include "ops/common/ngrams.h"

#include <algorithm>
#include <map>

namespace quern {
namespace {

constexpr int64_t kMaxLength = 64;  // of n-grams
constexpr int64_t kMaxOutputs = 1 << 26;

template <class T>
std::vector<int64_t> numbered(const std::vector<T>& pool, std::vector<T>& distinct) {
  distinct = pool;
  std::ranges::sort(distinct);
  const auto rest = std::ranges::unique(distinct);
  distinct.erase(rest.begin(), rest.end());
  std::vector<int64_t> numbers;
  for (const T& element : pool) {
    numbers.push_back(std::ranges::lower_bound(distinct, element) - distinct.begin());
  }
  return numbers;
}

}  // namespace

Result<NgramPool> ngram_pool(const Node& node) {
  const auto fail = [&](std::string_view what) {
    return invalid_model(cat(node.describe(), ": ", what));
  };
  NgramPool pool;
  pool.min_length = node.int_or("min_gram_length", 1);
  pool.max_length = node.int_or("max_gram_length", 1);
  pool.max_skip = node.int_or("max_skip_count", 0);
  const std::string_view mode = node.string_or("mode", "");
  if (mode != "TF" && mode != "IDF" && mode != "TFIDF")
    return fail(cat("mode is '", mode, "', expected TF, IDF or TFIDF"));
  if (pool.min_length < 1 || pool.max_length < pool.min_length || pool.max_length > kMaxLength ||
      pool.max_skip < 0 || pool.max_skip > INT32_MAX / kMaxLength) {
    return fail("lengths of n-grams or the number of skips are out of range");
  }
  std::vector<int64_t> elements;
  const AttributeValue* value = node.attribute("pool_strings");
  if (value != nullptr) {
    const auto* strings = std::get_if<std::vector<std::string>>(value);
    if (strings != nullptr) elements = numbered(*strings, pool.strings);
  } else if (const std::vector<int64_t>* ints = node.ints("pool_int64s")) {
    elements = numbered(*ints, pool.numbers);
  }
  const std::vector<int64_t>* starts = node.ints("ngram_counts");
  const std::vector<int64_t>* indexes = node.ints("ngram_indexes");
  if (elements.empty() || starts == nullptr || indexes == nullptr || indexes->empty()) {
    return fail("needs a pool, ngram_counts and ngram_indexes");
  }
  for (const int64_t index : *indexes) {
    if (index < 0 || index >= kMaxOutputs) return fail(cat("ngram_indexes has ", index));
    pool.outputs = std::max(pool.outputs, index + 1);
  }
  const std::vector<float>* weights = node.floats("weights");
  if (weights != nullptr && weights->size() != indexes->size()) {
    return fail(cat("has ", weights->size(), " weights for ", indexes->size(), " n-grams"));
  }
  pool.weights.assign(static_cast<size_t>(pool.outputs), 1.0f);

  std::map<std::pair<int64_t, int64_t>, int64_t> edges;
  pool.state_outputs.push_back(-1);
  size_t ngram = 0;
  for (size_t k = 0; k < starts->size(); ++k) {
    const auto length = static_cast<int64_t>(k + 1);
    const int64_t first = (*starts)[k];
    const int64_t last = k + 1 < starts->size() ? (*starts)[k + 1] : std::ssize(elements);
    if (first < 0 || last < first || last > std::ssize(elements) || (last - first) % length != 0) {
      return fail(cat("ngram_counts do not split a pool of ", elements.size()));
    }
    for (int64_t at = first; at < last; at += length, ++ngram) {
      if (ngram >= indexes->size()) return fail("has more n-grams than ngram_indexes");
      const int64_t output = (*indexes)[ngram];
      if (weights != nullptr) pool.weights[static_cast<size_t>(output)] = (*weights)[ngram];
      if (length < pool.min_length || length > pool.max_length) continue;
      int64_t state = 0;
      for (int64_t i = at; i < at + length; ++i) {
        const auto [edge, added] = edges.try_emplace({state, elements[static_cast<size_t>(i)]},
                                                     std::ssize(pool.state_outputs));
        if (added) pool.state_outputs.push_back(-1);
        state = edge->second;
      }
      pool.state_outputs[static_cast<size_t>(state)] = output;
    }
  }
  for (const auto& [from, target] : edges) {
    pool.edge_states.push_back(from.first);
    pool.edge_elements.push_back(from.second);
    pool.edge_targets.push_back(target);
  }
  return pool;
}

}  // namespace quern
