// Products by constant matrices that may become one, of their weights side by side.
#pragma once

#include <optional>
#include <span>

#include "ops/common/expansion.h"

namespace quern {

/// A product by a constant matrix (MatMul or MatMulNBits), and the constant vector added to it, if
/// any.
struct Product {
  Node* product = nullptr;
  Node* sum = nullptr;
  Value* bias = nullptr;
  int64_t columns = 0;
};

/// The product that gives `value`, where nothing else reads it or its matrix.
std::optional<Product> product_of(const Graph& graph, const Value& value);
/// Are they of one input, alike but for their columns and biases?
bool are_alike(std::span<const Product> products);
/// Their columns side by side, by one product: added before the expanded node.
Value* side_by_side(Graph& graph, Node& before, std::span<const Product> products);

}  // namespace quern
