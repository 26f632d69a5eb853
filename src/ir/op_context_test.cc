#include "ir/op_context.h"

#include <gtest/gtest.h>

namespace quern {
namespace {

Node make_node() {
  Node node;
  node.id = 7;
  node.name = "n";
  node.op = "Add";
  node.outputs = {nullptr};
  return node;
}

TEST(InferContext, InputsAndOutputs) {
  const Node node = make_node();
  const HostTensor host = HostTensor::of_ints(DType::kI64, {3}, {1, -2, 3});
  const std::vector<Dim> dims = {Dim::symbol("n"), Dim(4)};
  std::vector<InferContext::Input> inputs(4);
  inputs[0] = {Type::tensor(DType::kF32, Shape{Dim(2), Dim(3)}), true};
  inputs[1] = {Type::tensor(DType::kI64, Shape{Dim(3)}), true, &host};
  inputs[2] = {Type::tensor(DType::kI64, std::nullopt), true, nullptr, &dims};
  InferContext ctx(node, inputs);
  EXPECT_EQ(ctx.input_count(), 4u);
  EXPECT_FALSE(ctx.has_input(3));
  EXPECT_FALSE(ctx.has_input(9));
  EXPECT_EQ(ctx.shape(0)->size(), 2u);
  EXPECT_EQ(ctx.shape(2), nullptr);
  EXPECT_EQ(ctx.shape(3), nullptr);
  EXPECT_FALSE(ctx.contents(0).has_value());
  EXPECT_EQ(*ctx.numbers(1), (std::vector<int64_t>{1, -2, 3}));
  EXPECT_EQ((*ctx.contents(1))[1].value(), -2);
  EXPECT_EQ(ctx.contents(2)->size(), 2u);
  EXPECT_FALSE(ctx.numbers(2).has_value());
  EXPECT_TRUE(ctx.expect_rank(0, 2).has_value());
  EXPECT_TRUE(ctx.expect_rank(2, 5).has_value());  // rank unknown
  EXPECT_EQ(ctx.expect_rank(0, 3).error().message,
            "node 'n' (Add): input 0 has shape [2, 3], expected rank 3");
  EXPECT_EQ(*ctx.axis(-1, 3), 2u);
  EXPECT_FALSE(ctx.axis(3, 3).has_value());
  EXPECT_FALSE(ctx.axis(-4, 3).has_value());
  EXPECT_TRUE(ctx.fresh_dim(0, 1) == ctx.fresh_dim(0, 1));
  EXPECT_FALSE(ctx.fresh_dim(0, 1) == ctx.fresh_dim(0, 0));
  ctx.set(0, DType::kF32, Shape{Dim(5)});
  ctx.set_contents(0, {Dim(1)});
  ctx.set(4, DType::kF32, std::nullopt);  // no such output: ignored
  EXPECT_EQ(ctx.outputs()[0].type.dtype, DType::kF32);
  EXPECT_EQ(ctx.outputs()[0].contents->size(), 1u);
  ctx.outputs()[0].contents.reset();
  ctx.set_contents(0, std::vector<Dim>(5000, Dim(1)));
  EXPECT_FALSE(ctx.outputs()[0].contents.has_value());
}

class PlainContext : public ExprContext {
 public:
  PlainContext(const OpFrame& frame, ExprBuilder& builder) : ExprContext(frame, builder) {
    for (uint32_t a = 0; a < frame.outputs[0].rank(); ++a) index_.push_back(builder.index(a));
  }
  Result<Expr> load(size_t input, std::span<const Expr> index) override {
    return b.load(static_cast<uint32_t>(input), index);
  }
  Expr dim(size_t input, size_t axis) override {
    return derived(frame_.inputs[input].dims[axis], frame_.inputs[input].is_baked(axis));
  }
  Expr output_dim(size_t, size_t axis) override {
    return derived(frame_.outputs[0].dims[axis], frame_.outputs[0].is_baked(axis));
  }
};

struct Broadcast : testing::Test {
  // The load of an input with these dims at an output of [4, 3].
  std::string load(const TensorInfo& input, const TensorInfo& output) {
    frame.node = &node;
    frame.inputs = {input};
    frame.outputs = {output};
    program = {};
    for (int64_t d : output.dims) program.domain.push_back({d, -1});
    program.inputs = {{DType::kF32, {}}};
    for (int64_t d : input.dims) program.inputs[0].dims.push_back({d, -1});
    ExprBuilder b(program);
    PlainContext ctx(frame, b);
    const Result<Expr> e = ctx.load_broadcast(0);
    if (!e) return e.error().message;
    std::string text = "[";
    for (Expr arg : program.at(*e).args) {
      const ExprNode& n = program.at(arg);
      text += n.op == ExprOp::kConst   ? cat(n.bits, ";")
              : n.op == ExprOp::kIndex ? cat("i", n.slot, ";")
                                       : cat("i", program.at(n.args[0]).slot, "*p",
                                             program.params[program.at(n.args[1]).slot], ";");
    }
    return text + "]";
  }
  Node node = make_node();
  OpFrame frame;
  ExprProgram program;
};

TEST_F(Broadcast, BakedDims) {
  const TensorInfo out{DType::kF32, {4, 3}, 0b11, 0, true};
  EXPECT_EQ(load({DType::kF32, {4, 3}, 0b11, 0, true}, out), "[i0;i1;]");
  EXPECT_EQ(load({DType::kF32, {3}, 0b1, 0, true}, out), "[i1;]");
  EXPECT_EQ(load({DType::kF32, {4, 1}, 0b11, 0, true}, out), "[i0;0;]");
  EXPECT_EQ(load({DType::kF32, {}, 0, 0, true}, out), "[]");
  EXPECT_EQ(load({DType::kF32, {5, 3}, 0b11, 0, true}, out),
            "node 'n' (Add): input 0 of shape [5, 3] does not broadcast to [4, 3]");
  EXPECT_NE(load({DType::kF32, {1, 4, 3}, 0b111, 0, true}, out).find("does not broadcast"),
            std::string::npos);
}

TEST_F(Broadcast, UnknownDimsGetAFlag) {
  const TensorInfo out{DType::kF32, {4, 3}, 0b10, 0, true};
  EXPECT_EQ(load({DType::kF32, {4, 3}, 0b10, 0, true}, out), "[i0*p1;i1;]");
  EXPECT_EQ(load({DType::kF32, {1, 3}, 0b10, 0, true}, out), "[i0*p0;i1;]");
  EXPECT_EQ(load({DType::kF32, {4, 3}, 0b10, 0b01, true}, out), "[i0;i1;]");
  EXPECT_EQ(load({DType::kF32, {1, 3}, 0b11, 0, true}, out), "[0;i1;]");
}

TEST(ExprContext, HostValuesAndBaking) {
  const Node node = make_node();
  const HostTensor host = HostTensor::of_ints(DType::kI64, {2}, {5, 6});
  OpFrame frame;
  frame.node = &node;
  frame.inputs = {{DType::kI64, {2}, 1, 0, true}, {DType::kI64, {2}, 1, 0, true}};
  frame.outputs = {{DType::kI64, {2}, 1, 0, true}};
  frame.host = {&host, &host};
  frame.host_baked = 0b01;
  ExprProgram program;
  program.domain = {{2, -1}};
  ExprBuilder b(program);
  PlainContext ctx(frame, b);
  EXPECT_EQ(ctx.host_int(0, 1), b.i32(6));
  const Expr e = ctx.host_int(1, 0, Scalar::kI64);
  EXPECT_EQ(program.at(e).op, ExprOp::kParam);
  EXPECT_EQ(program.params.back(), 5);
  EXPECT_EQ(b.type_of(e), Scalar::kI64);
  EXPECT_EQ(ctx.derived_float(0.5f, true), b.constant(Scalar::kF32, 0.5));
  ctx.derived_float(0.5f, false);
  EXPECT_EQ(program.params.back(), 0x3f000000);
  EXPECT_FALSE(ctx.all_baked());
  frame.host_baked = 0b11;
  EXPECT_TRUE(ctx.all_baked());
  frame.inputs[0].baked = 0;
  EXPECT_FALSE(ctx.all_baked());
  EXPECT_EQ(ctx.ints(0), (std::vector<int64_t>{5, 6}));
  EXPECT_TRUE(ctx.ints(5).empty());
}

}  // namespace
}  // namespace quern
