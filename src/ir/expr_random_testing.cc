#include "ir/expr_random_testing.h"

#include <cmath>

#include "ir/expr_ops.h"

namespace quern {
namespace {

constexpr DType kDTypes[] = {DType::kF32, DType::kF32,  DType::kI32,      DType::kI64,
                             DType::kF16, DType::kBF16, DType::kF64,      DType::kU8,
                             DType::kI8,  DType::kU16,  DType::kI16,      DType::kU32,
                             DType::kU64, DType::kBool, DType::kI4,       DType::kU4,
                             DType::kI2,  DType::kU2,   DType::kF8E4M3FN, DType::kF8E5M2};
constexpr Scalar kScalars[] = {Scalar::kF32, Scalar::kF64, Scalar::kI32, Scalar::kU32,
                               Scalar::kI64, Scalar::kU64, Scalar::kBool};

class Generator {
 public:
  Generator(uint32_t seed, const RandomOptions& options)
      : random_(seed), options_(options), b_(setup()) {}

  RandomCase run() {
    const int inputs = 1 + pick(3);
    for (int i = 0; i < inputs; ++i) keep(load_broadcast());
    for (uint32_t a = 0; a < options_.dims.size(); ++a) {
      if (chance(3)) keep(b_.index(a));
    }
    for (int i = 0; i < options_.operations; ++i) {
      const int what = pick(10);
      if (what == 0 && options_.gathers)
        keep(gather());
      else if (what <= 2 && options_.reductions)
        keep(reduction(1 + pick(2)));
      else if (what == 3)
        keep(load_broadcast());
      else
        keep(operation(pool_));
    }
    const int outputs = 1 + pick(2);
    for (int k = 0; k < outputs; ++k) {
      const Expr value = pool_[pool_.size() - 1 - pick(std::min<int>(3, int(pool_.size())))];
      case_.program.outputs.push_back({value, output_dtype(b_.type_of(value))});
    }
    return std::move(case_);
  }

 private:
  ExprProgram& setup() {
    for (int64_t d : options_.dims) case_.program.domain.push_back(new_extent(d));
    return case_.program;
  }
  int pick(int n) { return static_cast<int>(random_() % static_cast<uint32_t>(n)); }
  bool chance(int n) { return pick(n) == 0; }
  void keep(Expr e) { pool_.push_back(e); }

  Extent new_extent(int64_t value) {
    if (!chance(3)) return {value, -1};
    case_.program.params.push_back(value);
    return {value, static_cast<int32_t>(case_.program.params.size()) - 1};
  }

  uint32_t add_input(DType dtype, std::vector<Extent> dims) {
    Dims numbers;
    for (const Extent& e : dims) numbers.push_back(e.value);
    case_.inputs.push_back(random_tensor(dtype, numbers, random_));
    case_.program.inputs.push_back({dtype, std::move(dims), false});
    return static_cast<uint32_t>(case_.inputs.size()) - 1;
  }
  DType any_dtype() { return kDTypes[pick(std::size(kDTypes))]; }
  DType output_dtype(Scalar type) {
    for (;;) {
      const DType dtype = any_dtype();
      if (compute_type(dtype) == type) return dtype;
      if (chance(20)) return storage_type(type);
    }
  }

  Expr load_broadcast() {
    std::vector<Extent> dims;
    std::vector<Expr> index;
    const auto& domain = case_.program.domain;
    const bool full = chance(2);
    const size_t skip = full || domain.empty() ? 0 : pick(static_cast<int>(domain.size()) + 1);
    for (size_t a = skip; a < domain.size(); ++a) {
      const bool one = !full && chance(3);
      dims.push_back(one ? new_extent(1) : domain[a]);
      index.push_back(one ? b_.i32(0) : b_.index(static_cast<uint32_t>(a)));
    }
    return b_.load(add_input(any_dtype(), dims), index);
  }

  // `e` as an i32 in [0, extent).
  Expr wrapped(Expr e, const Extent& extent) {
    return b_.binary(ExprOp::kMod, b_.cast(e, Scalar::kI32), b_.extent(extent));
  }

