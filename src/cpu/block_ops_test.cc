#include "cpu/block_ops.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

namespace quern {
namespace {

constexpr Scalar kTypes[] = {Scalar::kF32, Scalar::kF64, Scalar::kI32, Scalar::kU32,
                             Scalar::kI64, Scalar::kU64, Scalar::kBool};

ScalarBits read(Scalar type, const void* block, int i) {
  switch (type) {
    case Scalar::kF32:
      return from_double(type, static_cast<const float*>(block)[i]);
    case Scalar::kF64:
      return from_double(type, static_cast<const double*>(block)[i]);
    case Scalar::kI32:
      return static_cast<const int32_t*>(block)[i];
    case Scalar::kU32:
      return static_cast<const uint32_t*>(block)[i];
    case Scalar::kBool:
      return static_cast<const uint8_t*>(block)[i];
    default:
      return static_cast<const int64_t*>(block)[i];
  }
}

struct Block {
  alignas(64) uint8_t bytes[kBlock * 8] = {};
};

// Edge values and random ones of each type.
ScalarBits sample(Scalar type, std::mt19937_64& random) {
  const uint64_t kind = random() % 4;
  if (type == Scalar::kBool) return static_cast<int64_t>(random() & 1);
  if (is_float(type)) {
    const double inf = std::numeric_limits<double>::infinity();
    const double edges[] = {0.0,  -0.0,  1,          -1,           0.5, -0.5, 1.5,  2.5,
                            -2.5, inf,   -inf,       NAN,          3e9, -3e9, 1e19, -1e19,
                            2e19, 1e-40, 2147483647, 4294967295.0, 100, -7,   3,    8388609};
    if (kind != 0) return from_double(type, edges[random() % std::size(edges)]);
    return from_double(type, (static_cast<double>(random() % 20001) - 10000) / 64);
  }
  const int64_t edges[] = {0,         1,         -1,         2,   -2,  3,    7,         -7,
                           31,        32,        33,         63,  64,  65,   INT32_MAX, INT32_MIN,
                           INT64_MAX, INT64_MIN, UINT32_MAX, 255, 256, -128, 1 << 20};
  if (kind != 0) return from_int(type, edges[random() % std::size(edges)]);
  return from_int(type, static_cast<int64_t>(random()));
}

// Runs a kernel over a block of samples and compares with the scalar definition.
void check(ExprOp op, Scalar type, Scalar arg_type, uint32_t slot, bool exact) {
  SCOPED_TRACE(cat(name_of(op), " of ", name_of(arg_type), " to ", name_of(type), " slot ", slot));
  const BlockKernel kernel = block_kernel(op, type, arg_type);
  ASSERT_NE(kernel, nullptr);
  std::mt19937_64 random(static_cast<unsigned>(op) * 7 + static_cast<unsigned>(arg_type));
  const size_t arity = op == ExprOp::kSelect ? 3 : is_unary(op) ? 1 : 2;
  for (int round = 0; round < 4; ++round) {
    Block in[3];
    Block out;
    Scalar types[3];
    for (size_t k = 0; k < arity; ++k) {
      types[k] = op == ExprOp::kSelect && k == 0 ? Scalar::kBool : arg_type;
      for (int i = 0; i < kBlock; ++i) {
        const ScalarBits v = sample(types[k], random);
        fill_block(types[k], in[k].bytes + i * register_width(types[k]), v, 1);
      }
    }
    BlockArgs args{out.bytes, {in[0].bytes, in[1].bytes, in[2].bytes}, kBlock - 16, slot};
    kernel(args);
    for (int i = 0; i < args.count; ++i) {
      ScalarBits values[3];
      for (size_t k = 0; k < arity; ++k) values[k] = read(types[k], in[k].bytes, i);
      const ScalarBits want = apply(op, type, arg_type, slot, {values, arity});
      const ScalarBits got = read(type, out.bytes, i);
      bool same = got == want;
      if (is_float(type) && !same) {
        const double a = to_double(type, got);
        const double b = to_double(type, want);
        same = a == b || (std::isnan(a) && std::isnan(b)) ||
               (!exact && std::fabs(a - b) <= 1e-6 * std::fabs(b));
      }
      ASSERT_TRUE(same) << "got " << to_double(type, got) << ", expected " << to_double(type, want)
                        << " of " << to_double(types[0], values[0]) << ", "
                        << (arity > 1 ? to_double(types[1], values[1]) : 0);
    }
    for (int i = args.count; i < kBlock; ++i) ASSERT_EQ(read(type, out.bytes, i), 0);
  }
}

TEST(BlockOps, EveryOperatorOnEveryType) {
  int checked = 0;
  for (int o = 0; o <= static_cast<int>(ExprOp::kSelect); ++o) {
    const auto op = static_cast<ExprOp>(o);
    if (is_leaf(op) || is_load(op)) continue;
    for (Scalar type : kTypes) {
      if (!accepts(op, type)) continue;
      const bool exact = op < ExprOp::kExp || op > ExprOp::kErf;
      ++checked;
      if (op == ExprOp::kCast) {
        for (Scalar to : kTypes) {
          if (to != type) check(op, to, type, 0, true);
        }
      } else if (op == ExprOp::kBitcast) {
        for (Scalar to : kTypes) {
          if (to != type && width_of(to) == width_of(type)) check(op, to, type, 0, true);
        }
      } else if (op == ExprOp::kNarrow) {
        for (uint32_t d = 1; d <= static_cast<uint32_t>(DType::kI2); ++d) {
          const auto dtype = static_cast<DType>(d);
          if (is_float(type) ? is_float(dtype) : is_integer(dtype)) check(op, type, type, d, true);
        }
      } else {
        // pow and atan2 differ from the rounded double result by a unit in the last place.
        check(op, result_type(op, type), type, 0,
              exact && op != ExprOp::kPow && op != ExprOp::kAtan2);
      }
    }
  }
  EXPECT_EQ(checked, 214);
}

TEST(BlockOps, FillAndSplat) {
  for (Scalar type : kTypes) {
    Block block;
    Block copy;
    fill_block(type, block.bytes, from_int(type, 1), 17);
    EXPECT_EQ(read(type, block.bytes, 16), from_int(type, 1));
    EXPECT_EQ(read(type, block.bytes, 17), from_int(type, 0));
    splat_block(type, copy.bytes, block.bytes, 16, 5);
    EXPECT_EQ(read(type, copy.bytes, 4), from_int(type, 1));
    EXPECT_EQ(read(type, copy.bytes, 5), from_int(type, 0));
  }
}

}  // namespace
}  // namespace quern
