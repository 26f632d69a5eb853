#include "ir/verify.h"

#include <gtest/gtest.h>

#include "ir/print.h"

namespace quern {
namespace {

class Verify : public testing::Test {
 protected:
  std::string error() {
    const Result<void> ok = verify(*graph_);
    return ok ? "" : ok.error().message;
  }
  Node* node(size_t i) { return graph_->nodes()[i].get(); }

  std::unique_ptr<Graph> graph_ = *parse_graph(R"(graph (%x) {
  %k = constant f32[2] [2, 3]
  %a = A(%x, %k)
  %b = B(%a, _) {body = graph (%i) {
    %c = C(%i, %a)
    return %c
  }}
  return %b
})");
};

TEST_F(Verify, SoundGraphs) {
  EXPECT_EQ(error(), "");
  EXPECT_TRUE(verify(*node(1)->subgraph("body")));
}

TEST_F(Verify, Order) {
  graph_->set_input(node(0), 0, node(1)->outputs[0]);
  EXPECT_EQ(error(), "node of 'a' (A): input 0 is not in scope or comes later");
}

TEST_F(Verify, ScopeOfBodies) {
  Graph* body = node(1)->subgraph("body");
  graph_->outputs[0] = body->outputs[0];
  EXPECT_EQ(error(), "value 'c': is a graph output but not in scope");
}

TEST_F(Verify, ValueWithoutProducer) {
  graph_->set_input(node(0), 0, graph_->add_value("v", {}));
  EXPECT_EQ(error(), "node of 'a' (A): input 0 is not in scope or comes later");
}

TEST_F(Verify, MissingUse) {
  graph_->inputs[0]->uses.clear();
  EXPECT_EQ(error(), "node of 'a' (A): input 0 is not among the uses of value 'x'");
}

TEST_F(Verify, ExtraUses) {
  Value* x = graph_->inputs[0];
  x->uses.push_back(x->uses[0]);
  EXPECT_EQ(error(), "value 'x': lists a use twice");
  x->uses[1] = {node(1), 0};
  EXPECT_EQ(error(), "value 'x': is listed as input 0 of node of 'b' (B)");
  const Node other;
  x->uses[1] = {const_cast<Node*>(&other), 0};
  EXPECT_EQ(error(), "value 'x': used by an unknown node");
}

TEST_F(Verify, Outputs) {
  Node* a = node(0);
  Value* out = a->outputs[0];
  a->outputs[0] = nullptr;
  EXPECT_EQ(error(), "value 'a': is not what its producer says");
  a->outputs = {out, nullptr};
  EXPECT_EQ(error(), "node of 'a' (A): output 1 is null");
  a->outputs = {out, out};
  EXPECT_EQ(error(), "node of 'a' (A): output 1 names another producer");
}

TEST_F(Verify, Numbers) {
  node(0)->outputs[0]->id = graph_->inputs[0]->id;
  EXPECT_NE(error().find("twice"), std::string::npos);
}

TEST_F(Verify, Constants) {
  Value* k = node(0)->inputs[1];
  auto broken = std::make_shared<Constant>(*k->constant);
  broken->host.bytes.pop_back();
  k->constant = broken;
  EXPECT_EQ(error(), "value 'k': constant f32[2] holds 7 bytes and 0 strings");
  k->type.dtype = DType::kI8;
  EXPECT_EQ(error(), "value 'k': constant f32[2] has type i8[2]");
}

TEST_F(Verify, BodyOfAnotherGraph) {
  node(0)->attributes["body"] = std::make_shared<Graph>();
  EXPECT_EQ(error(), "node of 'a' (A): has a body of another graph");
  node(0)->attributes["body"] = ConstantPtr();
  EXPECT_EQ(error(), "node of 'a' (A): attribute body is null");
}

}  // namespace
}  // namespace quern
