#include "ir/graph.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "ir/print.h"
#include "ir/verify.h"

namespace quern {
namespace {

std::unique_ptr<Graph> parsed(std::string_view text) {
  Result<std::unique_ptr<Graph>> graph = parse_graph(text);
  EXPECT_TRUE(graph) << graph.error().message;
  return graph ? *std::move(graph) : std::make_unique<Graph>();
}

/// The graph's text, or what is wrong with it.
std::string checked(const Graph& graph) {
  const Result<void> ok = verify(graph);
  return ok ? print(graph) : ok.error().message;
}

Value* value_named(Graph& graph, std::string_view name) {
  Value* found = nullptr;
  const auto look = [&](const Graph& in) {
    for (const auto& value : in.values()) {
      if (value->name == name) found = value.get();
    }
  };
  look(graph);
  for_each_node(graph, [&](Node& node) {
    for (const Graph* body : node.subgraphs()) look(*body);
  });
  EXPECT_NE(found, nullptr) << name;
  return found;
}

constexpr std::string_view kBranches = R"(graph (%c, %x) {
  %k = constant f32[1] [2]
  %a = Neg(%x)
  %y = If(%c) {else_branch = graph () {
    %e = Add(%a, %k)
    return %e
  }, then_branch = graph () {
    %z = If(%c) {else_branch = graph () {
      return %a
    }, then_branch = graph () {
      %t = Mul(%a, %x)
      return %t
    }}
    return %z
  }}
  return %y
}
)";

TEST(Node, Attributes) {
  const auto graph =
      parsed("graph () { Op() {i = 3, f = 2.5, s = \"x\", is = [1], fs = [1.5]} as n return }");
  const Node& node = *graph->nodes()[0];
  EXPECT_EQ(node.int_or("i", 0), 3);
  EXPECT_EQ(node.int_or("f", 7), 7);
  EXPECT_EQ(node.float_or("f", 0), 2.5f);
  EXPECT_EQ(node.string_or("s", ""), "x");
  EXPECT_EQ(node.string_or("t", "none"), "none");
  EXPECT_EQ(node.ints("is")->size(), 1u);
  EXPECT_EQ(node.floats("is"), nullptr);
  EXPECT_EQ(node.subgraph("i"), nullptr);
  EXPECT_EQ(node.describe(), "node 'n' (Op)");
  EXPECT_TRUE(node.is("Op"));
  EXPECT_FALSE(node.is("Op", "com.x"));
  EXPECT_EQ(node.input(3), nullptr);
}

TEST(Graph, AddBeforeAndErase) {
  auto graph = parsed("graph (%x) { %a = A(%x) %b = B(%a) return %b }");
  Node* b = graph->nodes()[1].get();
  Node* inserted = graph->add_node("C", {b->inputs[0]}, 1, b);
  inserted->outputs[0]->name = "c";
  graph->set_input(b, 0, inserted->outputs[0]);
  graph->set_input(b, 2, graph->inputs[0]);
  EXPECT_EQ(checked(*graph), R"(graph (%x) {
  %a = A(%x)
  %c = C(%a)
  %b = B(%c, _, %x)
  return %b
}
)");
  graph->set_inputs(b, {graph->inputs[0]});
  graph->erase(inserted);
  EXPECT_EQ(checked(*graph), "graph (%x) {\n  %a = A(%x)\n  %b = B(%x)\n  return %b\n}\n");
}

TEST(Graph, ErasingANodeDropsTheUsesOfItsBodies) {
  auto graph = parsed(kBranches);
  Value* a = value_named(*graph, "a");
  EXPECT_EQ(a->uses.size(), 2u);
  graph->outputs = {a};
  graph->erase(graph->nodes()[1].get());
  EXPECT_TRUE(a->uses.empty());
  graph->remove_unused_values();
  EXPECT_EQ(checked(*graph), "graph (%c, %x) {\n  %a = Neg(%x)\n  return %a\n}\n");
}

TEST(Graph, ReplaceUsesReachesBodies) {
  auto graph = parsed(kBranches);
  graph->replace_uses(value_named(*graph, "a"), value_named(*graph, "x"));
  EXPECT_TRUE(value_named(*graph, "a")->uses.empty());
  const std::string text = checked(*graph);
  EXPECT_NE(text.find("Add(%x, %k)"), std::string::npos) << text;
  EXPECT_NE(text.find("return %x\n"), std::string::npos) << text;
  EXPECT_NE(text.find("Mul(%x, %x)"), std::string::npos) << text;
}

