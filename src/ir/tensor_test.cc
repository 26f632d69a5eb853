#include "ir/tensor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace quern {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

TEST(DType, NamesReadBack) {
  for (int i = 0; i <= static_cast<int>(DType::kI2); ++i) {
    const auto type = static_cast<DType>(i);
    EXPECT_EQ(dtype_named(name_of(type)), type);
  }
  EXPECT_EQ(name_of(DType::kF8E4M3FNUZ), "f8e4m3fnuz");
  EXPECT_EQ(name_of(DType::kI2), "i2");
  EXPECT_EQ(name_of(static_cast<DType>(99)), "undefined");
  EXPECT_EQ(dtype_named("f33"), std::nullopt);
}

TEST(Tensor, Zeros) {
  EXPECT_EQ(HostTensor::zeros(DType::kI4, {3, 3})->bytes.size(), 5u);
  EXPECT_EQ(HostTensor::zeros(DType::kC128, {2})->bytes.size(), 32u);
  EXPECT_EQ(HostTensor::zeros(DType::kString, {2})->strings.size(), 2u);
  EXPECT_EQ(HostTensor::zeros(DType::kF32, {0, 7})->bytes.size(), 0u);
  EXPECT_EQ(HostTensor::zeros(DType::kF32, {1000}, 100).error().code, ErrorCode::kLimit);
  EXPECT_FALSE(HostTensor::zeros(DType::kString, {int64_t{1} << 40}));
  EXPECT_FALSE(HostTensor::zeros(DType::kF32, {-1}));
  EXPECT_FALSE(HostTensor::zeros(DType::kF32, {int64_t{1} << 62, 4}));
}

TEST(Tensor, PackedElements) {
  HostTensor t = HostTensor::of_ints(DType::kI4, {5}, {1, -8, 7, -1, 3});
  EXPECT_EQ(t.bytes, (std::vector<uint8_t>{0x81, 0xf7, 0x03}));
  EXPECT_EQ(t.int_at(1), -8);
  EXPECT_EQ(t.int_at(3), -1);
  t.set_int(1, 5);
  EXPECT_EQ(t.bytes[0], 0x51);
  HostTensor u = HostTensor::of_ints(DType::kU2, {5}, {0, 1, 2, 3, 2});
  EXPECT_EQ(u.bytes, (std::vector<uint8_t>{0xe4, 0x02}));
  EXPECT_EQ(u.int_at(3), 3);
  EXPECT_EQ(HostTensor::of_ints(DType::kI2, {2}, {-2, 1}).int_at(0), -2);
  HostTensor f = HostTensor::of_ints(DType::kF4E2M1, {3}, {0, 3, -6});
  EXPECT_EQ(f.bytes, (std::vector<uint8_t>{0x50, 0x0f}));
  EXPECT_EQ(f.float_at(2), -6.0);
}

TEST(Tensor, IntegersWrap) {
  EXPECT_EQ(HostTensor::of_ints(DType::kI8, {1}, {200}).int_at(0), -56);
  EXPECT_EQ(HostTensor::of_ints(DType::kU8, {1}, {-1}).int_at(0), 255);
  EXPECT_EQ(HostTensor::of_ints(DType::kU32, {1}, {-1}).int_at(0), 0xffffffff);
  EXPECT_EQ(HostTensor::of_ints(DType::kU64, {1}, {-1}).float_at(0), 0x1p64);
  EXPECT_EQ(HostTensor::of_ints(DType::kBool, {1}, {7}).int_at(0), 1);
  EXPECT_EQ(HostTensor::of_ints(DType::kI64, {1}, {INT64_MIN}).int_at(0), INT64_MIN);
}

TEST(Tensor, FloatsToIntegers) {
  HostTensor i32 = *HostTensor::zeros(DType::kI32, {1});
  const auto stored = [&](double value) {
    i32.set_float(0, value);
    return i32.int_at(0);
  };
  EXPECT_EQ(stored(-2.9), -2);
  EXPECT_EQ(stored(1e10), INT32_MAX);
  EXPECT_EQ(stored(-1e300), INT32_MIN);
  EXPECT_EQ(stored(kNan), 0);
  HostTensor u64 = *HostTensor::zeros(DType::kU64, {1});
  u64.set_float(0, 0x1.8p63);
  EXPECT_EQ(static_cast<uint64_t>(u64.int_at(0)), 0xc000000000000000u);
  u64.set_float(0, -1);
  EXPECT_EQ(u64.int_at(0), 0);
  HostTensor u8 = *HostTensor::zeros(DType::kU8, {1});
  u8.set_float(0, 300.7);
  EXPECT_EQ(u8.int_at(0), 44);
  HostTensor b = *HostTensor::zeros(DType::kBool, {1});
  b.set_float(0, 0.5);
  EXPECT_EQ(b.int_at(0), 1);
}

TEST(Tensor, EveryNumericTypeHoldsSmallNumbers) {
  for (int i = 1; i <= static_cast<int>(DType::kI2); ++i) {
    const auto type = static_cast<DType>(i);
    if (type == DType::kString) continue;
    HostTensor t = *HostTensor::zeros(type, {3});
    t.set_int(2, 1);
    t.set_float(1, 1);
    EXPECT_EQ(t.float_at(1), 1) << name_of(type);
    EXPECT_EQ(t.float_at(2), 1) << name_of(type);
    EXPECT_EQ(t.int_at(2), 1) << name_of(type);
    if (type != DType::kF8E8M0) {
      EXPECT_EQ(t.int_at(0), 0) << name_of(type);
    }
    if (is_float(type) || is_signed_int(type)) {
      t.set_int(0, -1);
      EXPECT_EQ(t.int_at(0), type == DType::kF8E8M0 ? 1 : -1) << name_of(type);
    }
  }
}

TEST(Tensor, FloatsRoundOnce) {
  HostTensor half = *HostTensor::zeros(DType::kF16, {1});
  // Just above a tie: by way of float it would become the tie, and round down.
  half.set_float(0, 1 + 0x1p-11 + 0x1p-40);
  EXPECT_EQ(half.float_at(0), 1 + 0x1p-10);
  // Likewise for integers: by way of double the last bit would get lost.
  const int64_t above_tie = (int64_t{1} << 60) + (int64_t{1} << 36) + 1;
  EXPECT_EQ(HostTensor::of_ints(DType::kF32, {1}, {above_tie}).float_at(0), 0x1p60 + 0x1p37);
  EXPECT_EQ(HostTensor::of_floats({2}, {0.5f, -3}).int_at(1), -3);
  EXPECT_EQ(HostTensor::of_floats({1}, {-0.9f}).int_at(0), 0);
}

TEST(Constant, Make) {
  const ConstantPtr c = make_constant(HostTensor::of_floats({2}, {1, 2}));
  EXPECT_TRUE(c->is_inline());
  EXPECT_EQ(c->dtype, DType::kF32);
  EXPECT_EQ(c->dims, (Dims{2}));
}

}  // namespace
}  // namespace quern