  Expr gather() {
    std::vector<Extent> dims;
    std::vector<Expr> index;
    const int rank = 1 + pick(3);
    const auto& domain = case_.program.domain;
    int64_t count = 1;
    for (int k = 0; k < rank; ++k) {
      const uint32_t a = domain.empty() ? 0 : pick(static_cast<int>(domain.size()));
      if (!domain.empty() && chance(3) && count * domain[a].value < 20000) {
        count *= domain[a].value;
        dims.push_back(domain[a]);
        index.push_back(b_.index(a));
      } else {
        dims.push_back(new_extent(1 + pick(6)));
        index.push_back(wrapped(pool_[pick(static_cast<int>(pool_.size()))], dims.back()));
      }
    }
    return b_.load(add_input(any_dtype(), dims), index);
  }

  // An operation on values of `pool`, cast to one type.
  Expr operation(std::vector<Expr>& pool) {
    const auto any = [&] { return pool[pick(static_cast<int>(pool.size()))]; };
    Expr x = any();
    if (chance(3)) x = b_.cast(x, kScalars[pick(std::size(kScalars))]);
    const Scalar type = b_.type_of(x);
    const Expr y = b_.cast(any(), type);
    constexpr ExprOp ops[] = {ExprOp::kNeg,    ExprOp::kAbs,    ExprOp::kSign,   ExprOp::kFloor,
                              ExprOp::kCeil,   ExprOp::kRound,  ExprOp::kTrunc,  ExprOp::kNot,
                              ExprOp::kBitNot, ExprOp::kIsNan,  ExprOp::kIsInf,  ExprOp::kAdd,
                              ExprOp::kSub,    ExprOp::kMul,    ExprOp::kDiv,    ExprOp::kRem,
                              ExprOp::kMod,    ExprOp::kMin,    ExprOp::kMax,    ExprOp::kBitAnd,
                              ExprOp::kBitOr,  ExprOp::kBitXor, ExprOp::kShl,    ExprOp::kShr,
                              ExprOp::kEq,     ExprOp::kNe,     ExprOp::kLt,     ExprOp::kLe,
                              ExprOp::kGt,     ExprOp::kGe,     ExprOp::kAnd,    ExprOp::kOr,
                              ExprOp::kXor,    ExprOp::kSelect, ExprOp::kNarrow, ExprOp::kBitcast};
    ExprOp op = ops[pick(std::size(ops))];
    while (!accepts(op, type)) op = ops[pick(std::size(ops))];
    if (op == ExprOp::kSelect) {
      return b_.select(b_.cast(any(), Scalar::kBool), x, y);
    }
    if (op == ExprOp::kNarrow) return b_.narrow(x, output_dtype(type));
    if (op == ExprOp::kBitcast) {
      if (is_float(type)) return b_.bitcast(x, type == Scalar::kF32 ? Scalar::kI32 : Scalar::kI64);
      const bool wide = width_of(type) == 64;
      return b_.bitcast(x, wide ? Scalar::kU64 : Scalar::kU32);
    }
    if (is_unary(op)) return b_.unary(op, x);
    // A zero of either sign may come out of a reduction; nothing may divide by it.
    if (is_float(type) && (op == ExprOp::kDiv || op == ExprOp::kRem || op == ExprOp::kMod)) {
      return b_.binary(op, x, b_.add(b_.unary(ExprOp::kAbs, y), b_.number(y, 1)));
    }
    return b_.binary(op, x, y);
  }

  // Small whole numbers, so that float sums and products are exact in any order.
  Expr tame(ExprOp op, Expr x) {
    if (!is_float(b_.type_of(x))) return x;
    if (op == ExprOp::kReduceProd) {
      x = b_.unary(ExprOp::kSign, x);
    } else if (op == ExprOp::kReduceSum) {
      x = b_.unary(ExprOp::kRound, b_.max(b_.min(x, b_.number(x, 8)), b_.number(x, -8)));
    } else {
      return x;
    }
    return b_.select(b_.unary(ExprOp::kIsNan, x), b_.number(x, 2), x);
  }