TEST(Graph, RemoveUnusedValuesKeepsWhatBodiesReturn) {
  auto graph = parsed(R"(graph (%c) {
  %k = constant f32[1] [2]
  %unused = constant f32[1] [2]
  %y = If(%c) {then_branch = graph () {
    %inner = constant f32[1] [3]
    return %k
  }}
  return %y
})");
  graph->remove_unused_values();
  EXPECT_EQ(checked(*graph), R"(graph (%c) {
  %k = constant f32[1] [2]
  %y = If(%c) {then_branch = graph () {
    return %k
  }}
  return %y
}
)");
}

TEST(Graph, SortIsStableAndSeesCaptures) {
  Graph graph;
  Value* x = graph.add_input("x", {});
  Value* a = graph.add_value("a", {});
  Value* b = graph.add_value("b", {});
  Value* y = graph.add_value("y", {});
  Node* branch = graph.add_node_with_outputs("If", {x}, {y});
  auto body = std::make_shared<Graph>(&graph);
  Value* p = body->add_value("p", {});
  Value* q = body->add_value("q", {});
  body->add_node_with_outputs("Q", {p}, {q});
  body->add_node_with_outputs("P", {b}, {p});
  body->outputs = {q};
  branch->attributes["then_branch"] = body;
  graph.add_node_with_outputs("B", {a}, {b});
  graph.add_node("Free", {x}, 0);
  graph.add_node_with_outputs("A", {x}, {a});
  graph.outputs = {y};
  EXPECT_EQ(verify(graph).error().message,
            "node of 'y' (If): node of 'q' (Q): input 0 is not in scope or comes later");
  ASSERT_TRUE(graph.sort());
  EXPECT_EQ(checked(graph), R"(graph (%x) {
  Free(%x)
  %a = A(%x)
  %b = B(%a)
  %y = If(%x) {then_branch = graph () {
    %p = P(%b)
    %q = Q(%p)
    return %q
  }}
  return %y
}
)");
}

TEST(Graph, SortFindsCycles) {
  auto graph = parsed("graph (%x) { %a = A(%x) %b = B(%a) %c = C(%b) return %c }");
  graph->set_input(graph->nodes()[0].get(), 0, value_named(*graph, "c"));
  EXPECT_EQ(graph->sort().error().message, "node of 'a' (A) depends on its own output");
}

TEST(Graph, InlineBody) {
  auto graph = parsed(R"(graph (%c, %x) {
  %y = Call(%x) {body = graph f(%p, %q, %r) {
    %k = constant f32[1] [2]
    %s = Add(%p, %k, %q)
    %t = If(%p) {then_branch = graph () {
      %u = Neg(%s)
      return %p
    }}
    return %t, %r, %c
  }}
  %z = Last(%y)
  return %z
})");
  Node* call = graph->nodes()[0].get();
  Graph* body = call->subgraph("body");
  const std::vector<Value*> arguments{graph->inputs[1], nullptr, graph->inputs[0]};
  const auto outputs = graph->inline_body(*body, arguments, call);
  ASSERT_TRUE(outputs) << outputs.error().message;
  EXPECT_TRUE(body->nodes().empty() && body->values().empty() && body->outputs.empty());
  EXPECT_EQ((*outputs)[1], graph->inputs[0]);
  graph->replace_uses(call->outputs[0], (*outputs)[0]);
  graph->erase(call);
  EXPECT_EQ(checked(*graph), R"(graph (%c, %x) {
  %k = constant f32[1] [2]
  %s = Add(%x, %k, _)
  %t = If(%x) {then_branch = graph () {
    %u = Neg(%s)
    return %x
  }}
  %z = Last(%t)
  return %z
}
)");
}

TEST(Graph, InlineBodyOfAnotherRoot) {
  auto graph = parsed("graph (%x) { %a = A(%x) return %a }");
  auto function =
      parsed("graph (%p) { %q = F(%p) {b = graph () { %r = G(%p) return %r }} return %q }");
  EXPECT_FALSE(graph->inline_body(*function, {}, nullptr));
  const std::vector<Value*> none{nullptr};
  auto identity = parsed("graph (%p) { return %p }");
  EXPECT_FALSE(graph->inline_body(*identity, none, nullptr));
  const std::vector<Value*> arguments{graph->outputs[0]};
  const auto outputs = graph->inline_body(*function, arguments, nullptr);
  ASSERT_TRUE(outputs);
  graph->outputs = *outputs;
  function.reset();
  EXPECT_EQ(checked(*graph), R"(graph (%x) {
  %a = A(%x)
  %q = F(%a) {b = graph () {
    %r = G(%a)
    return %r
  }}
  return %q
}
)");
}

