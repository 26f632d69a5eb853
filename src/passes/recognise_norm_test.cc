#include <gtest/gtest.h>

#include "passes/recognise.h"
#include "passes/recognise_testing.h"

namespace quern {
namespace {

/// A graph of %x: f32[2, 3, 4] with result %y.
std::string with_constants(std::string_view body) {
  return cat(R"(graph main(%in: f32[2, 3, 4]) {
    %one = constant f32[] [1]
    %two = constant f32[] [2]
    %half = constant f32[] [0.5]
    %minus_half = constant f32[] [-0.5]
    %eps = constant f32[] [1e-05]
    %last = constant i64[1] [-1]
    %last_two = constant i64[2] [1, 2]
    %first = constant i64[1] [1]
    %w = constant f32[4] [1, 2, 3, 4]
    %b = constant f32[1, 1, 4] [0.5, 1, 1.5, 2]
    %w34 = constant f32[3, 4] [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
    %column = constant f32[3, 1] [1, 2, 3]
    %x = Neg(%in) )",
             body, " return %y }");
}

constexpr std::string_view kCentred = "%mean = ReduceMean@18(%x, %last) %d = Sub(%x, %mean) ";
constexpr std::string_view kVariance =
    "%sq = Pow(%d, %two) %v = ReduceMean@18(%sq, %last) %ve = Add(%v, %eps) ";
constexpr std::string_view kDivide = "%s = Sqrt(%ve) %n = Div(%d, %s) ";
constexpr std::string_view kScaleBias = "%m = Mul(%n, %w) %y = Add(%m, %b) as norm";

std::string joined(std::initializer_list<std::string_view> parts) {
  return with_constants(join(parts, " "));
}

TEST(RecogniseLayerNorm, AsTorchExportsIt) {
  const Recognised found =
      expect_same_numbers(find_layer_norm, joined({kCentred, kVariance, kDivide, kScaleBias}));
  EXPECT_EQ(found.ops(), "Neg LayerNormalization");
  EXPECT_EQ(found.node("LayerNormalization"),
            "%y = LayerNormalization@17(%x, %w, %b) {axis = -1, epsilon = 1e-05} as norm");
}

TEST(RecogniseLayerNorm, OtherForms) {
  for (const std::string_view variance : {
           kVariance,
           std::string_view("%sq = Mul(%d, %d) %v = ReduceMean(%sq) {axes = [2], keepdims = 1} "
                            "%ve = Add(%eps, %v) "),
       }) {
    for (const std::string_view divide : {
             kDivide,
             std::string_view("%s = Sqrt(%ve) %r = Reciprocal(%s) %n = Mul(%r, %d) "),
             std::string_view("%s = Sqrt(%ve) %r = Div(%one, %s) %n = Mul(%d, %r) "),
             std::string_view("%s = Pow(%ve, %half) %n = Div(%d, %s) "),
             std::string_view("%r = Pow(%ve, %minus_half) %n = Mul(%d, %r) "),
             // The difference written twice.
             std::string_view("%s = Sqrt(%ve) %again = Sub(%x, %mean) %n = Div(%again, %s) "),
         }) {
      const std::string text = joined({kCentred, variance, divide, kScaleBias});
      SCOPED_TRACE(text);
      const Recognised found = expect_same_numbers(find_layer_norm, text);
      EXPECT_EQ(found.ops(), "Neg LayerNormalization");
    }
  }
}

TEST(RecogniseLayerNorm, WithoutScaleOrBias) {
  const Recognised bare =
      expect_same_numbers(find_layer_norm, joined({kCentred, kVariance, kDivide, "%y = Abs(%n)"}));
  EXPECT_EQ(bare.ops(), "Neg LayerNormalization Abs");
  const Recognised scaled = expect_same_numbers(
      find_layer_norm, joined({kCentred, kVariance, kDivide, "%y = Mul(%w, %n)"}));
  EXPECT_EQ(scaled.node("LayerNormalization"),
            "%y = LayerNormalization@17(%x, %w) {axis = -1, epsilon = 1e-05}");
  // A scale that is no vector of the last axis stays outside, as does what follows.
  const Recognised odd = expect_same_numbers(
      find_layer_norm,
      joined({kCentred, kVariance, kDivide, "%m = Mul(%n, %column) %y = Add(%m, %b)"}));
  EXPECT_EQ(odd.ops(), "Neg LayerNormalization Mul Add");
  // So does a bias after a product that has other uses.
  const Recognised shared = expect_same_numbers(
      find_layer_norm,
      joined({kCentred, kVariance, kDivide, "%m = Mul(%n, %w) %a = Add(%m, %b) %y = Add(%a, %m)"}));
  EXPECT_EQ(shared.ops(), "Neg LayerNormalization Add Add");
}

TEST(RecogniseLayerNorm, OverTwoAxes) {
  const Recognised found = expect_same_numbers(
      find_layer_norm,
      with_constants("%mean = ReduceMean@18(%x, %last_two) %d = Sub(%x, %mean) %sq = Mul(%d, %d) "
                     "%v = ReduceMean@18(%sq, %last_two) %ve = Add(%v, %eps) %s = Sqrt(%ve) "
                     "%n = Div(%d, %s) %y = Mul(%n, %w34)"));
  EXPECT_EQ(found.node("LayerNormalization"),
            "%y = LayerNormalization@17(%x, %w34) {axis = -2, epsilon = 1e-05}");
}

TEST(RecogniseLayerNorm, InAWiderType) {
  const Recognised found = recognised(find_layer_norm, R"(graph main(%x: f16[n, 4]) {
    %two = constant f32[] [2]
    %eps = constant f32[] [1e-05]
    %w = constant f16[4] [1, 2, 3, 4]
    %wide = Cast(%x) {to = 1}
    %mean = ReduceMean(%wide) {axes = [-1]}
    %d = Sub(%wide, %mean)
    %sq = Pow(%d, %two)
    %v = ReduceMean(%sq) {axes = [-1]}
    %ve = Add(%v, %eps)
    %s = Sqrt(%ve)
    %n = Div(%d, %s)
    %narrow = Cast(%n) {to = 10}
    %m = Mul(%narrow, %w)
    %y = Add(%m, %w)
    return %y
  })");
  EXPECT_EQ(found.ops(), "LayerNormalization");
  EXPECT_EQ(found.node("LayerNormalization"),
            "%y = LayerNormalization@17(%x, %w, %w) {axis = -1, epsilon = 1e-05}");
}

TEST(RecogniseLayerNorm, OthersStay) {
  const auto expect_none = [](const std::string& text) {
    SCOPED_TRACE(text);
    EXPECT_EQ(recognised(find_layer_norm, text).hits, 0);
  };
  // Another axis: of both means, or of one.
  expect_none(
      joined({"%mean = ReduceMean@18(%x, %first) %d = Sub(%x, %mean) %sq = Pow(%d, %two) "
              "%v = ReduceMean@18(%sq, %first) %ve = Add(%v, %eps)",
              kDivide, "%y = Abs(%n)"}));
  expect_none(joined({"%mean = ReduceMean@18(%x, %first) %d = Sub(%x, %mean)", kVariance, kDivide,
                      "%y = Abs(%n)"}));
  // Another power; the mean used elsewhere; the difference used elsewhere.
  expect_none(joined({kCentred,
                      "%sq = Pow(%d, %half) %v = ReduceMean@18(%sq, %last) "
                      "%ve = Add(%v, %eps)",
                      kDivide, "%y = Abs(%n)"}));
  expect_none(joined({kCentred, kVariance, kDivide, "%y = Add(%n, %mean)"}));
  expect_none(joined({kCentred, kVariance, kDivide, "%y = Add(%n, %d)"}));
  // Divided is another value.
  expect_none(joined({kCentred, kVariance, "%s = Sqrt(%ve) %n = Div(%x, %s) %y = Abs(%n)"}));
  // A length that is not known.
  expect_none(R"(graph main(%x: f32[2, n]) {
    %eps = constant f32[] [1e-05]
    %mean = ReduceMean(%x) {axes = [1]}
    %d = Sub(%x, %mean)
    %sq = Mul(%d, %d)
    %v = ReduceMean(%sq) {axes = [1]}
    %ve = Add(%v, %eps)
    %s = Sqrt(%ve)
    %y = Div(%d, %s)
    return %y
  })");
}

