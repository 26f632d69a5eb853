#include <cmath>
#include <limits>

#include "ops/op_testing.h"

namespace quern::optest {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
const float kNan = std::nanf("");

TEST(Elementwise, UnaryFunctions) {
  const auto of = [](const char* op, float x) {
    return run_one({.op = op}, {f32({x})}).float_at(0);
  };
  EXPECT_EQ(of("Abs", -2), 2);
  EXPECT_EQ(of("Neg", 3), -3);
  EXPECT_EQ(of("Sign", -0.5f), -1);
  EXPECT_EQ(of("Floor", -1.5f), -2);
  EXPECT_EQ(of("Ceil", -1.5f), -1);
  EXPECT_EQ(of("Round", 2.5f), 2);
  EXPECT_EQ(of("Sqrt", 9), 3);
  EXPECT_EQ(of("Reciprocal", 4), 0.25);
  EXPECT_EQ(of("Relu", -4), 0);
  EXPECT_NEAR(of("Sigmoid", 1), 0.73105858, 1e-6);
  EXPECT_EQ(of("Sigmoid", -1000), 0);
  EXPECT_NEAR(of("Softplus", 100), 100, 1e-5);
  EXPECT_NEAR(of("Softplus", -100), 0, 1e-30);
  EXPECT_NEAR(of("Erf", 0.5f), 0.52049988, 1e-6);
  EXPECT_NEAR(of("Gelu", 1), 0.84134475, 1e-6);
  EXPECT_NEAR(of("Mish", 1), 0.86509839, 1e-6);
  EXPECT_NEAR(of("HardSwish", 1), 4.0 / 6, 1e-6);
  EXPECT_NEAR(of("HardSigmoid", 1), 0.7, 1e-6);
  EXPECT_NEAR(of("Elu", -1), std::expm1(-1), 1e-6);
  EXPECT_NEAR(of("Celu", -1), std::expm1(-1), 1e-6);
  EXPECT_NEAR(of("LeakyRelu", -1), -0.01, 1e-8);
  EXPECT_TRUE(std::isnan(of("Relu", kNan)));
}

TEST(Elementwise, EmptyAndRankZero) {
  EXPECT_EQ(text(run_one({.op = "Exp"}, {f32({0, 3}, {})})), "f32[0, 3] {}");
  EXPECT_EQ(text(run_one({.op = "Neg"}, {f32({}, {2})})), "f32[] {-2}");
  EXPECT_EQ(text(run_one({.op = "Add"}, {f32({0, 1}, {}), f32({1, 3}, {1, 2, 3})})),
            "f32[0, 3] {}");
  EXPECT_EQ(text(run_one({.op = "Add"}, {f32({}, {2}), f32({}, {3})})), "f32[] {5}");
}

TEST(Elementwise, Broadcasts) {
  EXPECT_EQ(text(run_one({.op = "Sub"}, {f32({2, 1}, {10, 20}), f32({3}, {1, 2, 3})})),
            "f32[2, 3] {9, 8, 7, 19, 18, 17}");
  EXPECT_EQ(infer({.op = "Mul"}, {InferInput::of("f32[n, 1]"), InferInput::of("f32[3]")}),
            "f32[n, 3]");
  EXPECT_EQ(infer({.op = "Mul"}, {InferInput::of("f32[n, 4]"), InferInput::of("f32[*]")}),
            "f32[*]");
  EXPECT_NE(
      infer({.op = "Mul"}, {InferInput::of("f32[2]"), InferInput::of("f32[3]")}).find("error"),
      std::string::npos);
  EXPECT_NE(
      infer({.op = "Mul"}, {InferInput::of("f32[2]"), InferInput::of("i64[2]")}).find("error"),
      std::string::npos);
}

TEST(Elementwise, IntegersWrapAndTruncate) {
  EXPECT_EQ(text(run_one({.op = "Add"},
                         {tensor(DType::kI8, {2}, {127, -128}), tensor(DType::kI8, {2}, {1, -1})})),
            "i8[2] {-128, 127}");
  EXPECT_EQ(text(run_one({.op = "Div"}, {i64({-7, 7, 5}), i64({2, -2, 0})})), "i64[3] {-3, -3, 0}");
  EXPECT_EQ(text(run_one({.op = "Mod"}, {i64({-7, 7}), i64({3, -3})})), "i64[2] {2, -2}");
  EXPECT_EQ(text(run_one({.op = "Mod", .attributes = {{"fmod", int64_t{1}}}},
                         {i64({-7, 7}), i64({3, -3})})),
            "i64[2] {-1, 1}");
  EXPECT_EQ(text(run_one({.op = "BitwiseNot"}, {tensor(DType::kU8, {2}, {0, 255})})),
            "u8[2] {255, 0}");
}

TEST(Elementwise, PowOfMixedTypes) {
  EXPECT_EQ(text(run_one({.op = "Pow"}, {i64({2, 3}), f32({0.5f, 2})})), "i64[2] {1, 9}");
  EXPECT_EQ(text(run_one({.op = "Pow"}, {f32({2, 4}), i64({3, -1})})), "f32[2] {8, 0.25}");
  EXPECT_EQ(text(run_one({.op = "Pow"}, {i64({3}), tensor(DType::kI32, {1}, {39})})),
            "i64[1] {4052555153018976267}");
}

TEST(Elementwise, Variadic) {
  const std::vector<std::optional<HostTensor>> three{f32({1, 5}), f32({4, 2}), f32({}, {3})};
  EXPECT_EQ(text(run_one({.op = "Max"}, three)), "f32[2] {4, 5}");
  EXPECT_EQ(text(run_one({.op = "Min"}, three)), "f32[2] {1, 2}");
  EXPECT_EQ(text(run_one({.op = "Sum"}, three)), "f32[2] {8, 10}");
  EXPECT_EQ(text(run_one({.op = "Mean"}, {f32({1}), f32({2})})), "f32[1] {1.5}");
  EXPECT_EQ(text(run_one({.op = "Max"}, {f32({1})})), "f32[1] {1}");
}

TEST(Elementwise, ClipByVersion) {
  const HostTensor x = f32({-2, 0.5f, 9});
  EXPECT_EQ(text(run_one({.op = "Clip", .version = 6, .attributes = {{"max", 6.0f}}}, {x})),
            "f32[3] {-2, 0.5, 6}");
  EXPECT_EQ(text(run_one({.op = "Clip", .version = 13}, {x, f32({}, {0}), f32({}, {6})})),
            "f32[3] {0, 0.5, 6}");
  EXPECT_EQ(text(run_one({.op = "Clip", .version = 13}, {x, kAbsent, f32({}, {1})})),
            "f32[3] {-2, 0.5, 1}");
  // Where the bounds cross, the upper one wins.
  EXPECT_EQ(text(run_one({.op = "Clip", .version = 13}, {x, f32({}, {5}), f32({}, {1})})),
            "f32[3] {1, 1, 1}");
}

TEST(Elementwise, CastRounds) {
  const auto cast = [](const HostTensor& x, DType to, int64_t saturate = 1) {
    return text(run_one(
        {.op = "Cast", .attributes = {{"to", static_cast<int64_t>(to)}, {"saturate", saturate}}},
        {x}));
  };
  EXPECT_EQ(cast(f32({-1.9f, 1.9f}), DType::kI64), "i64[2] {-1, 1}");
  EXPECT_EQ(cast(f32({-1, 256}), DType::kU8), "u8[2] {255, 0}");
  EXPECT_EQ(cast(i64({200, -1}), DType::kI8), "i8[2] {-56, -1}");
  EXPECT_EQ(cast(i64({0, 7}), DType::kBool), "bool[2] {0, 1}");
  EXPECT_EQ(cast(f32({0.3f, -0.0f}), DType::kBool), "bool[2] {1, 0}");
  EXPECT_EQ(cast(f32({500, -kInf}), DType::kF8E4M3FN), "f8e4m3fn[2] {448, -448}");
  EXPECT_EQ(cast(f32({463, 464}), DType::kF8E4M3FN, 0), "f8e4m3fn[2] {448, nan}");
  EXPECT_EQ(cast(f32({3, 1e38f}), DType::kF8E8M0), "f8e8m0[2] {4, 1.7014118e+38}");
  EXPECT_EQ(cast(f32({1.5f, -kInf}), DType::kString), "string[2] {1.5, -INF}");
  EXPECT_EQ(cast(strings({3}, {"1e-1", "+INF", "nan"}), DType::kF32), "f32[3] {0.1, inf, nan}");
  EXPECT_EQ(cast(strings({1}, {"-9007199254740993"}), DType::kI64), "i64[1] {-9007199254740993}");
  EXPECT_EQ(text(run_one({.op = "CastLike"}, {f32({2.5f}), i64({0, 0})})), "i64[1] {2}");
  EXPECT_EQ(text(run_one({.op = "BitCast", .attributes = {{"to", int64_t{6}}}}, {f32({1})})),
            "i32[1] {1065353216}");
}

TEST(Elementwise, ShiftsPastTheWidth) {
  const OpCall right{.op = "BitShift", .attributes = {{"direction", std::string("RIGHT")}}};
  EXPECT_EQ(text(run_one(right, {tensor(DType::kI8, {3}, {-8, 4, -1}),
                                 tensor(DType::kI8, {3}, {-1, 9, 100})})),
            "i8[3] {-1, 0, -1}");
  EXPECT_EQ(
      text(run_one(right, {tensor(DType::kU32, {2}, {16, 16}), tensor(DType::kU32, {2}, {2, 32})})),
      "u32[2] {4, 0}");
}

TEST(Elementwise, NotNumbers) {
  const HostTensor x = f32({kInf, -kInf, kNan, 1});
  EXPECT_EQ(text(run_one({.op = "IsNaN"}, {x})), "bool[4] {0, 0, 1, 0}");
  EXPECT_EQ(text(run_one({.op = "IsInf"}, {x})), "bool[4] {1, 1, 0, 0}");
  EXPECT_EQ(text(run_one({.op = "IsInf", .attributes = {{"detect_negative", int64_t{0}}}}, {x})),
            "bool[4] {1, 0, 0, 0}");
}

TEST(Elementwise, WhereOfAnyType) {
  const HostTensor mask = tensor(DType::kBool, {2}, {1, 0});
  EXPECT_EQ(text(run_one({.op = "Where"}, {mask, i64({}, {-1}), i64({5, 6})})), "i64[2] {-1, 6}");
  EXPECT_EQ(text(run_one({.op = "Where"}, {mask, strings({2}, {"a", "b"}), strings({}, {"c"})})),
            "string[2] {a, c}");
}

TEST(Elementwise, BatchNormalization) {
  const HostTensor x = f32({2, 2, 1}, {1, 2, 3, 6});
  const HostTensor one = f32({1, 1});
  const HostTensor zero = f32({0, 0});
  EXPECT_EQ(text(run_one({.op = "BatchNormalization", .attributes = {{"epsilon", 0.0f}}},
                         {x, f32({2, 3}), f32({0, 1}), f32({1, 2}), f32({4, 1})})),
            "f32[2, 2, 1] {0, 1, 2, 13}");
  const auto trained =
      run({.op = "BatchNormalization",
           .version = 15,
           .attributes = {{"epsilon", 0.0f}, {"momentum", 0.5f}, {"training_mode", int64_t{1}}},
           .outputs = 3},
          {x, one, zero, zero, one});
  ASSERT_TRUE(trained.has_value()) << trained.error().message;
  EXPECT_EQ(text((*trained)[0]), "f32[2, 2, 1] {-1, -1, 1, 1}");
  EXPECT_EQ(text((*trained)[1]), "f32[2] {1, 2}");
  EXPECT_EQ(text((*trained)[2]), "f32[2] {1, 2.5}");
}

TEST(Elementwise, DropoutPassesThrough) {
  const auto out = run({.op = "Dropout", .outputs = 2}, {f32({1, 2}), f32({}, {0.5f}), kAbsent});
  ASSERT_TRUE(out.has_value()) << out.error().message;
  EXPECT_EQ(text((*out)[0]), "f32[2] {1, 2}");
  EXPECT_EQ(text((*out)[1]), "bool[2] {1, 1}");
  EXPECT_EQ(infer({.op = "Dropout", .version = 7, .outputs = 2}, {InferInput::of("f32[n]")}),
            "f32[n]; f32[n]");
}

TEST(Logic, ComparesAndCombines) {
  const HostTensor a = i64({1, 2, 3});
  const HostTensor b = i64({}, {2});
  EXPECT_EQ(text(run_one({.op = "Less"}, {a, b})), "bool[3] {1, 0, 0}");
  EXPECT_EQ(text(run_one({.op = "LessOrEqual"}, {a, b})), "bool[3] {1, 1, 0}");
  EXPECT_EQ(text(run_one({.op = "Greater"}, {a, b})), "bool[3] {0, 0, 1}");
  EXPECT_EQ(text(run_one({.op = "GreaterOrEqual"}, {a, b})), "bool[3] {0, 1, 1}");
  EXPECT_EQ(text(run_one({.op = "Equal"}, {a, b})), "bool[3] {0, 1, 0}");
  EXPECT_EQ(text(run_one({.op = "Equal"}, {strings({2}, {"x", "y"}), strings({1}, {"y"})})),
            "bool[2] {0, 1}");
  const HostTensor p = tensor(DType::kBool, {4}, {0, 0, 1, 1});
  const HostTensor q = tensor(DType::kBool, {4}, {0, 1, 0, 1});
  EXPECT_EQ(text(run_one({.op = "And"}, {p, q})), "bool[4] {0, 0, 0, 1}");
  EXPECT_EQ(text(run_one({.op = "Or"}, {p, q})), "bool[4] {0, 1, 1, 1}");
  EXPECT_EQ(text(run_one({.op = "Xor"}, {p, q})), "bool[4] {0, 1, 1, 0}");
  EXPECT_EQ(text(run_one({.op = "Not"}, {p})), "bool[4] {1, 1, 0, 0}");
}

TEST(Logic, ComparisonsOfDimsAreProven) {
  const InferInput dims = InferInput::of("i64[2] = {n, 3}");
  EXPECT_EQ(infer({.op = "Equal"}, {dims, InferInput::of(i64({-1, 3}))}), "bool[2] = {0, 1}");
  EXPECT_EQ(infer({.op = "Less"}, {dims, InferInput::of(i64({0, 4}))}), "bool[2] = {0, 1}");
  // Where nothing is proven, the element is a symbol of its own.
  EXPECT_EQ(infer({.op = "Equal"}, {dims, InferInput::of(i64({7, 7}))}).find("bool[2] = {_"), 0u);
}

}  // namespace
}  // namespace quern::optest
