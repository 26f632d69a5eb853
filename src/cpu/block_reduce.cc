#include "cpu/block_reduce.h"

#include <cmath>
#include <limits>
#include <type_traits>

namespace quern {
namespace {

template <class T>
T lesser(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    const T least = b < a ? b : a;
    return a != a || b != b ? std::numeric_limits<T>::quiet_NaN() : least;
  } else {
    return b < a ? b : a;
  }
}
template <class T>
T greater(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    const T most = b > a ? b : a;
    return a != a || b != b ? std::numeric_limits<T>::quiet_NaN() : most;
  } else {
    return b > a ? b : a;
  }
}
// Integers wrap.
template <class T>
T plus(T a, T b) {
  if constexpr (std::is_floating_point_v<T>)
    return a + b;
  else
    return static_cast<T>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}
template <class T>
T times(T a, T b) {
  if constexpr (std::is_floating_point_v<T>)
    return a * b;
  else
    return static_cast<T>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
}
template <class T>
T either(T a, T b) {
  return a | b;
}
template <class T>
T both(T a, T b) {
  return a & b;
}

template <class A, class T, auto kFunction>
void accumulate(const BlockArgs& k) {
  auto* __restrict acc = static_cast<A*>(k.out);
  const auto* __restrict value = static_cast<const T*>(k.args[0]);
  const int count = k.count & -kBlockStep;
  for (int i = 0; i < count; ++i) acc[i] = kFunction(acc[i], static_cast<A>(value[i]));
}

template <class T>
BlockKernel accumulate_kernel_of(ExprOp op) {
  using Wide = std::conditional_t<std::is_same_v<T, float>, double, T>;
  switch (op) {
    case ExprOp::kReduceSum:
      return &accumulate<Wide, T, plus<Wide>>;
    case ExprOp::kReduceProd:
      return &accumulate<Wide, T, times<Wide>>;
    case ExprOp::kReduceMin:
      return &accumulate<T, T, lesser<T>>;
    case ExprOp::kReduceMax:
      return &accumulate<T, T, greater<T>>;
    default:
      return nullptr;
  }
}

// Folds a block in kLanes independent chains, which the compiler keeps in SIMD registers.
constexpr int kLanes = 16;

template <class A, class T, auto kFunction>
A fold_lanes(const T* values, int count, A neutral) {
  A lanes[kLanes];
  for (A& lane : lanes) lane = neutral;
  int i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int j = 0; j < kLanes; ++j) {
      lanes[j] = kFunction(lanes[j], static_cast<A>(values[i + j]));
    }
  }
  for (int j = 0; i < count; ++i, ++j) lanes[j] = kFunction(lanes[j], static_cast<A>(values[i]));
  for (int half = kLanes / 2; half > 0; half /= 2) {
    for (int j = 0; j < half; ++j) lanes[j] = kFunction(lanes[j], lanes[j + half]);
  }
  return lanes[0];
}

template <class T>
T lowest() {
  return std::is_floating_point_v<T> ? -std::numeric_limits<T>::infinity()
                                     : std::numeric_limits<T>::lowest();
}
template <class T>
T highest() {
  return std::is_floating_point_v<T> ? std::numeric_limits<T>::infinity()
                                     : std::numeric_limits<T>::max();
}

template <class T>
auto& state_of(Folded& folded) {
  if constexpr (std::is_floating_point_v<T>)
    return folded.number;
  else
    return folded.bits;
}

template <class T>
bool is_nan(T v) {
  return v != v;
}

template <class T>
void fold_arg(ExprOp op, const T* values, int64_t first, int count, Folded& folded) {
  const bool least = op == ExprOp::kArgMinFirst || op == ExprOp::kArgMinLast;
  const bool last = op == ExprOp::kArgMinLast || op == ExprOp::kArgMaxLast;
  // The block's best value (NaN, where there is one), then the place of it.
  const T best = least ? fold_lanes<T, T, lesser<T>>(values, count, highest<T>())
                       : fold_lanes<T, T, greater<T>>(values, count, lowest<T>());
  auto& state = state_of<T>(folded);
  const auto before = static_cast<T>(state);
  if (folded.any) {
    if (is_nan(before) ? !(last && is_nan(best))
                       : !is_nan(best) && (least ? (last ? best > before : best >= before)
                                                 : (last ? best < before : best <= before))) {
      return;
    }
  }
  const auto is_best = [&](T v) { return is_nan(best) ? is_nan(v) : v == best; };
  int at = last ? count - 1 : 0;
  while (!is_best(values[at])) at += last ? -1 : 1;
  state = static_cast<std::remove_reference_t<decltype(state)>>(best);
  folded.where = first + at;
  folded.any = true;
}

