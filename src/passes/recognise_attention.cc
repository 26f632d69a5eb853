// Attention: softmax(q k^T * scale + mask) v. Found from the Softmax: down to the product with v,
// and up through masks, scales and a soft cap to the product of q and k.

#include <algorithm>
#include <cmath>
#include <limits>

#include "passes/recognise.h"
#include "passes/recognise_attention_operands.h"
#include "passes/recognise_match.h"

namespace quern {
namespace {

/// Larger heads do not fit the kernel's workgroup memory.
constexpr int64_t kMaxHead = 512;
/// A finite number below this, added to a score or put in its place, leaves the same nothing.
constexpr double kMasked = -1e9;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// What the scores are masked by: bool (true: seen), or float to add.
struct Mask {
  Value* value = nullptr;
  bool inverted = false;     ///< of a bool mask: true is hidden
  double fill = -kInfinity;  ///< of a bool mask: what hidden scores are
  size_t rank = 4;           ///< of the scores that it masks
  [[nodiscard]] bool is_bool() const { return value->type.dtype == DType::kBool; }
};

/// The pattern, as far as it is known.
struct Attention {
  Node* softmax = nullptr;
  Node* root = nullptr;  ///< the product with v
  Value* q = nullptr;
  Permuted k;
  Value* v = nullptr;
  double factor = 1;  ///< between the masks and the product of q and k
  bool scaled = false;
  double softcap = 0;
  bool nan_to_zero = false;
  std::vector<Mask> masks;  ///< the last one first
  /// Where scores go by turns as [batch * heads, queries, keys] and with four axes: these.
  const Shape* unflattened = nullptr;
};

bool is_float_cast(const Node& node) {
  return node.is("Cast") && node.inputs[0] != nullptr && is_float(node.inputs[0]->type.dtype) &&
         is_float(node.outputs[0]->type.dtype) && bit_width(node.outputs[0]->type.dtype) >= 16;
}

class AttentionFinder {
 public:
  explicit AttentionFinder(Graph& graph) : m_(graph) {}

  int run() {
    return m_.each({"Softmax"}, [&](Node& softmax) {
      Attention found;
      found.softmax = &softmax;
      if (!is_over_last_axis(softmax) || !match_product_with_v(found) ||
          !match_scores(softmax.inputs[0], found, 0)) {
        return false;
      }
      build(complete_);
      return true;
    });
  }

 private:
  static bool is_over_last_axis(const Node& softmax) {
    const Shape* shape = shape_of(softmax.input(0));
    if (shape == nullptr || (shape->size() != 3 && shape->size() != 4)) return false;
    const auto rank = static_cast<int64_t>(shape->size());
    const int64_t axis = softmax.int_or("axis", softmax.version < 13 ? 1 : -1);
    return axis == -1 || axis == rank - 1;
  }

  /// Where(IsNaN(p), 0, p): its result, or null.
  Value* guarded(Value* p) const {
    for (const Use& use : p->uses) {
      const Node* nan = use.node->is("IsNaN") ? use.node : nullptr;
      if (nan == nullptr) continue;
      Node* where = m_.only_user(nan->outputs[0]);
      if (where == nullptr || !where->is("Where") || where->inputs[0] != nan->outputs[0] ||
          where->inputs[2] != p || scalar_of(where->inputs[1]) != 0.0 ||
          !m_.used_only_by(p, {nan, where}) || !same_type(where->outputs[0], p)) {
        return nullptr;
      }
      return where->outputs[0];
    }
    return nullptr;
  }

  /// From the softmax down: a guard against rows without keys, casts, the product with v.
  bool match_product_with_v(Attention& found) const {
    constexpr int kMaxSteps = 4;
    Value* p = found.softmax->outputs[0];
    for (int step = 0; step < kMaxSteps; ++step) {
      if (Value* safe = guarded(p)) {
        found.nan_to_zero = true;
        p = safe;
      }
      Node* user = m_.only_user(p);
      if (user == nullptr) return false;
      if (user->is("MatMul")) {
        found.root = user;
        found.v = user->inputs[1];
        return user->inputs[0] == p && found.v != p && is_head_size(found.v);
      }
      if (!is_float_cast(*user) && !joins_or_splits_heads(*user, found)) return false;
      p = user->outputs[0];
    }
    return false;
  }

