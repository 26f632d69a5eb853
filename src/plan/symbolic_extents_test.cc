// Dims that are equal in every binding are one parameter of a kernel.
#include <gtest/gtest.h>

#include "ir/print.h"
#include "ops/compose.h"
#include "ops/op_def.h"
#include "passes/passes.h"
#include "plan/walk.h"

namespace quern {
namespace {

/// The kernel of the graph's only node in the binding where its symbols are `by`.
ExprProgram program_of(std::string_view text, const DimBindings& by) {
  auto graph = parse_graph(text);
  EXPECT_TRUE(graph) << graph.error().message;
  if (!graph) return {};
  EXPECT_TRUE(infer_shapes(**graph));
  const Node& node = *(*graph)->nodes().front();
  OpFrame frame;
  frame.node = &node;
  frame.def = find_op(node);
  const auto info_of = [&](const Value* value) {
    TensorInfo info{.dtype = value->type.dtype, .present = true};
    for (const Dim& d : *value->type.shape) info.dims.push_back(*d.eval(by));
    info.baked = baked_axes(value->type, info.rank());
    return info;
  };
  for (const Value* v : node.inputs) {
    frame.inputs.push_back(info_of(v));
    // As the walk marks what does not broadcast.
    const Shape& in = *v->type.shape;
    const Shape& out = *node.outputs[0]->type.shape;
    for (size_t a = 0; a < in.size(); ++a)
      frame.inputs.back().aligned |= uint32_t{in[a] == out[a]} << a;
  }
  for (const Value* v : node.outputs) frame.outputs.push_back(info_of(v));
  frame.host.resize(node.inputs.size());
  const uint32_t outputs[] = {0};
  auto composed = compose(frame, {}, outputs);
  EXPECT_TRUE(composed) << composed.error().message;
  if (!composed) return {};
  collapse_axes(composed->program);
  return composed->program;
}

TEST(SymbolicExtents, ChannelsScaleWholePlanes) {
  const ExprProgram p = program_of(
      R"(graph main(%x: f32[n, 4, h, w], %s: f32[n, 4, 1, 1]) {
        %y = Mul@14(%x, %s)
        return %y
      })",
      {{"n", 2}, {"h", 5}, {"w", 7}});
  ASSERT_EQ(p.domain.size(), 2u);
  EXPECT_EQ(p.domain[0].value, 8);
  EXPECT_EQ(p.domain[1].value, 35);
  EXPECT_EQ(p.inputs[0].dims.size(), 2u);
  EXPECT_EQ(p.inputs[1].dims.size(), 1u);
}

TEST(SymbolicExtents, EqualNumbersAreNoProof) {
  const ExprProgram p = program_of(
      R"(graph main(%x: f32[a, b], %y: f32[c, d]) {
        %z = Add@14(%x, %y)
        return %z
      })",
      {{"a", 3}, {"b", 3}, {"c", 3}, {"d", 3}});
  EXPECT_EQ(p.domain.size(), 2u);
}

}  // namespace
}  // namespace quern
