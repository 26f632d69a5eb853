#include "plan/epilogue_form.h"

#include <gtest/gtest.h>

#include <bit>
#include <limits>

#include "ir/expr_ops.h"

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

ExprProgram bounded(Composed e) {
  order_epilogue(e);
  bound_by_parameters(e.program);
  EXPECT_TRUE(verify(e.program));
  return e.program;
}

std::vector<float> bounds(const ExprProgram& p) {
  std::vector<float> out;
  for (const int64_t bits : p.params) {
    out.push_back(std::bit_cast<float>(static_cast<uint32_t>(bits)));
  }
  return out;
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

TEST(EpilogueForm, ActivationsThatBoundAreOneProgram) {
  const auto number = [](ExprBuilder& b, Expr like, float v) { return b.number(like, v); };
  const ExprProgram none = bounded(epilogue(false, [](ExprBuilder&, Expr v, Expr) { return v; }));
  const ExprProgram relu = bounded(epilogue(false, [&](ExprBuilder& b, Expr v, Expr) {
    return b.binary(ExprOp::kMax, v, number(b, v, 0));
  }));
  const ExprProgram relu6 = bounded(epilogue(false, [&](ExprBuilder& b, Expr v, Expr) {
    const Expr low = b.binary(ExprOp::kMax, v, number(b, v, 0));
    return b.binary(ExprOp::kMin, low, number(b, v, 6));
  }));
  EXPECT_EQ(bounds(none), (std::vector<float>{-kInfinity, kInfinity}));
  EXPECT_EQ(bounds(relu), (std::vector<float>{0, kInfinity}));
  EXPECT_EQ(bounds(relu6), (std::vector<float>{0, 6}));
  for (const ExprProgram& p : {none, relu, relu6}) {
    const ExprNode& high = p.at(p.outputs[0].value);
    ASSERT_EQ(high.op, ExprOp::kMin);
    const ExprNode& low = p.at(high.args[0]);
    ASSERT_EQ(low.op, ExprOp::kMax);
    EXPECT_TRUE(is_load(p.at(low.args[0]).op));
  }
}

TEST(EpilogueForm, OtherActivationsStayAsTheyAre) {
  const Composed before = epilogue(false, [](ExprBuilder& b, Expr v, Expr) {
    return b.binary(ExprOp::kMax, b.unary(ExprOp::kTanh, v), b.number(v, 0));
  });
  ExprProgram after = before.program;
  bound_by_parameters(after);
  EXPECT_EQ(after.key(), before.program.key());
  EXPECT_TRUE(after.params.empty());
}

}  // namespace
}  // namespace quern
