#include "plan/epilogue_form.h"

#include <gtest/gtest.h>

#include <bit>
#include <limits>

#include "ir/expr_ops.h"
#include "ops/common/exprs.h"

namespace quern {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// What `make` gives for the anchor and another tensor of its dims; `swapped`: inputs in that order.
template <class F>
Composed epilogue(bool swapped, F&& make) {
  Composed out;
  ExprProgram& p = out.program;
  p.domain = {{100, -1}};
  for (const bool anchor : {!swapped, swapped}) {
    p.inputs.push_back({DType::kF32, p.domain, anchor});
    out.inputs.push_back(anchor ? Composed::kAnchor : 7);
  }
  ExprBuilder b(p);
  const Expr at[] = {b.index(0)};
  const Expr first = b.load(0, at);
  const Expr second = b.load(1, at);
  p.outputs = {{make(b, swapped ? second : first, swapped ? first : second), DType::kF32}};
  return out;
}

std::optional<CommonEpilogue> form_of(Composed e) {
  order_epilogue(e);
  EXPECT_TRUE(verify(e.program));
  return common_epilogue_of(e);
}

TEST(EpilogueForm, TheAnchorComesFirst) {
  const auto sum = [](ExprBuilder& b, Expr v, Expr e) { return b.add(e, v); };
  const auto other = [](ExprBuilder& b, Expr v, Expr e) { return b.add(v, e); };
  Composed x = epilogue(true, sum);
  Composed y = epilogue(false, other);
  order_epilogue(x);
  order_epilogue(y);
  EXPECT_EQ(x.inputs, (std::vector<uint32_t>{Composed::kAnchor, 7}));
  EXPECT_EQ(x.inputs, y.inputs);
  for (const Composed& c : {x, y}) {
    EXPECT_TRUE(c.program.inputs[0].is_anchor);
    const ExprNode& add = c.program.at(c.program.outputs[0].value);
    EXPECT_EQ(c.program.at(add.args[0]).slot, 0u);
    EXPECT_EQ(c.program.at(add.args[1]).slot, 1u);
  }
}

TEST(EpilogueForm, SubtractionKeepsItsSides) {
  Composed x =
      epilogue(true, [](ExprBuilder& b, Expr v, Expr e) { return b.binary(ExprOp::kSub, e, v); });
  order_epilogue(x);
  const ExprNode& sub = x.program.at(x.program.outputs[0].value);
  EXPECT_EQ(x.program.at(sub.args[0]).slot, 1u);
  EXPECT_EQ(x.program.at(sub.args[1]).slot, 0u);
}

TEST(EpilogueForm, ActivationsThatBoundAreKnown) {
  const auto none = form_of(epilogue(false, [](ExprBuilder&, Expr v, Expr) { return v; }));
  ASSERT_TRUE(none);
  EXPECT_EQ(none->low, -kInfinity);
  EXPECT_EQ(none->high, kInfinity);
  EXPECT_EQ(none->residual, Composed::kUnused);
  const auto relu6 = form_of(epilogue(true, [](ExprBuilder& b, Expr v, Expr e) {
    return b.min(b.max(b.add(e, v), b.number(v, 0)), b.number(v, 6));
  }));
  ASSERT_TRUE(relu6);
  EXPECT_EQ(relu6->low, 0);
  EXPECT_EQ(relu6->high, 6);
  EXPECT_EQ(relu6->residual, 7u);
}

TEST(EpilogueForm, SwishAndWhatIsAddedBehindItAreKnown) {
  for (const bool turned : {false, true}) {
    const auto swish = [&](ExprBuilder& b, Expr x) {
      return turned ? b.mul(sigmoid(b, x), x) : b.mul(x, sigmoid(b, x));
    };
    const auto alone =
        form_of(epilogue(false, [&](ExprBuilder& b, Expr v, Expr) { return swish(b, v); }));
    ASSERT_TRUE(alone);
    EXPECT_TRUE(alone->swish);
    EXPECT_EQ(alone->residual, Composed::kUnused);
    const auto before = form_of(
        epilogue(true, [&](ExprBuilder& b, Expr v, Expr e) { return swish(b, b.add(e, v)); }));
    ASSERT_TRUE(before);
    EXPECT_TRUE(before->swish && !before->added_after);
    EXPECT_EQ(before->residual, 7u);
    const auto after = form_of(
        epilogue(true, [&](ExprBuilder& b, Expr v, Expr e) { return b.add(e, swish(b, v)); }));
    ASSERT_TRUE(after);
    EXPECT_TRUE(after->swish && after->added_after);
    EXPECT_EQ(after->residual, 7u);
  }
  const auto relu = form_of(epilogue(
      false, [](ExprBuilder& b, Expr v, Expr e) { return b.add(b.max(v, b.number(v, 0)), e); }));
  ASSERT_TRUE(relu);
  EXPECT_TRUE(relu->added_after);
  EXPECT_EQ(relu->low, 0);
  // A factor inside is another function.
  EXPECT_FALSE(form_of(epilogue(false, [](ExprBuilder& b, Expr v, Expr) {
    return b.mul(v, sigmoid(b, b.mul(v, b.number(v, 1.702))));
  })));
}

TEST(EpilogueForm, OtherActivationsStayAsTheyAre) {
  const auto none = [](auto&& make) { return !form_of(epilogue(false, make)); };
  EXPECT_TRUE(none([](ExprBuilder& b, Expr v, Expr) {
    return b.max(b.unary(ExprOp::kTanh, v), b.number(v, 0));
  }));
  EXPECT_TRUE(none([](ExprBuilder& b, Expr v, Expr e) { return b.mul(v, e); }));
  EXPECT_TRUE(none([](ExprBuilder& b, Expr v, Expr) { return b.add(v, v); }));
  EXPECT_TRUE(
      none([](ExprBuilder& b, Expr v, Expr e) { return b.add(v, b.max(e, b.number(e, 0))); }));
  // Bounds the other way round: 0 of those below -1 too.
  EXPECT_TRUE(none([](ExprBuilder& b, Expr v, Expr) {
    return b.max(b.min(v, b.number(v, -1)), b.number(v, 0));
  }));
}

TEST(EpilogueForm, AllAreOneProgram) {
  const Composed plain = compose_common({}, 100, true);
  const Composed full = compose_common({.low = 0, .high = 6, .residual = 3}, 77, true);
  CommonEpilogue swish{.swish = true, .residual = 3, .added_after = true};
  const Composed other = compose_common(swish, 77, true);
  for (const Composed& c : {plain, full, other}) {
    EXPECT_TRUE(verify(c.program));
    EXPECT_EQ(c.program.key(), plain.program.key());
  }
  EXPECT_EQ(plain.inputs, (std::vector<uint32_t>{Composed::kAnchor, Composed::kUnused}));
  EXPECT_EQ(full.inputs, (std::vector<uint32_t>{Composed::kAnchor, 3}));
  const auto f32 = [](int64_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits)); };
  EXPECT_EQ(f32(full.program.params[1]), 0);
  EXPECT_EQ(f32(full.program.params[2]), 6);
  EXPECT_EQ(full.program.params[3], 1);
  EXPECT_EQ(plain.program.params[3], 0);
  EXPECT_EQ(other.program.params[3], 2);
  EXPECT_EQ(other.program.params[4], 1);
  const Composed alone = compose_common({}, 100, false);
  EXPECT_TRUE(verify(alone.program));
  EXPECT_EQ(alone.inputs.size(), 1u);
}

}  // namespace
}  // namespace quern