  Expr reduction(int depth) {
    const auto& domain = case_.program.domain;
    const Expr loop = b_.loop();
    Extent most = new_extent(chance(4) ? 200 + pick(500) : 1 + pick(40));
    if (depth > 1) most = new_extent(1 + pick(9));
    Expr extent = b_.extent(most);
    if (chance(3)) extent = wrapped(pool_[pick(static_cast<int>(pool_.size()))], most);
    // A load that uses the variable, at any of its positions.
    std::vector<Extent> dims;
    std::vector<Expr> index;
    const int at = pick(static_cast<int>(domain.size()) + 1);
    for (int a = 0; a <= static_cast<int>(domain.size()); ++a) {
      if (a == at) {
        dims.push_back(most);
        index.push_back(loop);
      }
      if (a < static_cast<int>(domain.size()) && !chance(3)) {
        dims.push_back(domain[a]);
        index.push_back(b_.index(static_cast<uint32_t>(a)));
      }
    }
    std::vector<Expr> local = {b_.load(add_input(any_dtype(), dims), index)};
    local.push_back(pool_[pick(static_cast<int>(pool_.size()))]);
    if (chance(2)) local.push_back(loop);
    if (depth > 1) local.push_back(reduction(depth - 1));
    // A value that depends on the loop, gathered by it.
    if (options_.gathers && chance(3)) {
      const std::vector<Extent> table = {new_extent(1 + pick(6))};
      const Expr where[] = {wrapped(local[0], table[0])};
      local.push_back(b_.load(add_input(any_dtype(), table), where));
    }
    const int count = pick(4);
    for (int i = 0; i < count; ++i) local.push_back(operation(local));
    constexpr ExprOp ops[] = {ExprOp::kReduceSum,   ExprOp::kReduceProd, ExprOp::kReduceMin,
                              ExprOp::kReduceMax,   ExprOp::kReduceAny,  ExprOp::kReduceAll,
                              ExprOp::kArgMinFirst, ExprOp::kArgMinLast, ExprOp::kArgMaxFirst,
                              ExprOp::kArgMaxLast};
    const Expr body = local[chance(2) ? local.size() - 1 : 0];
    ExprOp op = ops[pick(std::size(ops))];
    while (!accepts(op, b_.type_of(body))) op = ops[pick(std::size(ops))];
    return b_.reduce(op, loop, extent, tame(op, body));
  }

  std::mt19937 random_;
  RandomOptions options_;
  RandomCase case_;
  ExprBuilder b_;
  std::vector<Expr> pool_;
};

}  // namespace

std::vector<const HostTensor*> RandomCase::input_pointers() const {
  std::vector<const HostTensor*> pointers;
  for (const HostTensor& t : inputs) pointers.push_back(&t);
  return pointers;
}

RandomCase random_case(uint32_t seed, const RandomOptions& options) {
  return Generator(seed, options).run();
}

HostTensor random_tensor(DType dtype, const Dims& dims, std::mt19937& random) {
  HostTensor tensor = *HostTensor::zeros(dtype, dims);
  for (int64_t i = 0; i < tensor.count(); ++i) {
    const int value = static_cast<int>(random() % 41) - 20;
    if (is_float(dtype))
      tensor.set_float(i, value / 4.0);
    else
      tensor.set_int(i, dtype == DType::kBool ? value > 0 : value);
  }
  return tensor;
}

std::string first_difference(const HostTensor& got, const HostTensor& want) {
  if (got.dtype != want.dtype || got.dims != want.dims) return "another type or shape";
  for (int64_t i = 0; i < want.count(); ++i) {
    if (is_float(want.dtype)) {
      const double a = got.float_at(i);
      const double b = want.float_at(i);
      if (a == b || (std::isnan(a) && std::isnan(b))) continue;
      return cat("element ", i, " is ", a, ", expected ", b);
    }
    if (got.int_at(i) != want.int_at(i)) {
      return cat("element ", i, " is ", got.int_at(i), ", expected ", want.int_at(i));
    }
  }
  return "";
}

}  // namespace quern