constexpr std::string_view kMeanSquare =
    "%sq = Pow(%x, %two) %v = ReduceMean@18(%sq, %last) %ve = Add(%v, %eps) ";

TEST(RecogniseRmsNorm, AnyForm) {
  for (const std::string_view rest : {
           "%s = Sqrt(%ve) %r = Reciprocal(%s) %n = Mul(%x, %r) %y = Mul(%w, %n) as norm",
           "%s = Sqrt(%ve) %n = Div(%x, %s) %y = Mul(%n, %w) as norm",
           "%r = Pow(%ve, %minus_half) %n = Mul(%r, %x) %y = Mul(%n, %w) as norm",
       }) {
    SCOPED_TRACE(rest);
    const Recognised found = expect_same_numbers(find_rms_norm, joined({kMeanSquare, rest}));
    EXPECT_EQ(found.ops(), "Neg RMSNormalization");
    EXPECT_EQ(found.node("RMSNormalization"),
              "%y = RMSNormalization@23(%x, %w) {axis = -1, epsilon = 1e-05} as norm");
  }
}

TEST(RecogniseRmsNorm, WithoutWeightAndWithComputedWeight) {
  const Recognised bare = expect_same_numbers(
      find_rms_norm, joined({kMeanSquare, "%s = Sqrt(%ve) %n = Div(%x, %s) %y = Add(%n, %w)"}));
  EXPECT_EQ(bare.ops(), "Neg RMSNormalization Add");
  const Recognised computed = recognised(find_rms_norm, R"(graph main(%x: f32[n, 4], %w: f32[4]) {
    %eps = constant f32[] [1e-06]
    %one = constant f32[] [1]
    %sq = Mul(%x, %x)
    %v = ReduceMean(%sq) {axes = [-1]}
    %ve = Add(%v, %eps)
    %s = Sqrt(%ve)
    %n = Div(%x, %s)
    %w1 = Add(%w, %one)
    %y = Mul(%n, %w1)
    return %y
  })");
  EXPECT_EQ(computed.ops(), "Add RMSNormalization");
}

