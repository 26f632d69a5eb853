// DFT and what STFT consists of, window functions, mel filters.
#include <cmath>
#include <numbers>

#include "ops/common/kernel_testing.h"
#include "ops/op_testing.h"

namespace quern {

extern const CpuKernel cpu_dft;

namespace {

using optest::f32;
using optest::i64;
using optest::infer;
using optest::InferInput;
using optest::run_one;
using optest::text;

/// A DFT along axis 1 of x [outer, n, inner, parts] by its definition, unscaled.
HostTensor dft_by_definition(const HostTensor& x, int64_t length, int64_t out_length,
                             bool inverse) {
  const int64_t outer = x.dims[0], n = x.dims[1], inner = x.dims[2], parts = x.dims[3];
  HostTensor y = *HostTensor::zeros(DType::kF32, {outer, out_length, inner, 2});
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t j = 0; j < inner; ++j) {
      for (int64_t k = 0; k < out_length; ++k) {
        double re = 0, im = 0;
        for (int64_t i = 0; i < std::min(n, length); ++i) {
          const int64_t at = ((o * n + i) * inner + j) * parts;
          const double a = x.float_at(at), b = parts == 2 ? x.float_at(at + 1) : 0;
          const double angle = (inverse ? 2 : -2) * std::numbers::pi *
                               static_cast<double>(k * i % length) / static_cast<double>(length);
          re += a * std::cos(angle) - b * std::sin(angle);
          im += a * std::sin(angle) + b * std::cos(angle);
        }
        const double scale = inverse ? 1 / static_cast<double>(length) : 1;
        const int64_t to = ((o * out_length + k) * inner + j) * 2;
        y.set_float(to, re * scale);
        y.set_float(to + 1, im * scale);
      }
    }
  }
  return y;
}

TEST(Dft, AgreesWithTheDefinition) {
  Random random(5);
  for (int round = 0; round < 60; ++round) {
    const int64_t n = random.integer(1, round % 4 == 0 ? 150 : 24);
    const int64_t length = random.chance(2) ? n : random.integer(1, 80);
    const bool inverse = random.chance(3);
    const bool one_sided = !inverse && random.chance(3);
    const HostTensor x = random.floats(
        {random.integer(1, 3), n, random.integer(1, 4), one_sided ? 1 : random.integer(1, 2)});
    NodeUnderTest node("DFT", 20);
    node.input(x).input(i64({}, {length})).input(i64({}, {random.chance(2) ? 1 : -3}));
    node.set("inverse", int64_t{inverse}).set("onesided", int64_t{one_sided});
    const auto got = node.run_kernel(cpu_dft);
    ASSERT_TRUE(got) << got.error().message;
    const int64_t out = one_sided ? length / 2 + 1 : length;
    EXPECT_LT(difference((*got)[0], dft_by_definition(x, length, out, inverse)), 1e-6)
        << x.dims[1] << " as " << length;
  }
}

TEST(Dft, RealInverseUndoesTheOneSidedTransform) {
  Random random(6);
  for (int64_t n : {1, 2, 7, 16, 67, 90}) {
    const HostTensor x = random.floats({2, n, 1});
    NodeUnderTest forward("DFT", 17);
    forward.input(x).set("onesided", int64_t{1});
    const auto spectrum = forward.run_kernel(cpu_dft);
    ASSERT_TRUE(spectrum) << spectrum.error().message;
    NodeUnderTest back("DFT", 17);
    back.input((*spectrum)[0]).input(i64({}, {n}));
    back.set("onesided", int64_t{1}).set("inverse", int64_t{1});
    const auto y = back.run_kernel(cpu_dft);
    ASSERT_TRUE(y) << y.error().message;
    EXPECT_EQ((*y)[0].dims, x.dims);
    EXPECT_LT(difference((*y)[0], x), 1e-6) << n;
  }
}

