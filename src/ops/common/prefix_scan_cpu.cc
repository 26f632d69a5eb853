#include "ops/common/prefix_scan_cpu.h"

#include <algorithm>

namespace quern {
namespace {

/// Neighbouring lines that are scanned together.
constexpr int64_t kColumns = 64;

template <bool product, class T>
T joined(T a, T b) {
  return product ? a * b : a + b;
}

/// T: elements; Sum: what they are added up in.
template <class T, class Sum, bool product>
void scan_columns(const ScanShape& s, int64_t outer, int64_t first, int64_t columns, const T* x,
                  T* y) {
  Sum sums[kColumns];
  std::fill(sums, sums + columns, Sum(product ? 1 : 0));
  for (int64_t i = 0; i < s.length; ++i) {
    const int64_t place = s.reverse ? s.length - 1 - i : i;
    const int64_t at = (outer * s.length + place) * s.inner + first;
    for (int64_t j = 0; j < columns; ++j) {
      const Sum next = joined<product>(sums[j], static_cast<Sum>(x[at + j]));
      y[at + j] = static_cast<T>(s.exclusive ? sums[j] : next);
      sums[j] = next;
    }
  }
}

template <class T, class Sum>
Result<void> run_as(CpuContext& c, bool product) {
  QUERN_ASSIGN(ScanShape s, scan_shape(c));
  if (c.output(0).count() == 0) return {};
  const T* x = c.in_as<T>(0);
  T* y = c.out_as<T>(0);
  const int64_t across = (s.inner + kColumns - 1) / kColumns;
  const int64_t grain = std::max<int64_t>(1, 4096 / (s.length * std::min(s.inner, kColumns)));
  c.parallel().run(s.outer * across, grain, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t first = task % across * kColumns;
      const int64_t columns = std::min(kColumns, s.inner - first);
      const auto scan = product ? scan_columns<T, Sum, true> : scan_columns<T, Sum, false>;
      scan(s, task / across, first, columns, x, y);
    }
  });
  return {};
}

}  // namespace

Result<void> run_scan(CpuContext& c, bool product) {
  // Integers wrap, so the unsigned types do for both.
  switch (c.input(0).dtype) {
    case DType::kF32:
      return run_as<float, double>(c, product);
    case DType::kF64:
      return run_as<double, double>(c, product);
    case DType::kI32:
    case DType::kU32:
      return run_as<uint32_t, uint32_t>(c, product);
    default:
      return run_as<uint64_t, uint64_t>(c, product);
  }
}

}  // namespace quern
