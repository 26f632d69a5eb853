// quern.MelCorners: the spectrum's bins, rounded down, at count + 2 frequencies that are evenly
// spaced on the mel scale.
#include <cmath>

#include "ops/op_def.h"

namespace quern {
namespace {

constexpr int64_t kMaxBins = 1 << 20;

Result<void> infer(InferContext& c) {
  Dim count = c.fresh_dim(0, 0);
  if (const auto contents = c.contents(0); contents && contents->size() == 1) {
    const Dim& bins = (*contents)[0];
    if (bins.upper() < 0 || bins.lower() > kMaxBins) return c.error(cat(bins, " mel bins"));
    if (bins.lower() >= 0) count = bins + 2;
  }
  c.set(0, DType::kI32, Shape{count});
  return {};
}

double mel_of(double hertz) { return 2595 * std::log10(1 + hertz / 700); }

Result<void> eval(EvalContext& c) {
  for (size_t i = 0; i < 5; ++i) {
    if (c.in(i).count() != 1) return c.error(cat("input ", i, " is not one number"));
  }
  HostTensor& corners = c.out(0);
  const double lowest = mel_of(c.in(3).float_at(0));
  const double step = (mel_of(c.in(4).float_at(0)) - lowest) / static_cast<double>(corners.count());
  const auto length = static_cast<double>(c.in(1).int_at(0) + 1);
  const auto rate = static_cast<double>(c.in(2).int_at(0));
  for (int64_t i = 0; i < corners.count(); ++i) {
    const double hertz = 700 * (std::pow(10, (static_cast<double>(i) * step + lowest) / 2595) - 1);
    corners.set_float(i, std::floor(length * hertz / rate));
  }
  return {};
}

}  // namespace

extern const OpDef op_mel_corners;
const OpDef op_mel_corners = {
    .name = "MelCorners",
    .domain = "quern",
    .min_inputs = 5,
    .max_inputs = 5,
    .types = types_of(DType::kI32, DType::kI64),
    .host_inputs = 0b11111,
    .is_host = true,
    .infer = infer,
    .eval = eval,
};

}  // namespace quern
