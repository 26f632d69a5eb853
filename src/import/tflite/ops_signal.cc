// Complex numbers and Fourier transforms, and random numbers. A complex tensor is one of pairs
// within the importer: a last axis of real and imaginary part.
#include "import/tflite/operators.h"

namespace quern::tflite {
namespace {

/// x [.., height, width] to [.., height', width' / 2 + 1], complex.
void rfft2d(Call& c, std::string_view) {
  const Tensor x = c.input(0);
  const Ints lengths = c.known(1, "lengths of a transform");
  if (c.failed()) return;
  if (x.rank < 2 || lengths.size() != 2) return c.invalid(cat("an input of rank ", x.rank));
  const auto rank = static_cast<int64_t>(x.rank);
  Tensor pairs = c.b.unsqueeze(x, {rank});
  pairs = c.b.op("DFT", {pairs, c.b.integer(lengths[1]), c.b.integer(rank - 1)},
                 {{"onesided", int64_t{1}}}, x.dtype, x.rank + 1);
  if (lengths[0] != 1 || x.extent(x.rank - 2) != 1) {
    pairs = c.b.op("DFT", {pairs, c.b.integer(lengths[0]), c.b.integer(rank - 2)}, {}, x.dtype,
                   x.rank + 1);
  }
  c.set_complex(pairs);
}

Tensor complex_input(Call& c) {
  const Tensor x = c.raw(0);
  if (!c.failed() && !c.is_complex(x)) c.unsupported("complex numbers of another source");
  return x;
}

void part(Call& c, std::string_view) {
  const Tensor x = complex_input(c);
  if (c.failed()) return;
  const bool is_imaginary = c.scope.context.file.codes[c.op.code].builtin == 133;
  c.set(c.b.select(x, x.rank - 1, c.b.number(is_imaginary ? 1 : 0)));
}

void complex_abs(Call& c, std::string_view) {
  const Tensor x = complex_input(c);
  if (c.failed()) return;
  c.set(c.b.reduce("ReduceL2", x, {static_cast<int64_t>(x.rank) - 1}, false));
}

void complex(Call& c, std::string_view) {
  const Tensor re = c.input(0);
  const auto last = static_cast<int64_t>(re.rank);
  const Tensor im = c.input(1);
  c.set_complex(c.b.concat({c.b.unsqueeze(re, {last}), c.b.unsqueeze(im, {last})}, re.rank));
}

void random(Call& c, std::string_view ours) {
  const std::vector<Size> sizes = c.sizes(0);
  const Tensor base = c.b.expand(c.b.scalar(DType::kF32, 0), sizes);
  c.set(c.b.op(ours, {base}, {}, DType::kF32, sizes.size()));
}

constexpr Operator kOperators[] = {
    {131, "RFFT2D", "DFT", rfft2d},
    {133, "IMAG", "Gather", part},
    {134, "REAL", "Gather", part},
    {135, "COMPLEX_ABS", "ReduceL2", complex_abs},
    {146, "RANDOM_STANDARD_NORMAL", "RandomNormalLike", random},
    {148, "RANDOM_UNIFORM", "RandomUniformLike", random},
    {207, "COMPLEX", "Concat", complex},
};

}  // namespace

std::span<const Operator> signal_operators() { return kOperators; }

}  // namespace quern::tflite