TEST(RecogniseRmsNorm, InAWiderType) {
  // As Llama's: the weight is applied in the narrow type.
  const Recognised found = recognised(find_rms_norm, R"(graph main(%x: f16[b, s, 4]) {
    %two = constant f32[] [2]
    %eps = constant f32[] [1e-05]
    %w = constant f16[4] [1, 2, 3, 4]
    %axes = constant i64[1] [-1]
    %wide = Cast(%x) {to = 1}
    %sq = Pow(%wide, %two)
    %v = ReduceMean@18(%sq, %axes)
    %ve = Add(%v, %eps)
    %s = Sqrt(%ve)
    %r = Reciprocal(%s)
    %n = Mul(%wide, %r)
    %narrow = Cast(%n) {to = 10}
    %y = Mul(%w, %narrow)
    return %y
  })");
  EXPECT_EQ(found.ops(), "RMSNormalization");
}

TEST(RecogniseRmsNorm, OthersStay) {
  const auto expect_none = [](const std::string& text) {
    SCOPED_TRACE(text);
    EXPECT_EQ(recognised(find_rms_norm, text).hits, 0);
  };
  // A sum is no mean; other axes; the square used elsewhere; the root used elsewhere.
  expect_none(joined({"%sq = Pow(%x, %two) %v = ReduceSum(%sq, %last) %ve = Add(%v, %eps)",
                      "%s = Sqrt(%ve) %y = Div(%x, %s)"}));
  expect_none(joined({"%sq = Pow(%x, %two) %v = ReduceMean@18(%sq, %first) %ve = Add(%v, %eps)",
                      "%s = Sqrt(%ve) %y = Div(%x, %s)"}));
  expect_none(joined({kMeanSquare, "%s = Sqrt(%ve) %n = Div(%x, %s) %y = Add(%n, %sq)"}));
  expect_none(joined({kMeanSquare, "%s = Sqrt(%ve) %n = Div(%x, %s) %y = Add(%n, %s)"}));
  // No keepdims: it is broadcast against another axis.
  expect_none(R"(graph main(%x: f32[4, 4]) {
    %eps = constant f32[] [1e-05]
    %sq = Mul(%x, %x)
    %v = ReduceMean(%sq) {axes = [-1], keepdims = 0}
    %ve = Add(%v, %eps)
    %s = Sqrt(%ve)
    %y = Div(%x, %s)
    return %y
  })");
}

