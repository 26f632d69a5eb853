// DFT: the discrete Fourier transform along an axis, of real or complex signals, forward or
// inverse, of whole or one-sided spectra. On the device a transform of up to 2048 elements is one
// pass of dft.wgsl; longer ones are several, through memory between them; lengths with large
// primes are a convolution of two transforms (ops/common/fft.h). Tables come from the host, in
// double, and are the same code's parameters for every length.
#include <algorithm>
#include <numeric>

#include "ops/common/dft_shape.h"
#include "ops/common/fft.h"
#include "ops/common/gemm.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"axis", AttributeKind::kInt},
                                          {"inverse", AttributeKind::kInt},
                                          {"onesided", AttributeKind::kInt}};

// As in dft.wgsl.
constexpr int64_t kWorkgroup = 256;
constexpr int64_t kCapacity = 2048;
constexpr size_t kMaxStages = 15;
/// Radices of several passes are at most so, where that saves no pass: neighbouring lines then
/// lie in one workgroup.
constexpr int64_t kMaxRadix = 512;
/// Of lengths up to this all roots are in the table.
constexpr int64_t kMaxRoots = 8192;
/// A device is busy with so many workgroups.
constexpr int64_t kManyWorkgroups = 64;
constexpr int64_t kLinesTogether = 8;

struct Config {
  bool first = false, last = false, pre = false, post = false;
  template <class F>
  void fields(F&& f) const {
    f("FIRST", uint32_t{first});
    f("LAST", uint32_t{last});
    f("PRE", uint32_t{pre});
    f("POST", uint32_t{post});
  }
};

/// Factors in as few products of at most `most` as they fit in, if in `count`.
bool fit(const std::vector<int64_t>& factors, size_t count, int64_t most,
         std::vector<std::vector<int64_t>>& passes) {
  passes.assign(count, {});
  std::vector<int64_t> products(count, 1);
  for (size_t i = factors.size(); i-- > 0;) {  // the largest primes first
    const auto least = static_cast<size_t>(std::ranges::min_element(products) - products.begin());
    if (products[least] * factors[i] > most || passes[least].size() == kMaxStages) return false;
    products[least] *= factors[i];
    passes[least].push_back(factors[i]);
  }
  return true;
}

std::vector<std::vector<int64_t>> passes_of(int64_t length) {
  const std::vector<int64_t> factors = fft_factors(length);
  std::vector<std::vector<int64_t>> passes;
  if (fit(factors, 1, kCapacity, passes)) return passes;
  for (size_t count = 2; count <= factors.size(); ++count) {
    if (fit(factors, count, kMaxRadix, passes)) break;
  }
  return passes;
}

std::vector<uint8_t> words_of(const std::vector<Complex>& values) {
  std::vector<uint8_t> bytes(values.size() * 8);
  for (size_t i = 0; i < values.size(); ++i) {
    store_float(DType::kF32, bytes.data(), static_cast<int64_t>(2 * i), values[i].re);
    store_float(DType::kF32, bytes.data(), static_cast<int64_t>(2 * i) + 1, values[i].im);
  }
  return bytes;
}

/// A table or intermediate signal on the device.
struct Signal {
  Storage storage;
  uint64_t count = 0;  // complex numbers; 0: none

  [[nodiscard]] KernelBinding bind(std::string_view name) const {
    return {name, storage, DType::kF32, count * 2};
  }
};

class Lowering {
 public:
  Lowering(LowerContext& ctx, const DftShape& shape) : ctx_(ctx), s_(shape) {}

  Result<void> run() {
    if (is_fft_length(s_.length)) return transform(s_.length, s_.inverse, true, true, {}, {});
    const Fft fft(s_.length, s_.inverse);
    const auto length = static_cast<int64_t>(fft.kernel().size());
    QUERN_ASSIGN(Signal chirp, table(chirp_of(s_.length, s_.inverse)));
    QUERN_ASSIGN(Signal kernel, table(fft.kernel()));
    QUERN_TRY(transform(length, false, true, false, chirp, kernel));
    return transform(length, true, false, true, {}, chirp);
  }

 private:
  Result<Signal> table(const std::vector<Complex>& values) {
    Signal signal;
    signal.count = values.size();
    QUERN_ASSIGN(signal.storage, ctx_.table(words_of(values)));
    return signal;
  }

  Result<Signal> make_roots(int64_t length) {
    split_ = length;
    if (length > kMaxRoots) {
      split_ = 1;
      while (split_ * split_ < length) split_ *= 2;
    }
    std::vector<Complex> roots;
    for (int64_t e = 0; e < split_; ++e) roots.push_back(root_of_unity(e, length));
    for (int64_t e = 0; split_ < length && e < length; e += split_) {
      roots.push_back(root_of_unity(e, length));
    }
    return table(roots);
  }

