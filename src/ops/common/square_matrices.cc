#include "ops/common/square_matrices.h"

#include <algorithm>

#include "ops/common/gemm.h"

namespace quern {

Result<void> check_square(InferContext& ctx) {
  const Shape* x = ctx.shape(0);
  if (x == nullptr) return {};
  if (x->size() < 2 || proven_equal((*x)[x->size() - 1], (*x)[x->size() - 2]) == false) {
    return ctx.error(cat("input ", *x, " holds no square matrices"));
  }
  return {};
}

Result<void> lower_elimination(LowerContext& ctx, std::string_view kernel, int64_t copies) {
  const TensorInfo& x = ctx.input(0);
  const int64_t n = x.dims.back();
  if (x.is_baked(x.rank() - 1) && x.is_baked(x.rank() - 2) && n <= kMaxFormulaOrder) {
    return unsupported("small matrices have a formula");
  }
  if (ctx.output(0).count() == 0) return {};
  int64_t matrices = 1;
  for (size_t i = 0; i + 2 < x.rank(); ++i) matrices *= x.dims[i];
  QUERN_TRY(check_u32(ctx, x.count() * copies));
  QUERN_TRY(check_u32(ctx, matrices));
  const auto elements = static_cast<uint64_t>(std::max<int64_t>(x.count() * copies, 1));
  QUERN_ASSIGN(Storage work, ctx.scratch(elements * 4));
  KernelCall call;
  call.kernel = kernel;
  call.bindings = {
      ctx.bind_in("x", 0), {"work", work, DType::kF32, elements}, ctx.bind_out("y", 0)};
  call.params = {static_cast<uint32_t>(n), static_cast<uint32_t>(matrices)};
  call.workgroups = split_workgroups(static_cast<uint64_t>(matrices), ctx.target());
  return ctx.dispatch(std::move(call));
}

}  // namespace quern