  /// A Reshape of scores between three and four axes, the matrices left alone.
  static bool joins_or_splits_heads(const Node& node, Attention& found) {
    if (!node.is("Reshape")) return false;
    const Shape* in = shape_of(node.inputs[0]);
    const Shape* out = shape_of(node.outputs[0]);
    if (in == nullptr || out == nullptr || in->size() + out->size() != 7 ||
        !same_matrices(*in, *out)) {
      return false;
    }
    const Shape* four = in->size() == 4 ? in : out;
    if (four->size() != 4) return false;
    if (found.unflattened == nullptr) found.unflattened = four;
    return (*four)[0] == (*found.unflattened)[0] && (*four)[1] == (*found.unflattened)[1];
  }

  static bool is_head_size(const Value* v) {
    const Shape* shape = shape_of(v);
    if (shape == nullptr || (shape->size() != 3 && shape->size() != 4)) return false;
    const auto size = shape->back().constant();
    return size && *size >= 1 && *size <= kMaxHead;
  }

  /// From the softmax up: `s` are scores, used by what has been matched already.
  bool match_scores(Value* s, const Attention& so_far, int depth) {
    constexpr int kMaxDepth = 10;
    Node* node = s->producer;
    if (depth > kMaxDepth || node == nullptr || m_.only_user(s) == nullptr) return false;
    Attention found = so_far;
    if (node->is("MatMul")) return match_product_with_k(*node, found);
    if (is_float_cast(*node) || joins_or_splits_heads(*node, found)) {
      return match_scores(node->inputs[0], found, depth + 1);
    }
    if (node->is("Add") || node->is("Where")) return match_mask(*node, found, depth);
    if (!node->is("Mul") && !node->is("Div")) return false;

    // A scale, or cap * tanh(scores / cap).
    for (size_t i = 0; i < (node->is("Div") ? 1 : 2); ++i) {
      Value* next = node->inputs[i];
      const auto number = scalar_of(node->inputs[1 - i]);
      if (!number || *number == 0 || !same_type(next, s)) continue;
      found.factor *= node->is("Div") ? 1 / *number : *number;
      found.scaled = true;
      const Node* tanh = made_by(next, "Tanh");
      if (tanh == nullptr) return match_scores(next, found, depth + 1);
      if (found.softcap != 0 || found.factor <= 0 || m_.only_user(next) != node) return false;
      found.softcap = found.factor;
      return match_scores(tanh->inputs[0], found, depth + 1);
    }
    return false;
  }

  bool match_mask(Node& node, Attention& found, int depth) {
    if (found.scaled) return false;  // it would be scaled too
    // A finite number put over masked scores makes a row that is all masked uniform.
    for (const Mask& outer : found.masks) {
      if (outer.is_bool() && outer.fill != -kInfinity) return false;
    }
    const size_t first = node.is("Where") ? 1 : 0;
    for (size_t i = first; i < first + 2; ++i) {
      Value* next = node.inputs[i];
      Value* other = node.inputs[2 * first + 1 - i];
      if (shape_of(next) == nullptr || next->type.dtype != node.outputs[0]->type.dtype) continue;
      Attention with = found;
      if (node.is("Add")) {
        with.masks.push_back(added_mask(other));
      } else {
        const auto fill = scalar_of(other);
        if (!fill || *fill > kMasked) continue;
        with.masks.push_back({.value = node.inputs[0], .inverted = i == 2, .fill = *fill});
      }
      Value*& mask = with.masks.back().value;
      mask = without_expand(mask);
      with.masks.back().rank = shape_of(next)->size();
      if (broadcasts(mask, next) && match_scores(next, with, depth + 1)) return true;
    }
    return false;
  }

  static Value* without_expand(Value* v) {
    const Node* expand = made_by(v, "Expand");
    return expand == nullptr ? v : expand->inputs[0];
  }

  /// A mask to add: seen as a bool one where it was made from that.
  static Mask added_mask(Value* v) {
    const Value* inner = without_expand(v);
    const Node* where = made_by(inner, "Where");
    if (where == nullptr) return {.value = v};
    const Shape* of_choice = shape_of(inner);
    const Shape* of_condition = shape_of(where->inputs[0]);
    if (of_choice == nullptr || of_condition == nullptr || *of_choice != *of_condition) {
      return {.value = v};
    }
    for (size_t i = 1; i <= 2; ++i) {
      if (scalar_of(where->inputs[i]) != 0.0 || scalar_of(where->inputs[3 - i]) != -kInfinity) {
        continue;
      }
      return {.value = where->inputs[0], .inverted = i == 2};
    }
    return {.value = v};
  }

