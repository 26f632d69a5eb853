// Einsum: a sum of products by an equation such as "bij,bjk->bik". Operands are contracted from
// the left, two at a time: as a matrix product where they share labels that are summed and have
// others of their own, else as an expression.
#include "ops/common/einsum.h"

#include <algorithm>
#include <set>

#include "ops/common/expansion.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"equation", AttributeKind::kString, true}};
constexpr int kVersion = 20;  // of the operators that it becomes

using Labels = std::vector<int64_t>;

bool has(const Labels& labels, int64_t label) {
  return std::ranges::find(labels, label) != labels.end();
}

Result<EinsumEquation> equation_of(const Node& node, const std::vector<size_t>& ranks) {
  auto equation = parse_einsum(node.string_or("equation", ""), ranks);
  if (!equation) return std::unexpected(std::move(equation).error().in(node.describe()));
  return equation;
}

Result<void> infer(InferContext& c) {
  c.set(0, c.dtype(0), std::nullopt);
  std::vector<size_t> ranks;
  for (size_t i = 0; i < c.input_count(); ++i) {
    if (c.has_input(i) && c.dtype(i) != c.dtype(0) && c.dtype(i) != DType::kUndefined) {
      return c.error(
          cat("operands have types ", name_of(c.dtype(0)), " and ", name_of(c.dtype(i))));
    }
    if (c.shape(i) == nullptr) return {};
    ranks.push_back(c.shape(i)->size());
  }
  QUERN_ASSIGN(const EinsumEquation equation, equation_of(c.node(), ranks));
  Shape result;
  for (const int64_t label : equation.output) {
    Dim extent = 1;
    for (size_t i = 0; i < ranks.size(); ++i) {
      for (size_t a = 0; a < ranks[i]; ++a) {
        if (equation.operands[i][a] == label) extent = broadcast(extent, (*c.shape(i))[a]);
      }
    }
    result.push_back(extent);
  }
  c.set(0, c.dtype(0), std::move(result));
  return {};
}

/// A value and the labels of its axes. `ones`: labels whose axis here has one element, while it
/// may have more elsewhere.
struct Operand {
  Value* value = nullptr;
  Labels labels;
  std::set<int64_t> ones;
};

class Contraction {
 public:
  Contraction(Graph& graph, Node& node) : e_(graph, node) {}

  Expansion& expansion() { return e_; }

  Value* add(const char* op, std::vector<Value*> inputs, Expansion::Attributes attributes = {}) {
    return e_.add_in("", kVersion, op, std::move(inputs), attributes);
  }

  /// By the expression; the result has these labels.
  Operand sum_products(const std::vector<const Operand*>& operands, Labels labels) {
    EinsumEquation equation;
    std::vector<Value*> inputs;
    for (const Operand* operand : operands) {
      equation.operands.push_back(operand->labels);
      inputs.push_back(operand->value);
    }
    equation.output = labels;
    Operand out{nullptr, std::move(labels), {}};
    for (const int64_t label : out.labels) {
      const bool one = std::ranges::all_of(operands, [&](const Operand* o) {
        return !has(o->labels, label) || o->ones.contains(label);
      });
      if (one) out.ones.insert(label);
    }
    out.value = e_.add_in("quern", 1, "ProductSum", std::move(inputs),
                          {{"labels", encode_einsum(equation)}});
    return out;
  }

  /// Without repeated labels, labels that no one else needs, and axes of one element.
  Operand simplified(const Operand& operand, const Labels& needed) {
    Labels labels;
    for (const int64_t label : operand.labels) {
      if (has(needed, label) && !has(labels, label)) labels.push_back(label);
    }
    if (labels.size() == operand.labels.size()) return operand;
    return sum_products({&operand}, std::move(labels));
  }

  Operand permuted(const Operand& operand, const Labels& order) {
    if (operand.labels == order) return operand;
    std::vector<int64_t> perm;
    for (const int64_t label : order) {
      perm.push_back(std::ranges::find(operand.labels, label) - operand.labels.begin());
    }
    return {add("Transpose", {operand.value}, {{"perm", perm}}), order, operand.ones};
  }

  /// Two operands in one that has the labels of `keep` that they have.
  Operand contract(Operand a, Operand b, const Labels& keep) {
    Labels all = keep;
    all.insert(all.end(), b.labels.begin(), b.labels.end());
    a = simplified(a, all);
    all = keep;
    all.insert(all.end(), a.labels.begin(), a.labels.end());
    b = simplified(b, all);
    Labels batch, rows, columns, inner, result;
    bool broadcasts = false;
    for (const int64_t label : a.labels) {
      const bool both = has(b.labels, label);
      broadcasts = broadcasts ||
                   (both && !has(keep, label) && a.ones.contains(label) != b.ones.contains(label));
      (both ? (has(keep, label) ? batch : inner) : rows).push_back(label);
    }
    for (const int64_t label : b.labels) {
      if (!has(a.labels, label)) columns.push_back(label);
    }
    result = batch;
    result.insert(result.end(), rows.begin(), rows.end());
    result.insert(result.end(), columns.begin(), columns.end());
    if (inner.empty() || broadcasts || (rows.empty() && columns.empty())) {
      return sum_products({&a, &b}, std::move(result));
    }
    return multiply(a, b, batch, rows, columns, inner, std::move(result));
  }