TEST(Graph, CloneIsDeepAndKeepsNumbers) {
  auto graph = parsed(kBranches);
  graph->add_node("Extra", {graph->inputs[0]}, 1);
  const std::string before = checked(*graph);
  auto copy = graph->clone(nullptr);
  EXPECT_EQ(checked(*copy), before);
  graph.reset();
  EXPECT_EQ(checked(*copy), before);
}

TEST(Graph, CloneOfABodySharesOuterValues) {
  auto graph = parsed(kBranches);
  Node* branch = graph->nodes()[1].get();
  Value* a = value_named(*graph, "a");
  std::shared_ptr<Graph> copy = branch->subgraph("then_branch")->clone(graph.get());
  EXPECT_EQ(a->uses.size(), 3u);
  branch->attributes["else_branch"] = std::move(copy);
  EXPECT_EQ(a->uses.size(), 2u);
  const std::string text = checked(*graph);
  EXPECT_EQ(std::ranges::count(text, '\n'), 22) << text;
}

TEST(Graph, ForEachNodeVisitsBodiesAfterTheirNode) {
  auto graph = parsed(kBranches);
  graph->add_node("Last", {}, 0);
  std::string order;
  for_each_node(*graph, [&](Node& node) { order += node.op + " "; });
  EXPECT_EQ(order, "Neg If Add If Mul Last ");
}

TEST(Graph, MovingAttributesToAnotherNode) {
  auto graph = parsed(kBranches);
  Node* old = graph->nodes()[1].get();
  Node* fresh = graph->add_node("If", old->inputs, 1, old);
  fresh->attributes = old->attributes;  // the bodies are shared until the old node goes
  graph->replace_uses(old->outputs[0], fresh->outputs[0]);
  graph->erase(old);
  EXPECT_EQ(value_named(*graph, "a")->uses.size(), 2u);
  EXPECT_EQ(checked(*graph).find("already"), std::string::npos);
}

TEST(Graph, DeepNestingIsDestroyedWithoutRecursion) {
  auto graph = std::make_unique<Graph>();
  Value* x = graph->add_input("x", {});
  Graph* inner = graph.get();
  for (int i = 0; i < 3000; ++i) {
    auto body = std::make_shared<Graph>(inner);
    Graph* next = body.get();
    inner->add_node("A", {x}, 0)->attributes["b"] = std::move(body);
    inner = next;
  }
  EXPECT_EQ(verify(*graph).error().message.find("graphs nested too deep"),
            verify(*graph).error().message.size() - 22);
  EXPECT_NE(print(*graph).find("too_deep"), std::string::npos);
  graph.reset();
}

TEST(Graph, ManyNodes) {
  Graph graph;
  Value* previous = graph.add_input("x", {});
  Value* shared = graph.add_constant("k", make_constant(HostTensor::of_floats({1}, {2})));
  for (int i = 0; i < 2000; ++i) {
    previous = graph.add_node("Add", {previous, shared}, 1)->outputs[0];
  }
  graph.outputs = {previous};
  // Insert before each, bypass each, erase each.
  std::vector<Node*> nodes;
  for (const auto& node : graph.nodes()) nodes.push_back(node.get());
  for (Node* node : nodes) {
    Node* added = graph.add_node("Neg", {node->inputs[0]}, 1, node);
    graph.set_input(node, 0, added->outputs[0]);
  }
  ASSERT_TRUE(verify(graph));
  for (Node* node : nodes) {
    Value* in = node->inputs[0];
    graph.replace_uses(node->outputs[0], in);
    graph.erase(node);
  }
  ASSERT_TRUE(verify(graph));
  EXPECT_EQ(graph.nodes().size(), 2000u);
  EXPECT_TRUE(shared->uses.empty());
  nodes.clear();
  for (const auto& node : graph.nodes()) nodes.push_back(node.get());
  graph.outputs = {graph.inputs[0]};
  graph.erase(nodes);
  graph.remove_unused_values();
  EXPECT_EQ(checked(graph), "graph (%x) {\n  return %x\n}\n");
}

}  // namespace
}  // namespace quern
