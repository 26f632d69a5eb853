#include "ops/common/dft_shape.h"

#include "ops/common/fft.h"
#include "ops/common/infer.h"

namespace quern {
namespace {

constexpr int kAxisInputSince = 20;

/// The axis as given; nothing where it is an input that is not known.
template <class Context>
std::optional<int64_t> given_axis(const Context& c, size_t) {
  if (c.version() < kAxisInputSince) return c.node().int_or("axis", 1);
  const IntList list = int_list(c, "", 2, 0);
  if (!list.present) return -2;
  if (!list.known || list.values.size() != 1) return std::nullopt;
  return list.values[0];
}

/// The axis from the front; the last one holds the parts of complex numbers.
Result<size_t> signal_axis(const Node& node, int64_t axis, size_t rank) {
  QUERN_ASSIGN(size_t a, resolve_axis(node, axis, rank));
  if (a + 1 == rank) {
    return invalid_model(cat(node.describe(), ": axis ", axis, " is that of the complex parts"));
  }
  return a;
}

bool is_one_sided(const Node& node) { return node.int_or("onesided", 0) != 0; }
bool is_inverse(const Node& node) { return node.int_or("inverse", 0) != 0; }

}  // namespace

Result<void> infer_dft(InferContext& c) {
  c.set(0, c.dtype(0), std::nullopt);
  const Shape* x = c.shape(0);
  if (x == nullptr) return {};
  if (x->size() < 2) return c.error(cat("input ", *x, " has no axis of complex parts"));
  if (x->back().is_const() && x->back().value() != 1 && x->back().value() != 2) {
    return c.error(cat("the last axis of input ", *x, " should have 1 or 2 elements"));
  }
  Shape y = *x;
  const bool one_sided = is_one_sided(c.node());
  const bool inverse = is_inverse(c.node());
  y.back() = one_sided && inverse ? 1 : 2;
  const std::optional<int64_t> axis = given_axis(c, x->size());
  if (!axis) {
    for (size_t a = 0; a + 1 < y.size(); ++a) y[a] = c.fresh_dim(0, a);
    c.set(0, c.dtype(0), std::move(y));
    return {};
  }
  QUERN_ASSIGN(size_t a, signal_axis(c.node(), *axis, x->size()));
  Dim length = one_sided && inverse ? ((*x)[a] - 1) * 2 : (*x)[a];
  if (c.has_input(1)) {
    const std::optional<std::vector<Dim>> given = c.contents(1);
    if (given && given->size() != 1) return c.error("dft_length is not one number");
    if (given && (*given)[0].upper() < 1) return c.error("dft_length is not positive");
    length = given && (*given)[0].lower() >= 0 ? (*given)[0] : c.fresh_dim(0, a);
  }
  if (length.is_const() && length.value() < 0) length = 0;
  y[a] = one_sided && !inverse ? floor_div(length, 2) + 1 : length;
  c.set(0, c.dtype(0), std::move(y));
  return {};
}

Result<DftShape> dft_shape(const OpContext& c) {
  const TensorInfo& x = c.input(0);
  const TensorInfo& y = c.output(0);
  const std::optional<int64_t> axis = given_axis(c, x.rank());
  if (!axis) return c.error("axis is not known");
  QUERN_ASSIGN(size_t a, signal_axis(c.node(), *axis, x.rank()));
  DftShape s;
  for (size_t i = 0; i < a; ++i) s.outer *= x.dims[i];
  for (size_t i = a + 1; i + 1 < x.rank(); ++i) s.inner *= x.dims[i];
  s.in_length = x.dims[a];
  s.out_length = y.dims[a];
  s.in_parts = x.dims.back();
  s.out_parts = y.dims.back();
  s.inverse = is_inverse(c.node());
  s.hermitian = s.inverse && is_one_sided(c.node());
  s.length = s.hermitian ? s.out_length : s.in_length;
  if (const std::vector<int64_t> given = c.ints(1); c.has_input(1) && given.size() == 1) {
    s.length = given[0];
  }
  if (s.length < 1 && y.count() != 0) return c.error("a transform of nothing");
  if (s.length > kMaxFftLength) {
    return limit_exceeded(cat(c.node().describe(), ": a transform of length ", s.length));
  }
  return s;
}

}  // namespace quern
