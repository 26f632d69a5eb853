#include "ops/common/sort.h"

#include <algorithm>
#include <numeric>

namespace quern {
namespace {

constexpr int64_t kBlock = 1024;  // elements that a workgroup sorts
constexpr int64_t kWorkgroup = 256;

int64_t power_of_two(int64_t n) {
  int64_t p = 1;
  while (p < n) p *= 2;
  return p;
}

struct BlockConfig {
  bool wide = false, merge = false, numbers = false, keys = false;
  template <class F>
  void fields(F&& f) const {
    f("WG", kWorkgroup);
    f("B", kBlock);
    f("WIDE", wide);
    f("MERGE", uint32_t{merge});
    f("NUMBERS", uint32_t{numbers});
    f("KEYS", uint32_t{keys});
  }
};

struct StepConfig {
  bool wide = false;
  template <class F>
  void fields(F&& f) const {
    f("WG", kWorkgroup);
    f("WIDE", wide);
  }
};

class Sorter {
 public:
  Sorter(LowerContext& ctx, const RowSort& sort) : ctx_(ctx), sort_(sort) {}

  Result<SortedRows> run(Storage keys, bool want_keys) {
    if (sort_.keep * 2 > kBlock && sort_.length > kBlock) return whole(keys);
    // Each block keeps its first elements, those are the rows of the next round.
    SortedRows now{.keys = keys};
    bool first = true;
    for (int64_t length = sort_.length;; first = false) {
      const int64_t span = std::min(power_of_two(length), kBlock);
      const int64_t blocks = (length + span - 1) / span;
      const bool last = blocks == 1;
      const int64_t keep = std::min(sort_.keep, span);
      const int64_t kept = (blocks - 1) * keep + std::min(length - (blocks - 1) * span, keep);
      QUERN_ASSIGN(SortedRows next, buffers(kept, !last || want_keys));
      QUERN_TRY(blocks_of(now, next, length, span, keep,
                          {.wide = sort_.wide, .numbers = !first, .keys = !last || want_keys}));
      if (last) return next;
      now = next;
      length = kept;
    }
  }

 private:
  Result<SortedRows> buffers(int64_t length, bool with_keys) {
    const auto count = static_cast<uint64_t>(sort_.rows * length);
    SortedRows out;
    out.stride = length;
    QUERN_ASSIGN(out.numbers, ctx_.scratch(count * 4));
    if (with_keys) {
      QUERN_ASSIGN(out.keys, ctx_.scratch(count * (sort_.wide ? 8 : 4)));
    }
    return out;
  }

  KernelBinding bind(std::string_view name, Storage s, int64_t length, bool pairs) const {
    return {name, s, DType::kU32, static_cast<uint64_t>(sort_.rows * length * (pairs ? 2 : 1))};
  }

  Result<void> blocks_of(const SortedRows& from, const SortedRows& to, int64_t length, int64_t span,
                         int64_t keep, BlockConfig config) {
    const int64_t blocks = (length + span - 1) / span;
    KernelCall call;
    call.kernel = "sort_blocks";
    call.config = config_of(config);
    if (config.numbers) call.bindings.push_back(bind("numbers", from.numbers, length, false));
    call.bindings.push_back(bind("keys", from.keys, length, sort_.wide));
    call.bindings.push_back(bind("out_numbers", to.numbers, length, false));
    if (config.keys) call.bindings.push_back(bind("out_keys", to.keys, length, sort_.wide));
    call.params = {word(sort_.rows), word(length), word(span), word(blocks), word(keep)};
    const int64_t segments = sort_.rows * blocks;
    const int64_t each = kBlock / span;
    call.workgroups =
        split_workgroups(static_cast<uint64_t>((segments + each - 1) / each), ctx_.target());
    return ctx_.dispatch(std::move(call));
  }

  Result<void> step(const SortedRows& rows, int64_t half, bool flip) {
    const int64_t group = 2 * half;
    const int64_t pairs = (sort_.length + group - 1) / group * half;
    KernelCall call;
    call.kernel = "sort_step";
    call.config = config_of(StepConfig{sort_.wide});
    call.bindings = {bind("numbers", rows.numbers, sort_.length, false),
                     bind("keys", rows.keys, sort_.length, sort_.wide)};
    call.params = {word(sort_.rows), word(sort_.length), word(pairs), word(half), word(flip)};
    call.workgroups = split_workgroups(
        static_cast<uint64_t>((sort_.rows * pairs + kWorkgroup - 1) / kWorkgroup), ctx_.target());
    return ctx_.dispatch(std::move(call));
  }