  /// Does the mask broadcast to the scores?
  static bool broadcasts(const Value* mask, const Value* scores) {
    const Shape* m = shape_of(mask);
    const Shape& s = *shape_of(scores);
    const DType dtype = mask->type.dtype;
    if (m == nullptr || m->size() > s.size() ||
        (dtype != DType::kBool && dtype != DType::kF32 && dtype != DType::kF16 &&
         dtype != DType::kBF16)) {
      return false;
    }
    for (size_t i = 1; i <= m->size(); ++i) {
      const Dim& extent = (*m)[m->size() - i];
      if (extent != 1 && !may_be_same(extent, s[s.size() - i])) return false;
    }
    return true;
  }

  bool match_product_with_k(Node& product, Attention& found) {
    found.q = without_scale(product.inputs[0], found.factor);
    Value* transposed = product.inputs[1];
    if (shape_of(found.q) == nullptr || shape_of(transposed) == nullptr ||
        product.inputs[0] == transposed) {
      return false;
    }
    if (!operands_fit(found, transposed)) return false;
    if (shape_of(found.v)->size() == 4) {
      found.k = k_of_transpose(transposed, found.factor);
    } else if (!match_flat_heads(found, transposed)) {
      return false;
    }
    if (!std::isfinite(found.factor) || !masks_fit(found)) return false;
    leave_out_repetition(found);
    complete_ = found;
    return true;
  }

  /// One batch; heads of k and v alike, q's as many or a multiple; keys alike.
  static bool operands_fit(const Attention& found, const Value* transposed) {
    const Shape& q = *shape_of(found.q);
    const Shape& k = *shape_of(transposed);
    const Shape& v = *shape_of(found.v);
    const DType dtype = found.q->type.dtype;
    if ((dtype != DType::kF32 && dtype != DType::kF16 && dtype != DType::kBF16) ||
        transposed->type.dtype != dtype || found.v->type.dtype != dtype ||
        found.root->outputs[0]->type.dtype != dtype || !is_head_size(found.q)) {
      return false;
    }
    const size_t rank = v.size();
    return q.size() == rank && k.size() == rank && q[0] == k[0] && q[0] == v[0] &&
           q[rank - 1] == k[rank - 2] && may_be_same(k[rank - 1], v[rank - 2]) &&
           (rank == 3 || (k[1] == v[1] && (k[1] == 1 || k[1] == q[1])));
  }

  /// Operands of three axes: as they were before batch and heads became one, where they all were
  /// two axes and the result is split again; else as batches of one head.
  bool match_flat_heads(Attention& found, Value* transposed) const {
    Attention split = found;
    Value* four = unflattened(transposed);
    split.k = k_of_transpose(four == nullptr ? transposed : four, split.factor);
    if (four == nullptr && split.k.permutation.empty()) {
      split.k.value = unflattened(split.k.value);
    }
    split.q = unflattened(found.q);
    split.v = unflattened(found.v);
    Node* after = m_.only_user(found.root->outputs[0]);
    const Shape* out =
        after != nullptr && after->is("Reshape") ? shape_of(after->outputs[0]) : nullptr;
    if (split.q != nullptr && split.v != nullptr && split.k.value != nullptr && out != nullptr &&
        shape_of(split.k.value)->size() == 4 && out->size() == 4) {
      split.q = without_scale(split.q, split.factor);
      const Shape& q = *shape_of(split.q);
      const Shape& k = *shape_of(split.k.value);
      const Shape& v = *shape_of(split.v);
      const auto leads = [&](const Shape& s, size_t second) {
        return s[0] == q[0] && s[second] == q[1];
      };
      const auto heads =
          split.k.permutation.empty() ? 1 : static_cast<size_t>(split.k.permutation[1]);
      if (leads(k, heads) && leads(v, 1) && leads(*out, 1) && (*out)[2] == q[2] &&
          (*out)[3] == v[3] && (split.k.permutation.empty() || split.k.permutation[0] == 0) &&
          (found.unflattened == nullptr || leads(*found.unflattened, 1))) {
        split.root = after;
        found = split;
        return true;
      }
    }
    found.k = k_of_transpose(transposed, found.factor);
    return found.unflattened == nullptr;
  }

  /// Are masks of scores with three axes still right for four?
  static bool masks_fit(const Attention& found) {
    return std::ranges::all_of(found.masks, [&](const Mask& mask) {
      const Shape& shape = *shape_of(mask.value);
      return mask.rank == shape_of(found.q)->size() || shape.size() < 3 ||
             (shape.size() == 3 && shape[0] == 1);
    });
  }