std::string group_norm(std::string_view split, std::string_view scale, std::string_view rest) {
  return cat(R"(graph main(%x: f32[2, 4, 3, 5]) {
    %split = constant i64[3] [)",
             split, R"(]
    %back = constant i64[4] [2, 4, 3, 5]
    %ones = constant f32[2] [)",
             scale, R"(]
    %zeros = constant f32[2] [0, 0]
    %w = constant f32[4, 1, 1] [1, 2, 3, 4]
    %b = constant f32[1, 4, 1, 1] [0.5, 1, 1.5, 2]
    %g = Reshape(%x, %split)
    %i = InstanceNormalization(%g, %ones, %zeros) {epsilon = 1e-06}
    %n = Reshape(%i, %back) )",
             rest, " return %y }");
}

TEST(RecogniseGroupNorm, WithScaleAndBias) {
  const Recognised found = expect_same_numbers(
      find_group_norm, group_norm("0, 2, -1", "1, 1", "%m = Mul(%n, %w) %y = Add(%m, %b) as last"));
  EXPECT_EQ(found.ops(), "GroupNormalization");
  EXPECT_EQ(found.node("GroupNormalization"),
            "%y = GroupNormalization@21(%x, %w, %b) {epsilon = 1e-06, num_groups = 2} as last");
}

TEST(RecogniseGroupNorm, WithoutThem) {
  const Recognised found =
      expect_same_numbers(find_group_norm, group_norm("2, 2, 30", "1, 1", "%y = Abs(%n)"));
  EXPECT_EQ(found.ops(), "GroupNormalization Abs");
}

TEST(RecogniseGroupNorm, OthersStay) {
  const auto hits = [](const std::string& text) { return recognised(find_group_norm, text).hits; };
  // A scale a group; a second use.
  EXPECT_EQ(hits(group_norm("0, 2, -1", "1, 2", "%y = Abs(%n)")), 0);
  EXPECT_EQ(hits(group_norm("0, 2, -1", "1, 1", "%y = Concat(%i, %i) {axis = 0}")), 0);
  // Groups over two images.
  EXPECT_EQ(hits(R"(graph main(%x: f32[2, 4, 3, 5]) {
    %split = constant i64[3] [1, 2, 60]
    %back = constant i64[4] [2, 4, 3, 5]
    %ones = constant f32[2] [1, 1]
    %zeros = constant f32[2] [0, 0]
    %g = Reshape(%x, %split)
    %i = InstanceNormalization(%g, %ones, %zeros)
    %y = Reshape(%i, %back)
    return %y
  })"),
            0);
}

}  // namespace
}  // namespace quern