 private:
  /// The extents of axes [first, last) as an i64 list; their product as a list of one.
  Value* extents(Value* value, size_t first, size_t last) {
    return add("Shape", {value},
               {{"start", static_cast<int64_t>(first)}, {"end", static_cast<int64_t>(last)}});
  }
  Value* product(Value* value, size_t first, size_t last) {
    if (first == last) return e_.ints({1});
    return add("ReduceProd", {extents(value, first, last), e_.ints({0})},
               {{"keepdims", int64_t{1}}});
  }
  Value* reshape(Value* value, std::vector<Value*> parts) {
    Value* dims = add("Concat", std::move(parts), {{"axis", int64_t{0}}});
    return add("Reshape", {value, dims}, {{"allowzero", int64_t{1}}});
  }

  /// An operand as [batch..., first, second], merging the labels of each.
  Operand matrix(const Operand& operand, const Labels& batch, const Labels& first,
                 const Labels& second) {
    Labels order = batch;
    order.insert(order.end(), first.begin(), first.end());
    order.insert(order.end(), second.begin(), second.end());
    return permuted(operand, order);
  }
  Value* merged(Value* value, size_t batch, size_t first, size_t second) {
    if (first == 1 && second == 1) return value;
    return reshape(value, {extents(value, 0, batch), product(value, batch, batch + first),
                           product(value, batch + first, batch + first + second)});
  }

  Operand multiply(const Operand& a, const Operand& b, const Labels& batch, const Labels& rows,
                   const Labels& columns, const Labels& inner, Labels result) {
    Value* left = matrix(a, batch, rows, inner).value;
    Value* right = matrix(b, batch, inner, columns).value;
    const size_t n = batch.size();
    Value* y = add("MatMul", {merged(left, n, rows.size(), inner.size()),
                              merged(right, n, inner.size(), columns.size())});
    if (rows.size() != 1 || columns.size() != 1) {
      y = reshape(y, {extents(y, 0, n), extents(left, n, n + rows.size()),
                      extents(right, n + inner.size(), n + inner.size() + columns.size())});
    }
    Operand out{y, std::move(result), {}};
    for (const int64_t label : out.labels) {
      const bool one_a = !has(a.labels, label) || a.ones.contains(label);
      const bool one_b = !has(b.labels, label) || b.ones.contains(label);
      if (one_a && one_b) out.ones.insert(label);
    }
    return out;
  }

  Expansion e_;
};

Result<bool> expand(Graph& graph, Node& node) {
  std::vector<size_t> ranks;
  for (const Value* v : node.inputs) {
    if (!v->type.shape) return unsupported(cat(node.describe(), ": an operand of unknown rank"));
    ranks.push_back(v->type.shape->size());
  }
  QUERN_ASSIGN(const EinsumEquation equation, equation_of(node, ranks));
  std::vector<Operand> operands;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    Operand operand{node.inputs[i], equation.operands[i], {}};
    for (size_t a = 0; a < ranks[i]; ++a) {
      if ((*node.inputs[i]->type.shape)[a] == Dim(1)) operand.ones.insert(operand.labels[a]);
    }
    operands.push_back(std::move(operand));
  }
  Contraction contraction(graph, node);
  Operand left = operands[0];
  for (size_t i = 1; i < operands.size(); ++i) {
    Labels keep = equation.output;
    for (size_t k = i + 1; k < operands.size(); ++k) {
      keep.insert(keep.end(), operands[k].labels.begin(), operands[k].labels.end());
    }
    left = contraction.contract(std::move(left), operands[i], keep);
  }
  left = contraction.simplified(left, equation.output);
  left = contraction.permuted(left, equation.output);
  if (left.value == node.inputs[0]) left.value = contraction.add("Identity", {left.value});
  contraction.expansion().replace(0, left.value);
  contraction.expansion().finish();
  return true;
}

}  // namespace

extern const OpDef op_einsum;
const OpDef op_einsum = {
    .name = "Einsum",
    .since = 12,
    .max_inputs = kVariadic,
    .types = kNumeric,
    .attributes = kAttributes,
    .infer = infer,
    .expand = expand,
};

}  // namespace quern