  /// Grouped queries: k and v before they were repeated, where both were in the same way.
  static void leave_out_repetition(Attention& found) {
    if (!found.k.permutation.empty()) return;
    double factor = 1;
    Value* k = unrepeated(found.k.value);
    Value* v = unrepeated(found.v);
    if (k == nullptr || v == nullptr || (*shape_of(k))[1] != (*shape_of(v))[1]) return;
    found.k.value = without_scale(k, factor);
    found.v = v;
    found.factor *= factor;
  }

  Value* with_head_axis(Value* x, Node* before, bool drop) {
    Shape shape = *shape_of(x);
    if (drop) {
      shape.erase(shape.begin() + 1);
    } else {
      shape.insert(shape.begin() + 1, Dim(1));
    }
    return m_.add(drop ? "Squeeze" : "Unsqueeze", {x, m_.constant_ints({1})}, before,
                  Type::tensor(x->type.dtype, std::move(shape)));
  }

  Value* build_mask(const Attention& found) {
    Node* root = found.root;
    const DType dtype = found.softmax->outputs[0]->type.dtype;
    bool all_bool = true;
    for (const Mask& mask : found.masks) {
      all_bool = all_bool && mask.is_bool() && mask.fill == -kInfinity;
    }
    Value* whole = nullptr;
    for (const Mask& mask : found.masks) {
      Value* v = mask.value;
      const Shape shape = *shape_of(v);
      if (all_bool) {
        if (mask.inverted) v = m_.add("Not", {v}, root, v->type);
      } else if (mask.is_bool()) {
        Value* zero = m_.constant_fill(dtype, {}, 0);
        Value* fill = m_.constant_fill(dtype, {}, mask.fill);
        v = mask.inverted ? m_.add("Where", {v, fill, zero}, root, Type::tensor(dtype, shape))
                          : m_.add("Where", {v, zero, fill}, root, Type::tensor(dtype, shape));
      } else if (found.masks.size() > 1 && v->type.dtype != dtype) {
        v = m_.add("Cast", {v}, root, Type::tensor(dtype, shape),
                   {{"to", static_cast<int64_t>(dtype)}});
      }
      if (whole == nullptr) {
        whole = v;
        continue;
      }
      auto joined = broadcast_shapes(*shape_of(whole), shape);
      whole = m_.add(
          all_bool ? "And" : "Add", {whole, v}, root,
          Type::tensor(v->type.dtype, joined ? std::optional<Shape>(*joined) : std::nullopt));
    }
    return whole;
  }

  void build(const Attention& found) {
    Node* root = found.root;
    Value* k = found.k.value;
    if (!found.k.permutation.empty()) {
      Shape shape;
      for (const int64_t axis : found.k.permutation) {
        shape.push_back((*shape_of(k))[static_cast<size_t>(axis)]);
      }
      k = m_.add("Transpose", {k}, root, Type::tensor(k->type.dtype, std::move(shape)),
                 {{"perm", found.k.permutation}});
    }
    Value* mask = build_mask(found);
    Value* q = found.q;
    Value* v = found.v;
    const bool flat = shape_of(q)->size() == 3;
    if (flat) {
      q = with_head_axis(q, root, false);
      k = with_head_axis(k, root, false);
      v = with_head_axis(v, root, false);
      if (mask != nullptr && shape_of(mask)->size() == 3) mask = with_head_axis(mask, root, false);
    }
    Replacement by{.op = "Attention", .inputs = {q, k, v}, .domain = "quern", .version = 1};
    if (mask != nullptr) by.inputs.push_back(mask);
    by.attributes["scale"] = static_cast<float>(found.factor);
    if (found.softcap != 0) by.attributes["softcap"] = static_cast<float>(found.softcap);
    if (found.nan_to_zero) by.attributes["nan_to_zero"] = int64_t{1};
    if (flat) {
      // The operator has an axis of heads: it is dropped after.
      Node* whole = m_.graph().add_node("Attention", by.inputs, 1, root, "quern", 1);
      whole->name = root->name;
      whole->attributes = std::move(by.attributes);
      Shape shape = *shape_of(root->outputs[0]);
      shape.insert(shape.begin() + 1, Dim(1));
      whole->outputs[0]->type = Type::tensor(q->type.dtype, std::move(shape));
      by = {.op = "Squeeze", .inputs = {whole->outputs[0], m_.constant_ints({1})}, .version = 13};
    }
    m_.replace(root, std::move(by));
  }

  Matcher m_;
  Attention complete_;  // once match_scores says true
};

}  // namespace

int find_attention(Graph& graph) { return AttentionFinder(graph).run(); }

}  // namespace quern