  /// All elements of rows longer than a block: sorted blocks, merged two by two.
  Result<SortedRows> whole(Storage keys) {
    QUERN_ASSIGN(SortedRows rows, buffers(sort_.length, true));
    QUERN_TRY(blocks_of({.keys = keys}, rows, sort_.length, kBlock, kBlock,
                        {.wide = sort_.wide, .keys = true}));
    for (int64_t size = 2 * kBlock; size / 2 < sort_.length; size *= 2) {
      QUERN_TRY(step(rows, size / 2, true));
      for (int64_t half = size / 4; half >= kBlock; half /= 2) QUERN_TRY(step(rows, half, false));
      QUERN_TRY(blocks_of(rows, rows, sort_.length, kBlock, kBlock,
                          {.wide = sort_.wide, .merge = true, .numbers = true, .keys = true}));
    }
    return rows;
  }

  LowerContext& ctx_;
  const RowSort& sort_;
};

}  // namespace

Expr sort_key(ExprBuilder& b, Expr element, DType type, bool descending) {
  Scalar scalar = b.type_of(element);
  Expr bits = element;
  if (is_float(type)) {
    // Exponent and fraction are in the order of the numbers; a sign turns it round.
    const bool wide = is_wide_key(type);
    scalar = wide ? Scalar::kU64 : Scalar::kU32;
    const auto number = [&](uint64_t v) { return b.constant_int(scalar, static_cast<int64_t>(v)); };
    bits = b.bitcast(element, scalar);
    const int width = wide ? 64 : 32;
    const uint64_t sign = uint64_t{1} << (width - 1);
    const uint64_t infinity = wide ? 0x7ff0000000000000u : 0x7f800000u;
    const Expr magnitude = b.binary(ExprOp::kBitAnd, bits, number(sign - 1));
    const Expr is_negative = b.binary(ExprOp::kNe, magnitude, bits);
    const Expr is_nan = b.binary(ExprOp::kGt, magnitude, number(infinity));
    bits = b.select(is_negative, b.sub(number(sign), magnitude),
                    b.binary(ExprOp::kBitOr, magnitude, number(sign)));
    bits = b.select(is_nan, number(wide ? UINT64_MAX : UINT32_MAX), bits);
  } else if (scalar == Scalar::kBool) {
    bits = b.cast(element, Scalar::kU32);
  } else if (scalar == Scalar::kI32 || scalar == Scalar::kI64) {
    const bool wide = scalar == Scalar::kI64;
    scalar = wide ? Scalar::kU64 : Scalar::kU32;
    const int64_t sign = wide ? INT64_MIN : int64_t{1} << 31;
    bits = b.binary(ExprOp::kBitXor, b.bitcast(element, scalar), b.constant_int(scalar, sign));
  }
  return descending ? b.unary(ExprOp::kBitNot, bits) : bits;
}

uint64_t sort_key(const HostTensor& tensor, int64_t i, bool descending) {
  uint64_t key = 0;
  if (is_float(tensor.dtype)) {
    const double value = tensor.float_at(i);
    const auto bits = __builtin_bit_cast(uint64_t, value);
    constexpr uint64_t kSign = uint64_t{1} << 63;
    const uint64_t magnitude = bits & ~kSign;
    key = (bits & kSign) != 0 ? kSign - magnitude : kSign + magnitude;
    if (value != value) key = UINT64_MAX;
  } else {
    key = static_cast<uint64_t>(tensor.int_at(i));
    if (is_signed_int(tensor.dtype)) key ^= uint64_t{1} << 63;
  }
  return descending ? ~key : key;
}

Result<SortedRows> sort_rows(LowerContext& ctx, Storage keys, const RowSort& sort, bool want_keys) {
  if (sort.rows * sort.length * (sort.wide ? 2 : 1) > INT32_MAX) {
    return limit_exceeded(cat(ctx.node().describe(), ": sorts ", sort.rows, " rows of ",
                              sort.length, " elements, more than a kernel can number"));
  }
  if (sort.rows == 0 || sort.length == 0) return SortedRows{};
  return Sorter(ctx, sort).run(keys, want_keys);
}

std::vector<int64_t> sorted_places(const std::vector<uint64_t>& keys, int64_t keep) {
  std::vector<int64_t> places(keys.size());
  std::iota(places.begin(), places.end(), 0);
  const auto before = [&](int64_t a, int64_t b) {
    const uint64_t x = keys[static_cast<size_t>(a)];
    const uint64_t y = keys[static_cast<size_t>(b)];
    return x < y || (x == y && a < b);
  };
  const auto middle = places.begin() + std::min<int64_t>(keep, std::ssize(places));
  std::partial_sort(places.begin(), middle, places.end(), before);
  places.erase(middle, places.end());
  return places;
}

}  // namespace quern
