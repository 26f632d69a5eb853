#include "ops/common/prefix_scan.h"

#include <algorithm>

#include "ops/common/gemm.h"
#include "ops/common/infer.h"
#include "shader/lower.h"

namespace quern {
namespace {

constexpr uint32_t kWorkgroup = 256;
/// Lines whose elements lie at least so far apart are one invocation's each, so that neighbouring
/// invocations read neighbours.
constexpr int64_t kFarApart = 16;
/// Shorter lines are one invocation's too.
constexpr int64_t kShort = 16;
/// A device is busy with so many invocations.
constexpr int64_t kManyInvocations = 8192;
/// An invocation takes at most and at least so many elements of a line that several share.
constexpr int64_t kMost = 16;
constexpr int64_t kLeast = 64;  // of a line's part that one invocation takes alone

struct Config {
  uint32_t wg = kWorkgroup;
  uint32_t lanes = kWorkgroup;
  std::string_view acc = "f32";
  bool wide = false, product = false, carry = false, totals = false;
  template <class F>
  void fields(F&& f) const {
    f("WG", wg);
    f("LANES", lanes);
    f("Acc", acc);
    f("WIDE", uint32_t{wide});
    f("PRODUCT", uint32_t{product});
    f("CARRY", uint32_t{carry});
    f("TOTALS", uint32_t{totals});
  }
};

/// The element type in which results are collected.
DType collected(DType dtype) {
  if (is_float(dtype)) return DType::kF32;
  if (bit_width(dtype) == 64) return DType::kI64;
  return is_signed_int(dtype) ? DType::kI32 : DType::kU32;
}

/// How a line is shared: `lanes` invocations take `each` elements of a block.
struct Schedule {
  uint32_t lanes = 1;
  int64_t each = 1;
};
Schedule schedule_of(const ScanShape& s) {
  if (s.inner >= kFarApart || s.length <= kShort) {
    const int64_t parts = (kManyInvocations + s.lines() - 1) / s.lines();
    return {1, std::clamp((s.length + parts - 1) / parts, std::min(kLeast, s.length), s.length)};
  }
  const uint32_t lanes = s.length <= 256 ? 32 : kWorkgroup;
  return {lanes, std::min((s.length + lanes - 1) / lanes, kMost)};
}

class Lowering {
 public:
  Lowering(LowerContext& ctx, DType type, bool product)
      : ctx_(ctx), type_(type), product_(product) {}

  /// A long line is taken in blocks: their totals, the totals' scan, and then the blocks again,
  /// each from what comes before it.
  Result<void> scan(const ScanShape& s, const KernelBinding& x, const KernelBinding& y) {
    const Schedule schedule = schedule_of(s);
    const int64_t block = schedule.lanes * schedule.each;
    const int64_t blocks = (s.length + block - 1) / block;
    if (blocks == 1) return dispatch(s, schedule, 1, x, y, nullptr, false);
    const auto count = static_cast<uint64_t>(s.lines() * blocks);
    const auto bytes = byte_size(type_, count);
    QUERN_ASSIGN(Storage totals, ctx_.scratch(bytes));
    QUERN_ASSIGN(Storage before, ctx_.scratch(bytes));
    const KernelBinding total = {"y", totals, type_, count};
    QUERN_TRY(dispatch(s, schedule, blocks, x, total, nullptr, true));
    const ScanShape outer = {.outer = s.lines(), .length = blocks, .exclusive = true};
    QUERN_TRY(scan(outer, {"x", totals, type_, count}, {"y", before, type_, count}));
    const KernelBinding carry = {"carry", before, type_, count};
    return dispatch(s, schedule, blocks, x, y, &carry, false);
  }

