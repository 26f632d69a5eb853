// Reductions over any axes, as one loop whose variable counts through all of them: so one schedule
// (by invocation, by workgroup, in two stages) covers every case.
#pragma once

#include <span>
#include <vector>

#include "base/result.h"
#include "ir/op_context.h"
#include "ops/op_def.h"

namespace quern {

/// What is reduced, from a loaded element and a value that is the same for all of them.
using ReduceBody = Expr (*)(ExprBuilder& b, Expr x, Expr extra);
/// The element itself.
inline Expr reduce_itself(ExprBuilder&, Expr x, Expr) { return x; }

/// The number of elements along these axes of an input, as i32.
Expr reduced_count(ExprContext& c, size_t input, std::span<const size_t> axes);
/// `op` of `body` of input i over these axes. `index` has the input's rank; its entries along the
/// axes don't matter. Without axes it is the body of the one element.
Result<Expr> reduce_axes(ExprContext& c, size_t input, std::vector<Expr> index,
                         std::span<const size_t> axes, ExprOp op, ReduceBody body, Expr extra = {});

inline constexpr AttributeField kReduceAttributes[] = {
    {"axes", AttributeKind::kInts},
    {"keepdims", AttributeKind::kInt},
    {"noop_with_empty_axes", AttributeKind::kInt}};
/// Element types of most reductions.
inline constexpr TypeSet kReduceTypes =
    kFloats | types_of(DType::kI32, DType::kI64, DType::kU32, DType::kU64);

/// What combines the contents of small vectors of integers (the product of a shape).
using DimFold = Dim (*)(const Dim& a, const Dim& b);

/// Inference of the Reduce family. The axes are an input from operator set `axes_input_since` on.
/// Contents by `fold`, from `initial` or else the first element on.
Result<void> infer_reduce(InferContext& c, int axes_input_since, DimFold fold = nullptr,
                          std::optional<Dim> initial = {});
/// A node of that family at an output element.
struct Reduction {
  std::vector<size_t> axes;
  std::vector<Expr> index;  ///< of the input; entries along the axes are 0
};
Result<Reduction> reduction_of(ExprContext& c, int axes_input_since);
/// `op` of `body` over the node's axes.
Result<Expr> reduce_expr(ExprContext& c, int axes_input_since, ExprOp op,
                         ReduceBody body = reduce_itself);

/// The float type in which roots and logarithms of numbers of this type are taken.
Scalar float_type_for(Scalar type);

// As values for OpDef: the reductions but ReduceSum take axes as an input from operator set 18 on.
inline Result<void> infer_reduce18(InferContext& c) { return infer_reduce(c, 18); }

}  // namespace quern
