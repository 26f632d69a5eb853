#include "ops/common/sampling.h"

#include "ops/common/exprs.h"

namespace quern {
namespace {

using Mode = Sampling::Mode;
using Padding = Sampling::Padding;

/// More axes than this have their taps in loops.
constexpr size_t kMaxUnrolled = 2;
constexpr size_t kMaxUnrolledLinear = 3;

class Sampler {
 public:
  Sampler(ExprContext& c, const Sampling& sampling, std::span<const Expr> leading)
      : c_(c), b_(c.b), s_(sampling), index_(leading.begin(), leading.end()) {
    index_.resize(c.input(s_.input).rank());
  }

  Result<Expr> run(std::span<const Expr> at) {
    unrolled_ = at.size() <= (s_.mode == Mode::kLinear ? kMaxUnrolledLinear : kMaxUnrolled);
    for (size_t d = 0; d < at.size(); ++d) {
      if (s_.mode == Mode::kNearest) {
        first_.push_back(b_.cast(b_.unary(ExprOp::kRound, at[d]), Scalar::kI32));
        continue;
      }
      const Expr x = moved_inside(at[d], d);
      const Expr floor = b_.unary(ExprOp::kFloor, x);
      first_.push_back(b_.cast(floor, Scalar::kI32));
      ratio_.push_back(b_.sub(x, floor));
    }
    if (s_.mode == Mode::kNearest) {
      Expr inside = b_.boolean(true);
      for (size_t d = 0; d < at.size(); ++d) inside = place(d, first_[d], inside);
      return load(inside);
    }
    return sum_from(0, b_.boolean(true));
  }

 private:
  [[nodiscard]] Expr extent(size_t d) const { return c_.dim(s_.input, s_.first_axis + d); }

  /// A coordinate past the border put back inside, as the padding says; elsewhere the taps are. Of
  /// mode cubic with a border the taps alone are: its weights past the border are not those at it.
  Expr moved_inside(Expr x, size_t d) {
    if (s_.padding == Padding::kZeros) return x;
    if (s_.padding == Padding::kBorder && s_.mode == Mode::kCubic) {
      const double far = 1 << 30;  // so that indices don't wrap
      return b_.max(b_.min(x, b_.number(x, far)), b_.number(x, -far));
    }
    const Expr size = b_.cast(extent(d), b_.type_of(x));
    const Expr last = b_.sub(size, one(b_, x));
    const Expr low = s_.align_corners ? zero(b_, x) : b_.number(x, -0.5);
    const Expr high = s_.align_corners ? last : b_.sub(size, b_.number(x, 0.5));
    const Expr outside = b_.logical_or(b_.lt(x, low), b_.lt(high, x));
    Expr moved;
    if (s_.padding == Padding::kBorder) {
      moved = b_.max(b_.min(x, last), zero(b_, x));
    } else {
      const Expr range = b_.max(b_.sub(high, low), one(b_, x));
      const Expr period = b_.add(range, range);
      const Expr past = b_.sub(x, low);
      const Expr turns = b_.unary(ExprOp::kFloor, b_.div(past, period));
      const Expr phase = b_.sub(past, b_.mul(turns, period));
      moved = b_.add(low, b_.min(phase, b_.sub(period, phase)));
    }
    return b_.select(outside, moved, x);
  }

  /// Sets the index of axis d to element i, which may lie outside; gives whether it and `inside`
  /// hold.
  Expr place(size_t d, Expr i, Expr inside) {
    const Expr size = extent(d);
    if (s_.padding == Padding::kZeros) {
      inside = b_.logical_and(inside, b_.binary(ExprOp::kGe, i, b_.i32(0)));
      inside = b_.logical_and(inside, b_.lt(i, size));
    } else if (s_.padding == Padding::kReflection) {
      const Expr last = b_.sub(size, b_.i32(1));
      const Expr period =
          s_.align_corners ? b_.max(b_.add(last, last), b_.i32(1)) : b_.add(size, size);
      const Expr phase = b_.binary(ExprOp::kMod, i, period);
      const Expr back = b_.sub(period, phase);
      i = b_.min(phase, s_.align_corners ? back : b_.sub(back, b_.i32(1)));
    }
    index_[s_.first_axis + d] = clamp_index(b_, i, size);
    return inside;
  }

  Result<Expr> load(Expr inside) {
    QUERN_ASSIGN(Expr x, c_.load(s_.input, index_));
    if (s_.padding != Padding::kZeros) return x;
    return b_.select(inside, x, zero_of(c_, s_.input));
  }

  /// The weight of tap `tap`, counted from floor(x) - taps / 2 + 1, at `ratio` past floor(x).
  Expr weight(Expr tap, Expr ratio) {
    const auto number = [&](double value) { return b_.number(ratio, value); };
    const double before = s_.mode == Mode::kLinear ? 0 : 1;
    const Expr distance = b_.unary(
        ExprOp::kAbs, b_.sub(b_.sub(b_.cast(tap, b_.type_of(ratio)), number(before)), ratio));
    if (s_.mode == Mode::kLinear) return b_.sub(number(1), distance);
    const double a = s_.cubic_a;
    const auto polynomial = [&](double c3, double c2, double c1, double c0) {
      Expr y = b_.add(b_.mul(number(c3), distance), number(c2));
      y = b_.add(b_.mul(y, distance), number(c1));
      return b_.add(b_.mul(y, distance), number(c0));
    };
    return b_.select(b_.lt(number(1), distance), polynomial(a, -5 * a, 8 * a, -4 * a),
                     polynomial(a + 2, -(a + 3), 0, 1));
  }

  /// The weighted sum over the taps of axes d and on.
  Result<Expr> sum_from(size_t d, Expr inside) {
    if (d == first_.size()) {
      QUERN_ASSIGN(Expr x, load(inside));
      return b_.cast(x, b_.type_of(ratio_[0]));
    }
    const int64_t taps = s_.mode == Mode::kLinear ? 2 : 4;
    const Expr first = b_.sub(first_[d], b_.i32(taps / 2 - 1));
    const auto term = [&](Expr tap) -> Result<Expr> {
      QUERN_ASSIGN(Expr x, sum_from(d + 1, place(d, b_.add(first, tap), inside)));
      return b_.mul(weight(tap, ratio_[d]), x);
    };
    if (!unrolled_) {
      const Expr tap = b_.loop();
      QUERN_ASSIGN(Expr body, term(tap));
      return b_.reduce(ExprOp::kReduceSum, tap, b_.i32(taps), body);
    }
    QUERN_ASSIGN(Expr sum, term(b_.i32(0)));
    for (int64_t t = 1; t < taps; ++t) {
      QUERN_ASSIGN(Expr next, term(b_.i32(t)));
      sum = b_.add(sum, next);
    }
    return sum;
  }

  ExprContext& c_;
  ExprBuilder& b_;
  const Sampling& s_;
  std::vector<Expr> index_;
  std::vector<Expr> first_;  // floor of the coordinates
  std::vector<Expr> ratio_;
  bool unrolled_ = true;
};

}  // namespace

Result<Expr> sample(ExprContext& c, const Sampling& sampling, std::span<const Expr> leading,
                    std::span<const Expr> at) {
  return Sampler(c, sampling, leading).run(at);
}

}  // namespace quern