template <class T>
void fold_block_of(ExprOp op, const void* block, int64_t first, int count, Folded& folded) {
  const auto* values = static_cast<const T*>(block);
  auto& state = state_of<T>(folded);
  using State = std::remove_reference_t<decltype(state)>;
  const auto combine = [&]<class A>(A v, auto function) {
    state = static_cast<State>(function(static_cast<A>(state), v));
  };
  using Wide = std::conditional_t<std::is_same_v<T, float>, double, T>;
  switch (op) {
    case ExprOp::kReduceSum:
      // f32 in f32: at most kBlock / kLanes additions in a chain.
      return combine(static_cast<Wide>(fold_lanes<T, T, plus<T>>(values, count, T{0})), plus<Wide>);
    case ExprOp::kReduceProd:
      return combine(fold_lanes<Wide, T, times<Wide>>(values, count, Wide{1}), times<Wide>);
    case ExprOp::kReduceMin:
      return combine(fold_lanes<T, T, lesser<T>>(values, count, highest<T>()), lesser<T>);
    case ExprOp::kReduceMax:
      return combine(fold_lanes<T, T, greater<T>>(values, count, lowest<T>()), greater<T>);
    default:
      return fold_arg(op, values, first, count, folded);
  }
}

template <class T>
void accumulate_arg_of(ExprOp op, void* best_block, int32_t* where, const void* block,
                       int32_t iteration, const uint8_t* active, int count) {
  const bool least = op == ExprOp::kArgMinFirst || op == ExprOp::kArgMinLast;
  const bool last = op == ExprOp::kArgMinLast || op == ExprOp::kArgMaxLast;
  auto* best = static_cast<T*>(best_block);
  const auto* value = static_cast<const T*>(block);
  for (int i = 0; i < count; ++i) {
    const T v = value[i];
    const T b = best[i];
    const bool better = least ? v < b : v > b;
    const bool equal = v == b || (is_nan(v) && is_nan(b));
    const bool takes =
        iteration == 0 || (is_nan(v) && !is_nan(b)) || (!is_nan(b) && better) || (last && equal);
    const bool replace = takes && (active == nullptr || active[i] != 0);
    best[i] = replace ? v : b;
    where[i] = replace ? iteration : where[i];
  }
}

}  // namespace

BlockKernel accumulate_kernel(ExprOp op, Scalar type) {
  if (op == ExprOp::kReduceAny) return &accumulate<uint8_t, uint8_t, either<uint8_t>>;
  if (op == ExprOp::kReduceAll) return &accumulate<uint8_t, uint8_t, both<uint8_t>>;
  switch (type) {
    case Scalar::kF32:
      return accumulate_kernel_of<float>(op);
    case Scalar::kF64:
      return accumulate_kernel_of<double>(op);
    case Scalar::kI32:
      return accumulate_kernel_of<int32_t>(op);
    case Scalar::kU32:
      return accumulate_kernel_of<uint32_t>(op);
    case Scalar::kI64:
      return accumulate_kernel_of<int64_t>(op);
    case Scalar::kU64:
      return accumulate_kernel_of<uint64_t>(op);
    default:
      return nullptr;
  }
}

void flush_sums(double* acc, float* values, int count) {
  for (int i = 0; i < count; ++i) {
    acc[i] += static_cast<double>(values[i]);
    values[i] = 0;
  }
}

void accumulate_arg(ExprOp op, Scalar type, void* best, int32_t* where, const void* value,
                    int32_t iteration, const uint8_t* active, int count) {
  switch (type) {
    case Scalar::kF32:
      return accumulate_arg_of<float>(op, best, where, value, iteration, active, count);
    case Scalar::kF64:
      return accumulate_arg_of<double>(op, best, where, value, iteration, active, count);
    case Scalar::kI32:
      return accumulate_arg_of<int32_t>(op, best, where, value, iteration, active, count);
    case Scalar::kU32:
      return accumulate_arg_of<uint32_t>(op, best, where, value, iteration, active, count);
    case Scalar::kI64:
      return accumulate_arg_of<int64_t>(op, best, where, value, iteration, active, count);
    default:
      return accumulate_arg_of<uint64_t>(op, best, where, value, iteration, active, count);
  }
}

Folded start_fold(ExprOp op, Scalar type) {
  Folded folded;
  if (is_arg_reduction(op)) return folded;
  const ScalarBits identity = reduction_identity(op, type);
  if (is_float(type))
    folded.number = to_double(type, identity);
  else
    folded.bits = identity;
  return folded;
}

void fold_block(ExprOp op, Scalar type, const void* values, int64_t first, int count,
                Folded& folded) {
  switch (type) {
    case Scalar::kF32:
      return fold_block_of<float>(op, values, first, count, folded);
    case Scalar::kF64:
      return fold_block_of<double>(op, values, first, count, folded);
    case Scalar::kI32:
      return fold_block_of<int32_t>(op, values, first, count, folded);
    case Scalar::kU32:
      return fold_block_of<uint32_t>(op, values, first, count, folded);
    case Scalar::kI64:
      return fold_block_of<int64_t>(op, values, first, count, folded);
    case Scalar::kU64:
      return fold_block_of<uint64_t>(op, values, first, count, folded);
    default:
      break;
  }
  const auto* flags = static_cast<const uint8_t*>(values);
  for (int i = 0; i < count; ++i) {
    folded.bits = op == ExprOp::kReduceAny ? folded.bits | flags[i] : folded.bits & flags[i];
  }
}

void finish_fold(ExprOp op, Scalar type, const Folded& folded, void* out, int i) {
  auto* to = static_cast<uint8_t*>(out) + i * register_width(result_type(op, type));
  if (is_arg_reduction(op)) {
    fill_block(Scalar::kI32, to, folded.where, 1);
  } else {
    fill_block(type, to, is_float(type) ? from_double(type, folded.number) : folded.bits, 1);
  }
}

}  // namespace quern
