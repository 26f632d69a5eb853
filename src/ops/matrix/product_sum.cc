// quern.ProductSum: the product of the operands' elements, summed over the labels that the output
// lacks. The attribute `labels` is the coded equation (common/einsum.h). An axis of one element
// stands for any extent of its label.
#include <algorithm>
#include <map>

#include "ops/common/einsum.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"labels", AttributeKind::kInts, true}};

Result<EinsumEquation> equation_of(const Node& node) {
  const std::vector<int64_t>* code = node.ints("labels");
  if (code == nullptr) return internal_error("a sum of products without labels");
  return decode_einsum(*code);
}

Result<void> infer(InferContext& c) {
  c.set(0, c.dtype(0), std::nullopt);
  QUERN_ASSIGN(const EinsumEquation equation, equation_of(c.node()));
  if (equation.operands.size() != c.input_count()) return c.error("has another number of operands");
  std::map<int64_t, Dim> extents;
  for (size_t i = 0; i < c.input_count(); ++i) {
    const Shape* shape = c.shape(i);
    if (shape == nullptr) return {};
    QUERN_TRY(c.expect_rank(i, equation.operands[i].size()));
    for (size_t a = 0; a < shape->size(); ++a) {
      const auto [at, fresh] = extents.emplace(equation.operands[i][a], (*shape)[a]);
      if (fresh) continue;
      const Shape one = {at->second};
      auto both = broadcast_shapes(one, Shape{(*shape)[a]});
      if (!both) return c.error(std::move(both).error().message);
      at->second = (*both)[0];
    }
  }
  Shape result;
  for (const int64_t label : equation.output) result.push_back(extents[label]);
  c.set(0, c.dtype(0), std::move(result));
  return {};
}

Result<Expr> expr(ExprContext& c, size_t) {
  ExprBuilder& b = c.b;
  QUERN_ASSIGN(const EinsumEquation equation, equation_of(c.node()));
  // Each label's axis: one that is not 1 in every binding, if there is one.
  struct Axis {
    size_t input = 0, axis = 0;
    bool single = true;  // of one element in every binding
    int64_t extent = 1;  // in this binding
    bool baked = true;
    Expr index;
  };
  std::map<int64_t, Axis> axes;
  for (size_t i = 0; i < c.input_count(); ++i) {
    const TensorInfo& info = c.input(i);
    for (size_t a = 0; a < info.rank(); ++a) {
      Axis& axis = axes[equation.operands[i][a]];
      if (info.is_baked(a) && info.dims[a] == 1) continue;
      if (axis.extent != 1 && info.dims[a] != 1 && info.dims[a] != axis.extent) {
        return c.error(cat("operand ", i, " of dims ", info.dims, ": axis ", a, " has not extent ",
                           axis.extent));
      }
      if (axis.single || info.dims[a] != 1) axis.extent = info.dims[a];
      axis.baked = axis.baked && info.is_baked(a);
      axis.single = false;
    }
  }
  for (size_t k = 0; k < equation.output.size(); ++k) {
    axes[equation.output[k]].index = c.index(k);
  }
  // One loop counts through all other labels.
  int64_t count = 1;
  bool baked = true;
  std::vector<Axis*> summed;
  for (auto& [label, axis] : axes) {
    if (std::ranges::find(equation.output, label) != equation.output.end()) continue;
    axis.index = b.i32(0);
    if (axis.single) continue;
    count *= axis.extent;
    baked = baked && axis.baked;
    summed.push_back(&axis);
  }
  const Expr loop = summed.empty() ? b.i32(0) : b.loop();
  Expr rest = loop;
  for (size_t k = summed.size(); k-- > 0;) {
    const Expr extent = c.derived(summed[k]->extent, summed[k]->baked);
    summed[k]->index = k == 0 ? rest : b.binary(ExprOp::kRem, rest, extent);
    if (k > 0) rest = b.div(rest, extent);
  }
  Expr product;
  for (size_t i = 0; i < c.input_count(); ++i) {
    const TensorInfo& info = c.input(i);
    std::vector<Expr> at;
    for (size_t a = 0; a < info.rank(); ++a) {
      const Axis& axis = axes[equation.operands[i][a]];
      if (info.is_baked(a)) {
        at.push_back(info.dims[a] == 1 ? b.i32(0) : axis.index);
      } else {
        at.push_back(b.min(axis.index, b.sub(c.dim(i, a), b.i32(1))));
      }
    }
    QUERN_ASSIGN(const Expr x, c.load(i, at));
    product = i == 0 ? x : b.mul(product, x);
  }
  if (summed.empty()) return product;
  return b.reduce(ExprOp::kReduceSum, loop, c.derived(count, baked), product);
}

}  // namespace

extern const OpDef op_product_sum;
const OpDef op_product_sum = {
    .name = "ProductSum",
    .domain = "quern",
    .since = 0,
    .max_inputs = kVariadic,
    .types = kNumeric,
    .attributes = kAttributes,
    .infer = infer,
    .expr = expr,
};

}  // namespace quern
