// The n-grams that a TfIdfVectorizer looks for, as a trie.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "ir/graph.h"

namespace quern {

/// Distinct elements, sorted, are numbered; states of the trie too, the root is 0. The edges are
/// sorted by state and element.
struct NgramPool {
  std::vector<int64_t> numbers;  ///< distinct elements; of one kind only
  std::vector<std::string> strings;
  std::vector<int64_t> edge_states;
  std::vector<int64_t> edge_elements;
  std::vector<int64_t> edge_targets;
  std::vector<int64_t>
      state_outputs;           ///< by state: the output of the n-gram that ends there, or -1
  std::vector<float> weights;  ///< by output
  int64_t min_length = 1;
  int64_t max_length = 1;
  int64_t max_skip = 0;
  int64_t outputs = 0;
};

/// The pool of a TfIdfVectorizer; an error where its attributes do not fit each other.
Result<NgramPool> ngram_pool(const Node& node);

}  // namespace quern