 private:
  Result<void> dispatch(const ScanShape& s, const Schedule& schedule, int64_t blocks,
                        const KernelBinding& x, const KernelBinding& y, const KernelBinding* carry,
                        bool totals) {
    Config config;
    config.lanes = schedule.lanes;
    config.acc = type_ == DType::kF32   ? "f32"
                 : type_ == DType::kI64 ? "vec2<u32>"
                 : type_ == DType::kI32 ? "i32"
                                        : "u32";
    config.wide = type_ == DType::kI64;
    config.product = product_;
    config.carry = carry != nullptr;
    config.totals = totals;
    KernelCall call;
    call.kernel = "prefix_scan";
    call.config = config_of(config);
    call.bindings = {x};
    if (carry != nullptr) call.bindings.push_back(*carry);
    call.bindings.push_back(y);
    call.params = {word(s.lines()), word(s.length),        word(s.inner),      word(schedule.each),
                   word(blocks),    uint32_t{s.exclusive}, uint32_t{s.reverse}};
    const int64_t together = kWorkgroup / schedule.lanes;
    const int64_t groups = (s.lines() + together - 1) / together;
    call.workgroups = split_workgroups(static_cast<uint64_t>(groups * blocks), ctx_.target());
    return ctx_.dispatch(std::move(call));
  }

  LowerContext& ctx_;
  DType type_;
  bool product_;
};

}  // namespace

Result<ScanShape> scan_shape(const OpContext& c) {
  const TensorInfo& x = c.input(0);
  const std::vector<int64_t> axis = c.ints(1);
  if (axis.size() != 1) return c.error("axis is not one known number");
  QUERN_ASSIGN(size_t a, resolve_axis(c.node(), axis[0], x.rank()));
  ScanShape s;
  for (size_t i = 0; i < a; ++i) s.outer *= x.dims[i];
  for (size_t i = a + 1; i < x.rank(); ++i) s.inner *= x.dims[i];
  s.length = x.dims[a];
  s.exclusive = c.node().int_or("exclusive", 0) != 0;
  s.reverse = c.node().int_or("reverse", 0) != 0;
  return s;
}

Result<void> infer_scan(InferContext& c) {
  c.set(0, c.type(0));
  const std::optional<std::vector<int64_t>> axis = c.numbers(1);
  if (!axis || c.shape(0) == nullptr) return {};
  if (axis->size() != 1) return c.error("axis is not one number");
  QUERN_TRY(resolve_axis(c.node(), (*axis)[0], c.shape(0)->size()));
  return {};
}

Result<void> lower_scan(LowerContext& ctx, bool product) {
  if (ctx.output(0).count() == 0) return {};
  QUERN_ASSIGN(ScanShape s, scan_shape(ctx));
  QUERN_TRY(check_u32(ctx, ctx.input(0).count()));
  return Lowering(ctx, collected(ctx.input(0).dtype), product)
      .scan(s, ctx.bind_in("x", 0), ctx.bind_out("y", 0));
}

Result<void> eval_scan(EvalContext& c, bool product) {
  QUERN_ASSIGN(ScanShape s, scan_shape(c));
  const HostTensor& x = c.in(0);
  HostTensor& y = c.out(0);
  const bool is_real = is_float(x.dtype);
  for (int64_t line = 0; line < s.lines(); ++line) {
    double real = product ? 1 : 0;
    uint64_t whole = product ? 1 : 0;
    for (int64_t i = 0; i < s.length; ++i) {
      const int64_t place = s.reverse ? s.length - 1 - i : i;
      const int64_t at = (line / s.inner * s.length + place) * s.inner + line % s.inner;
      const auto put = [&] { is_real ? y.set_float(at, real) : y.set_int(at, int64_t(whole)); };
      if (s.exclusive) put();
      if (is_real) {
        real = product ? real * x.float_at(at) : real + x.float_at(at);
      } else {
        const auto v = static_cast<uint64_t>(x.int_at(at));
        whole = product ? whole * v : whole + v;
      }
      if (!s.exclusive) put();
    }
  }
  return {};
}

}  // namespace quern
