#include <gtest/gtest.h>

#include <functional>

#include "ir/expr.h"
#include "ir/expr_ops.h"

namespace quern {
namespace {

// relu(x) as f16, and its row sum.
ExprProgram sample() {
  ExprProgram p;
  p.params = {2};
  p.domain = {{2, 0}, {3, -1}};
  p.inputs = {{DType::kF16, p.domain}};
  ExprBuilder b(p);
  const Expr at[] = {b.index(0), b.index(1)};
  const Expr relu = b.max(b.load(0, at), b.constant(Scalar::kF32, 0));
  const Expr l = b.loop();
  const Expr row[] = {b.index(0), l};
  const Expr x = b.load(0, row);
  const Expr sum = b.reduce(ExprOp::kReduceSum, l, b.i32(3), x);
  p.outputs = {{b.narrow(relu, DType::kF16), DType::kF16}, {sum, DType::kF32}};
  return p;
}

TEST(ExprPrint, AProgram) {
  EXPECT_EQ(print(sample()),
            "domain [p0, 3]\n"
            "in 0: f16[p0, 3]\n"
            "%0: i32 = index 0\n"
            "%1: i32 = index 1\n"
            "%2: f32 = load 0[%0, %1]\n"
            "%3: f32 = 0\n"
            "%4: f32 = max %2, %3\n"
            "%5: i32 = l0\n"
            "%6: f32 = load 0[%0, %5]\n"
            "%7: i32 = 3\n"
            "%8: f32 = reduce_sum l0 < %7: %6\n"
            "%9: f32 = narrow f16 %4\n"
            "out 0: f16 = %9\n"
            "out 1: f32 = %8\n");
}

TEST(ExprVerify, AcceptsASoundProgram) {
  const Result<void> ok = verify(sample());
  EXPECT_TRUE(ok.has_value()) << ok.error().message;
  EXPECT_TRUE(verify(ExprProgram{}).has_value());
}

TEST(ExprVerify, NamesTheNode) {
  ExprProgram p = sample();
  p.nodes[4].type = Scalar::kI32;
  EXPECT_EQ(verify(p).error().message, "%4 = max: expression: type i32");
}

TEST(ExprVerify, RefusesBrokenPrograms) {
  using Break = std::function<void(ExprProgram&)>;
  const std::vector<std::pair<const char*, Break>> breaks = {
      {"later argument", [](ExprProgram& p) { p.nodes[4].args[0] = {9}; }},
      {"itself", [](ExprProgram& p) { p.nodes[4].args[0] = {4}; }},
      {"no argument", [](ExprProgram& p) { p.nodes[4].args.clear(); }},
      {"leaf with arguments", [](ExprProgram& p) { p.nodes[3].args = {{0}}; }},
      {"axis", [](ExprProgram& p) { p.nodes[0].slot = 2; }},
      {"input", [](ExprProgram& p) { p.nodes[2].slot = 1; }},
      {"too few indices", [](ExprProgram& p) { p.nodes[2].args.pop_back(); }},
      {"float index", [](ExprProgram& p) { p.nodes[6].args[1] = {2}; }},
      {"type of load", [](ExprProgram& p) { p.nodes[2].type = Scalar::kF64; }},
      {"loop variable", [](ExprProgram& p) { p.nodes[5].slot = 1; }},
      {"reduction's variable", [](ExprProgram& p) { p.nodes[8].slot = 1; }},
      {"loop out of scope", [](ExprProgram& p) { p.outputs[1].value = {6}; }},
      {"unequal types", [](ExprProgram& p) { p.nodes[4].args[1] = {7}; }},
      {"narrow to int", [](ExprProgram& p) { p.nodes[9].slot = 2; }},
      {"narrow to nothing", [](ExprProgram& p) { p.nodes[9].slot = 99; }},
      {"parameter slot", [](ExprProgram& p) { p.domain[0].param = 5; }},
      {"negative extent", [](ExprProgram& p) { p.domain[1].value = -1; }},
      {"huge extent", [](ExprProgram& p) { p.domain[1].value = int64_t{1} << 40; }},
      {"string input", [](ExprProgram& p) { p.inputs[0].dtype = DType::kString; }},
      {"output's type", [](ExprProgram& p) { p.outputs[0].dtype = DType::kI32; }},
      {"output's node", [](ExprProgram& p) { p.outputs[0].value = {}; }},
      {"complex output", [](ExprProgram& p) { p.outputs[0].dtype = DType::kC64; }},
      {"operator", [](ExprProgram& p) { p.nodes[4].op = static_cast<ExprOp>(200); }},
      {"loops", [](ExprProgram& p) { p.loops = 65; }},
      {"nested variable",
       [](ExprProgram& p) {
         p.nodes.push_back({ExprOp::kReduceSum, Scalar::kF32, 0, 0, {{7}, {8}}});
       }},
      {"parameter of two types",
       [](ExprProgram& p) { p.nodes.push_back({ExprOp::kParam, Scalar::kF32, 0, 0, {}}); }},
  };
  for (const auto& [name, change] : breaks) {
    ExprProgram p = sample();
    change(p);
    EXPECT_FALSE(verify(p).has_value()) << name;
  }
}

TEST(ExprOpsTable, EveryOperatorHasANameAndItsTypes) {
  for (int i = 0; i <= static_cast<int>(ExprOp::kArgMaxLast); ++i) {
    const auto op = static_cast<ExprOp>(i);
    EXPECT_FALSE(name_of(op).empty());
    if (is_leaf(op) || is_load(op)) continue;
    int types = 0;
    for (int t = 0; t <= static_cast<int>(Scalar::kBool); ++t) {
      types += accepts(op, static_cast<Scalar>(t)) ? 1 : 0;
    }
    EXPECT_GT(types, 0) << name_of(op);
  }
}

}  // namespace
}  // namespace quern
