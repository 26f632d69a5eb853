// How a Transpose passes the operator behind it: op(Transpose(x)) = Transpose(op'(x)).
#include "passes/transposes.h"

#include <algorithm>
#include <set>

#include "ops/op_def.h"
#include "passes/recognise_match.h"

namespace quern {
namespace {

std::optional<size_t> rank_of(const Value* v) {
  if (v == nullptr || !v->type.is_tensor() || !v->type.shape) return std::nullopt;
  return v->type.shape->size();
}

std::optional<std::vector<int64_t>> normalised(std::vector<int64_t> axes, size_t rank) {
  const auto n = static_cast<int64_t>(rank);
  for (int64_t& axis : axes) {
    if (axis < -n || axis >= n) return std::nullopt;
    if (axis < 0) axis += n;
  }
  return axes;
}

/// The axes of x for those of its transposition.
std::optional<std::vector<int64_t>> mapped(std::vector<int64_t> axes, const Permutation& perm) {
  auto known = normalised(std::move(axes), perm.size());
  if (!known) return std::nullopt;
  for (int64_t& axis : *known) axis = perm[static_cast<size_t>(axis)];
  return known;
}

/// Inputs along which an elementwise operator broadcasts; nothing for those it is not sure of.
std::optional<std::vector<size_t>> broadcast_inputs(const Node& node) {
  // Before operator set 7 `axis` said where a smaller operand stands.
  if (node.attribute("axis") != nullptr || node.attribute("broadcast") != nullptr) {
    return std::nullopt;
  }
  static const std::set<std::string_view> first_only = {"Clip", "CastLike", "Dropout",
                                                        "QuantizeLinear", "DequantizeLinear"};
  const bool own = node.domain.empty();
  if (!own && node.inputs.size() != 1) return std::nullopt;
  if (own && first_only.contains(node.op)) return std::vector<size_t>{0};
  std::vector<size_t> all;
  for (size_t i = 0; i < node.inputs.size(); ++i) all.push_back(i);
  return all;
}

/// Scales of quantisation along an axis.
std::optional<Passage> quantised(const Node& node, const Permutation& perm) {
  const std::optional<size_t> rank = rank_of(node.input(1));
  if (!rank || *rank > 1 || node.int_or("block_size", 0) != 0) return std::nullopt;
  Passage out{.inputs = {0}, .perm = perm};
  if (*rank == 1) {
    const auto axis = mapped({node.int_or("axis", 1)}, perm);
    if (!axis) return std::nullopt;
    out.attributes.emplace_back("axis", axis->front());
  }
  return out;
}

std::optional<Passage> elementwise(const Node& node, const Permutation& perm) {
  if (node.is("QuantizeLinear") || node.is("DequantizeLinear")) return quantised(node, perm);
  auto inputs = broadcast_inputs(node);
  if (!inputs) return std::nullopt;
  return Passage{.inputs = *std::move(inputs), .perm = perm};
}

/// Operators with one `axis`, whose other inputs are no tensors of x's axes.
std::optional<Passage> along_axis(const Node& node, const Permutation& perm, int64_t fallback) {
  const auto axis = mapped({node.int_or("axis", fallback)}, perm);
  if (!axis) return std::nullopt;
  Passage out{.inputs = {0}, .perm = perm};
  out.attributes.emplace_back("axis", axis->front());
  return out;
}

std::optional<Passage> concat(const Node& node, const Permutation& perm) {
  std::optional<Passage> out = along_axis(node, perm, 1);
  if (!out || node.attribute("axis") == nullptr) return std::nullopt;
  for (size_t i = 1; i < node.inputs.size(); ++i) out->inputs.push_back(i);
  return out;
}

/// Removes the reduced axes from a permutation.
Permutation without(const Permutation& perm, const std::vector<int64_t>& source_axes) {
  Permutation out;
  const auto gone = [&](int64_t axis) {
    return std::ranges::find(source_axes, axis) != source_axes.end();
  };
  for (const int64_t from : perm) {
    if (gone(from)) continue;
    int64_t place = from;
    for (const int64_t axis : source_axes) place -= axis < from ? 1 : 0;
    out.push_back(place);
  }
  return out;
}

std::optional<Passage> reduction(const Node& node, const Permutation& perm) {
  const std::vector<int64_t>* given = node.ints("axes");
  std::optional<std::vector<int64_t>> axes;
  if (given != nullptr) {
    axes = *given;
  } else if (node.input(1) != nullptr) {
    axes = ints_of(node.input(1));
  }
  // All axes, or none of them: rare, and a matter of `noop_with_empty_axes`.
  if (!axes || axes->empty()) return std::nullopt;
  axes = mapped(*std::move(axes), perm);
  if (!axes) return std::nullopt;
  Passage out{.inputs = {0}};
  out.perm = node.int_or("keepdims", 1) != 0 ? perm : without(perm, *axes);
  if (given != nullptr) {
    out.attributes.emplace_back("axes", *axes);
  } else {
    out.lists.emplace_back(1, *axes);
  }
  return out;
}

std::optional<Passage> arg_reduction(const Node& node, const Permutation& perm) {
  auto out = along_axis(node, perm, 0);
  if (out && node.int_or("keepdims", 1) == 0) {
    out->perm = without(perm, {std::get<int64_t>(out->attributes.front().second)});
  }
  return out;
}

std::optional<Passage> pad(const Node& node, const Permutation& perm) {
  const auto pads = ints_of(node.input(1));
  if (!pads || node.input(0) == nullptr) return std::nullopt;
  Passage out{.inputs = {0}, .perm = perm};
  if (node.input(3) != nullptr) {
    const auto axes = ints_of(node.input(3));
    if (!axes) return std::nullopt;
    const auto moved = mapped(*axes, perm);
    if (!moved) return std::nullopt;
    out.lists.emplace_back(3, *moved);
    return out;
  }
  const size_t rank = perm.size();
  if (pads->size() != 2 * rank) return std::nullopt;
  std::vector<int64_t> moved(2 * rank);
  for (size_t a = 0; a < rank; ++a) {
    const auto from = static_cast<size_t>(perm[a]);
    moved[from] = (*pads)[a];
    moved[rank + from] = (*pads)[rank + a];
  }
  out.lists.emplace_back(1, std::move(moved));
  return out;
}

std::optional<Passage> slice(const Node& node, const Permutation& perm) {
  const auto starts = rank_of(node.input(1));
  if (!starts) return std::nullopt;
  std::optional<std::vector<int64_t>> axes;
  if (node.input(3) != nullptr) {
    axes = ints_of(node.input(3));
  } else if (const auto first = ints_of(node.input(1))) {
    axes.emplace();
    for (size_t a = 0; a < first->size(); ++a) axes->push_back(static_cast<int64_t>(a));
  }
  if (!axes) return std::nullopt;
  axes = mapped(*std::move(axes), perm);
  if (!axes) return std::nullopt;
  Passage out{.inputs = {0}, .perm = perm};
  out.lists.emplace_back(3, *axes);
  return out;
}

}  // namespace

std::optional<Permutation> permutation_of_node(const Node* node) {
  if (node == nullptr || !node->is("Transpose")) return std::nullopt;
  const std::optional<size_t> rank = rank_of(node->input(0));
  if (!rank) return std::nullopt;
  Permutation perm = permutation_of(*node);  // empty where it is none, and of rank 0
  if (std::set<int64_t>(perm.begin(), perm.end()).size() != *rank) return std::nullopt;
  return perm;
}

Permutation inverse(const Permutation& perm) {
  Permutation out(perm.size());
  for (size_t a = 0; a < perm.size(); ++a) {
    out[static_cast<size_t>(perm[a])] = static_cast<int64_t>(a);
  }
  return out;
}

Permutation after(const Permutation& first, const Permutation& second) {
  Permutation out;
  for (const int64_t axis : second) out.push_back(first[static_cast<size_t>(axis)]);
  return out;
}

bool is_identity(const Permutation& perm) { return std::ranges::is_sorted(perm); }

std::optional<Passage> passage(const Node& node, const Permutation& perm) {
  const OpDef* def = find_op(node);
  if (def == nullptr || def->is_random || !node.subgraphs().empty()) return std::nullopt;
  if (def->is_elementwise) {
    return node.outputs.size() == 1 ? elementwise(node, perm) : std::nullopt;
  }
  if (!node.domain.empty()) return std::nullopt;
  if (node.op == "Identity") return Passage{.inputs = {0}, .perm = perm};
  if (node.op == "Concat") return concat(node, perm);
  if (node.op == "Split") return along_axis(node, perm, 0);
  if (node.op == "Softmax" || node.op == "LogSoftmax") {
    // Before operator set 13 all axes from `axis` on are one.
    return node.version >= 13 ? along_axis(node, perm, -1) : std::nullopt;
  }
  if (node.op == "CumSum") return std::nullopt;
  if (node.op == "ArgMax" || node.op == "ArgMin") return arg_reduction(node, perm);
  if (node.op.starts_with("Reduce")) return reduction(node, perm);
  if (node.op == "Pad" && node.version >= 11) return pad(node, perm);
  if (node.op == "Slice" && node.version >= 10) return slice(node, perm);
  return std::nullopt;
}

}  // namespace quern
