#include "passes/recognise_attention_operands.h"

#include <algorithm>

namespace quern {
namespace {

/// Extents of `a` and `b` from the end: those at `from_end` (1: the last) alike?
bool same_extent(const Shape& a, size_t a_from_end, const Shape& b, size_t b_from_end) {
  return a[a.size() - a_from_end] == b[b.size() - b_from_end];
}

/// `x` where `v` is x with its last two axes swapped, by way of a tensor of three axes: PyTorch's
/// exporter writes k^T so.
Value* swapped_by_reshapes(const Value* v) {
  const Node* last = made_by(v, "Reshape");
  const Node* transpose = last == nullptr ? nullptr : made_by(last->inputs[0], "Transpose");
  if (transpose == nullptr || permutation_of(*transpose) != std::vector<int64_t>{0, 2, 1}) {
    return nullptr;
  }
  const Node* first = made_by(transpose->inputs[0], "Reshape");
  if (first == nullptr) return nullptr;
  Value* x = first->inputs[0];
  const Shape* in = shape_of(x);
  const Shape* flat = shape_of(first->outputs[0]);
  const Shape* out = shape_of(v);
  if (in == nullptr || flat == nullptr || out == nullptr || in->size() != 4 || out->size() != 4) {
    return nullptr;
  }
  // The same rows and columns throughout; then the number of matrices is the same as well.
  const bool same = (*in)[0] == (*out)[0] && (*in)[1] == (*out)[1] &&
                    same_extent(*in, 2, *flat, 2) && same_extent(*in, 1, *flat, 1) &&
                    same_extent(*in, 2, *out, 1) && same_extent(*in, 1, *out, 2);
  return same ? x : nullptr;
}

/// The permutation without the trivial one.
std::vector<int64_t> simplified(std::vector<int64_t> permutation) {
  return std::ranges::is_sorted(permutation) ? std::vector<int64_t>{} : permutation;
}

}  // namespace

bool may_be_same(const Dim& a, const Dim& b) {
  return a == b || (a != 1 && b != 1 && !proven_equal(a, b).has_value());
}

bool same_matrices(const Shape& a, const Shape& b) {
  return same_extent(a, 1, b, 1) && same_extent(a, 2, b, 2);
}

Value* before_scale(const Value* v, double& factor) {
  const Node* node = v->producer;
  if (node == nullptr || (!node->is("Mul") && !node->is("Div"))) return nullptr;
  Value* next = nullptr;
  double by = 1;
  for (size_t i = 0; i < 2; ++i) {
    const auto number = scalar_of(node->inputs[1 - i]);
    if (!number || (node->is("Div") && (i == 1 || *number == 0))) continue;
    next = node->inputs[i];
    by = node->is("Div") ? 1 / *number : *number;
  }
  if (next == nullptr || !same_type(next, v)) return nullptr;
  factor *= by;
  return next;
}

Value* without_scale(Value* v, double& factor) {
  constexpr int kMaxSteps = 4;
  for (int step = 0; step < kMaxSteps; ++step) {
    Value* before = before_scale(v, factor);
    if (before == nullptr) return v;
    v = before;
  }
  return v;
}

Permuted k_of_transpose(Value* transposed, double& factor) {
  constexpr int kMaxSteps = 3;
  Value* x = transposed;
  std::vector<int64_t> permutation;  // k is x with these axes
  for (size_t i = 0; i < shape_of(x)->size(); ++i) {
    permutation.push_back(static_cast<int64_t>(i));
  }
  std::swap(permutation.end()[-1], permutation.end()[-2]);
  for (int step = 0; step < kMaxSteps; ++step) {
    x = without_scale(x, factor);
    if (std::ranges::is_sorted(permutation)) break;
    std::vector<int64_t> inner;
    Value* before = nullptr;
    if (const Node* transpose = made_by(x, "Transpose")) {
      inner = permutation_of(*transpose);
      before = transpose->inputs[0];
    } else {
      inner = {0, 1, 3, 2};
      before = swapped_by_reshapes(x);
    }
    if (inner.empty() || before == nullptr) break;
    x = before;
    for (int64_t& axis : permutation) axis = inner[static_cast<size_t>(axis)];
  }
  return {x, simplified(std::move(permutation))};
}

Value* unrepeated(const Value* v) {
  const Shape* out = shape_of(v);
  if (out == nullptr || out->size() != 4) return nullptr;
  const auto is_heads = [&](const Shape& s, size_t from_end) {
    return s[0] == (*out)[0] && same_extent(s, 1, *out, 1) && same_extent(s, 2, *out, 2) &&
           s.size() == from_end;
  };
  if (const Node* expand = made_by(v, "Expand")) {
    const Shape* in = shape_of(expand->inputs[0]);
    return in != nullptr && in->size() == 4 && is_heads(*in, 4) && (*in)[1] == 1 ? expand->inputs[0]
                                                                                 : nullptr;
  }
  const Node* reshape = made_by(v, "Reshape");
  const Node* expand = reshape == nullptr ? nullptr : made_by(reshape->inputs[0], "Expand");
  if (expand == nullptr) return nullptr;
  const Shape* many = shape_of(expand->outputs[0]);
  const Shape* one = shape_of(expand->inputs[0]);
  if (many == nullptr || one == nullptr || many->size() != 5 || one->size() != 5 ||
      !is_heads(*many, 5) || !is_heads(*one, 5) || (*one)[1] != (*many)[1] || (*one)[2] != 1 ||
      (*many)[1] * (*many)[2] != (*out)[1]) {
    return nullptr;
  }
  const Node* unsqueeze = expand->inputs[0]->producer;
  if (unsqueeze == nullptr || (!unsqueeze->is("Unsqueeze") && !unsqueeze->is("Reshape"))) {
    return nullptr;
  }
  Value* heads = unsqueeze->inputs[0];
  const Shape* in = shape_of(heads);
  const bool same = in != nullptr && in->size() == 4 && is_heads(*in, 4) && (*in)[1] == (*one)[1];
  return same ? heads : nullptr;
}

Value* unflattened(const Value* v) {
  const Node* reshape = made_by(v, "Reshape");
  if (reshape == nullptr) return nullptr;
  const Shape* in = shape_of(reshape->inputs[0]);
  const Shape* out = shape_of(v);
  if (in == nullptr || out == nullptr || in->size() != 4 || out->size() != 3) return nullptr;
  return same_matrices(*in, *out) ? reshape->inputs[0] : nullptr;
}

}  // namespace quern
