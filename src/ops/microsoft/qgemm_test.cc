#include "ops/expand_testing.h"

namespace quern::optest {
namespace {

TEST(QGemm, TransposedWithABias) {
  const OpCall call = {.op = "QGemm",
                       .version = 1,
                       .attributes = {{"alpha", 0.5f}, {"transB", int64_t{1}}},
                       .domain = "com.microsoft"};
  const HostTensor a = tensor(DType::kU8, {1, 2}, {3, 5});
  const HostTensor b = tensor(DType::kI8, {2, 2}, {1, 2, -1, 4});
  // (1 * 1 + 3 * 2 + 10) * 0.5 * 2 and (1 * -2 + 3 * 3 - 4) * 0.5 * 4: b's second zero point is 1.
  EXPECT_EQ(
      expanded_text(call, {a, f32({}, {2}), tensor(DType::kU8, {}, {2}), b, f32({1, 2}),
                           tensor(DType::kI8, {2}, {0, 1}), tensor(DType::kI32, {2}, {10, -4})}),
      "f32[1, 2] {17, 6}");
}

TEST(MicrosoftQuantizeLinear, SixteenBits) {
  const HostTensor scale = f32({}, {0.5});
  const HostTensor zero = tensor(DType::kU16, {}, {100});
  EXPECT_EQ(expanded_text({.op = "QuantizeLinear", .version = 1, .domain = "com.microsoft"},
                          {f32({1, -2}), scale, zero}),
            "u16[2] {102, 96}");
  EXPECT_EQ(expanded_text({.op = "DequantizeLinear", .version = 1, .domain = "com.microsoft"},
                          {tensor(DType::kU16, {2}, {102, 96}), scale, zero}),
            "f32[2] {1, -2}");
}

}  // namespace
}  // namespace quern::optest