  /// Transforms of `length` from x or `between_`, to y or `between_`; `before` and `after` multiply
  /// by position.
  Result<void> transform(int64_t length, bool inverse, bool from_x, bool to_y, Signal before,
                         Signal after) {
    QUERN_TRY(check_u32(ctx_, s_.transforms()));
    QUERN_TRY(check_u32(ctx_, s_.transforms() * length));
    QUERN_ASSIGN(roots_, make_roots(length));
    const std::vector<std::vector<int64_t>> passes = passes_of(length);
    int64_t done = 1;
    for (size_t p = 0; p < passes.size(); ++p) {
      const bool is_last = p + 1 == passes.size();
      KernelCall call;
      call.kernel = "dft";
      Config config;
      config.first = from_x && p == 0;
      config.last = to_y && is_last;
      config.pre = p == 0 && before.count != 0;
      config.post = is_last && after.count != 0;
      call.config = config_of(config);
      if (config.first) {
        call.bindings.push_back(ctx_.bind_in("x", 0));
      } else {
        call.bindings.push_back(between_.bind("source"));
      }
      call.bindings.push_back(roots_.bind("roots"));
      if (config.pre) call.bindings.push_back(before.bind("pre"));
      if (config.post) call.bindings.push_back(after.bind("post"));
      if (config.last) {
        call.bindings.push_back(ctx_.bind_out("y", 0));
      } else {
        between_.count = static_cast<uint64_t>(s_.transforms() * length);
        QUERN_ASSIGN(between_.storage, ctx_.scratch(between_.count * 8));
        call.bindings.push_back(between_.bind("result"));
      }
      set_params(call, config, length, inverse, passes[p], done);
      QUERN_TRY(ctx_.dispatch(std::move(call)));
      for (int64_t f : passes[p]) done *= f;
    }
    return {};
  }

  void set_params(KernelCall& call, const Config& config, int64_t length, bool inverse,
                  const std::vector<int64_t>& factors, int64_t done) const {
    int64_t radix = 1;
    uint32_t packed[3] = {};
    for (size_t i = 0; i < factors.size(); ++i) {
      radix *= factors[i];
      packed[i / 5] |= word(factors[i]) << (i % 5 * 6);
    }
    const int64_t lines = length / radix;
    const int64_t total = s_.transforms() * lines;
    const int64_t wanted =
        std::max({(total + kManyWorkgroups - 1) / kManyWorkgroups, (kWorkgroup + radix - 1) / radix,
                  lines > 1 ? kLinesTogether : 1});
    const int64_t together = std::min({wanted, kCapacity / radix, total});
    const bool row_of_x = s_.inner == 1 || !config.first;
    const bool row_of_y = s_.inner == 1 || !config.last;
    const float scale = s_.inverse ? 1.0f / static_cast<float>(s_.length) : 1.0f;
    call.params = {word(length),
                   word(radix),
                   word(done),
                   word(lines),
                   word(total),
                   word(together),
                   word(static_cast<int64_t>(factors.size())),
                   packed[0],
                   packed[1],
                   packed[2],
                   word(split_),
                   word(s_.hermitian ? s_.length : std::min(s_.length, s_.in_length)),
                   word(s_.hermitian ? s_.length : 0),
                   word(s_.in_length),
                   word(s_.in_parts),
                   word(s_.out_length),
                   word(s_.out_parts),
                   word(s_.inner),
                   uint32_t{lines == 1 && row_of_x},
                   uint32_t{done == 1 && row_of_y},
                   word_of(inverse ? -1.0f : 1.0f),
                   word_of(scale)};
    call.workgroups =
        split_workgroups(static_cast<uint64_t>((total + together - 1) / together), ctx_.target());
  }

  LowerContext& ctx_;
  const DftShape& s_;
  int64_t split_ = 1;
  Signal roots_;
  Signal between_;
};

Result<void> lower(LowerContext& ctx) {
  if (ctx.output(0).count() == 0) return {};
  QUERN_ASSIGN(DftShape s, dft_shape(ctx));
  QUERN_TRY(check_u32(ctx, ctx.input(0).count()));
  QUERN_TRY(check_u32(ctx, ctx.output(0).count()));
  return Lowering(ctx, s).run();
}

}  // namespace

extern const OpDef op_dft;
const OpDef op_dft = {
    .name = "DFT",
    .since = 17,
    .max_inputs = 3,
    .types = kFloats,
    .attributes = kAttributes,
    .host_inputs = 0b110,
    .infer = infer_dft,
    .lower = lower,
    .cpu_kernel = "dft",
};

}  // namespace quern
