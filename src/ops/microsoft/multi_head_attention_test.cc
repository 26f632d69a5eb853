#include "ops/expand_testing.h"

namespace quern::optest {
namespace {

/// Numbers between -1 and 1, for a tensor of these dims.
HostTensor numbers(Dims dims, int seed) {
  int64_t count = 1;
  for (const int64_t d : dims) count *= d;
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i) {
    values.push_back(static_cast<float>((i * 37 + seed * 11) % 19 - 9) / 9);
  }
  return f32(std::move(dims), std::move(values));
}

/// The result in words, which must be one.
std::string attend(const std::vector<std::optional<HostTensor>>& inputs) {
  const OpCall call = {.op = "MultiHeadAttention",
                       .version = 1,
                       .attributes = {{"num_heads", int64_t{2}}},
                       .domain = "com.microsoft"};
  std::string result = expanded_text(call, inputs);
  EXPECT_TRUE(result.starts_with("f32[")) << result;
  return result;
}

/// x plus element `at(i)` of the bias, at each i.
template <class F>
HostTensor plus(HostTensor x, const HostTensor& bias, F&& at) {
  for (int64_t i = 0; i < x.count(); ++i) {
    x.set_float(i, x.float_at(i) + bias.float_at(at(i)));
  }
  return x;
}

// Two heads of two elements: the bias holds those of q (elements 0 to 3), k and v.
TEST(MultiHeadAttention, BiasOfPackedOperands) {
  const HostTensor bias = numbers({12}, 5);
  const HostTensor packed = numbers({1, 3, 2, 3, 2}, 1);
  const HostTensor biased = plus(packed, bias, [](int64_t i) {
    const int64_t head = i / 6 % 2;
    const int64_t which = i / 2 % 3;
    return which * 4 + head * 2 + i % 2;
  });
  EXPECT_EQ(attend({packed, kAbsent, kAbsent, bias}), attend({biased}));
}

TEST(MultiHeadAttention, BiasOfPackedKeysAndValues) {
  const HostTensor bias = numbers({12}, 5);
  const HostTensor q = numbers({1, 3, 4}, 2);
  const HostTensor kv = numbers({1, 4, 2, 2, 2}, 3);
  const HostTensor biased_q = plus(q, bias, [](int64_t i) { return i % 4; });
  const HostTensor biased_kv = plus(kv, bias, [](int64_t i) {
    const int64_t head = i / 4 % 2;
    const int64_t which = 1 + i / 2 % 2;
    return which * 4 + head * 2 + i % 2;
  });
  EXPECT_EQ(attend({q, kv, kAbsent, bias}), attend({biased_q, biased_kv}));
}

TEST(MultiHeadAttention, MaskOfKeyLengthsWithCumulatedOnes) {
  const HostTensor q = numbers({2, 3, 4}, 1);
  const HostTensor k = numbers({2, 3, 4}, 2);
  const HostTensor v = numbers({2, 3, 4}, 3);
  const auto masked = [&](std::vector<double> mask) {
    const auto count = std::ssize(mask);
    return attend({q, k, v, kAbsent, tensor(DType::kI32, {count}, std::move(mask))});
  };
  EXPECT_EQ(masked({2, 3, 0, 3, 6, 0, 3, 6}), masked({2, 3}));
  EXPECT_NE(masked({2, 3, 0, 3, 6, 0, 3, 6}), masked({3, 3}));
}

}  // namespace
}  // namespace quern::optest