TEST(Dft, Infers) {
  const auto of = [](int version, std::vector<std::string_view> inputs,
                     std::map<std::string, AttributeValue, std::less<>> attributes) {
    std::vector<InferInput> given;
    for (std::string_view input : inputs) given.push_back(InferInput::of(input));
    return infer({.op = "DFT", .version = version, .attributes = std::move(attributes)}, given);
  };
  EXPECT_EQ(of(17, {"f32[b, n, 1]"}, {}), "f32[b, n, 2]");
  EXPECT_EQ(of(17, {"f32[b, n, 1]"}, {{"onesided", int64_t{1}}}), "f32[b, floor_div(n, 2) + 1, 2]");
  EXPECT_EQ(of(20, {"f32[b, n, 3, 1]", "i64[] = {8}", "i64[] = {1}"}, {}), "f32[b, 8, 3, 2]");
  EXPECT_EQ(of(20, {"f32[b, n, 2]"}, {{"inverse", int64_t{1}}, {"onesided", int64_t{1}}}),
            "f32[b, 2 * n - 2, 1]");
  EXPECT_TRUE(of(17, {"f32[b, n, 3]"}, {}).starts_with("error"));
  EXPECT_TRUE(of(17, {"f32[b, n, 1]"}, {{"axis", int64_t{2}}}).starts_with("error"));
}

TEST(Frame, CutsAndWeighs) {
  const HostTensor signal = f32({1, 7, 1}, {1, 2, 3, 4, 5, 6, 7});
  const optest::OpCall frame = {.op = "Frame", .version = 1, .domain = "quern"};
  EXPECT_EQ(text(run_one(frame, {signal, i64({}, {2}), f32({1, 0.5, 2})})),
            "f32[1, 3, 3, 1] {1, 1, 6, 3, 2, 10, 5, 3, 14}");
  EXPECT_EQ(text(run_one(frame, {signal, i64({}, {3}), std::nullopt, i64({}, {4})})),
            "f32[1, 2, 4, 1] {1, 2, 3, 4, 4, 5, 6, 7}");
  // Past a shorter window there is nothing.
  EXPECT_EQ(text(run_one(frame, {signal, i64({}, {4}), f32({1, 2}), i64({}, {3})})),
            "f32[1, 2, 3, 1] {1, 4, 0, 5, 12, 0}");
  EXPECT_EQ(infer(frame, {InferInput::of("f32[b, n, 1]"), InferInput::of("i64[] = {160}"),
                          InferInput::of("f32[400]")}),
            "f32[b, floor_div(n + 80, 160) - 2, 400, 1]");
}

TEST(Windows, AgreeWithTheirFormulas) {
  const auto cosine = [](int64_t i, double n) {
    return std::cos(2 * std::numbers::pi * static_cast<double>(i) / n);
  };
  for (const bool periodic : {true, false}) {
    for (int64_t size : {2, 5, 64, 1001}) {
      const auto n = static_cast<double>(periodic ? size : size - 1);
      for (const char* op : {"HannWindow", "HammingWindow", "BlackmanWindow"}) {
        const HostTensor got =
            run_one({.op = op, .version = 17, .attributes = {{"periodic", int64_t{periodic}}}},
                    {i64({}, {size})});
        ASSERT_EQ(got.count(), size);
        for (int64_t i = 0; i < size; ++i) {
          const double c = cosine(i, n);
          const double want = op[1] == 'l'   ? 0.42 - 0.5 * c + 0.08 * (2 * c * c - 1)
                              : op[2] == 'n' ? 0.5 - 0.5 * c
                                             : (25 - 21 * c) / 46;
          EXPECT_NEAR(got.float_at(i), want, 2e-7) << op << " " << i << " of " << size;
        }
      }
    }
  }
}

TEST(Mel, Triangles) {
  const optest::OpCall triangles = {
      .op = "MelTriangles", .version = 1, .attributes = {{"to", int64_t{1}}}, .domain = "quern"};
  const HostTensor corners = HostTensor::of_ints(DType::kI32, {5}, {0, 2, 4, 4, 5});
  EXPECT_EQ(text(run_one(triangles, {corners, i64({}, {10})})),
            "f32[6, 3] {0, 0, 0, 0.5, 0, 0, 1, 0, 0, 0.5, 0.5, 0, 0, 1, 1, 0, 0, 0}");
  const optest::OpCall places = {.op = "MelCorners", .version = 1, .domain = "quern"};
  const HostTensor got = run_one(
      places, {i64({}, {8}), i64({}, {16}), i64({}, {8192}), f32({}, {0}), f32({}, {4096})});
  EXPECT_EQ(text(got), "i32[10] {0, 0, 0, 1, 1, 2, 3, 4, 5, 6}");
}

}  // namespace
}  // namespace quern
