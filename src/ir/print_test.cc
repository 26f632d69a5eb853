#include "ir/print.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "ir/verify.h"

namespace quern {
namespace {

/// Parses, verifies, prints; the text must be the same after another round.
std::string round_trip(std::string_view text) {
  Result<std::unique_ptr<Graph>> graph = parse_graph(text);
  if (!graph) return graph.error().message;
  if (Result<void> ok = verify(**graph); !ok) return ok.error().message;
  std::string printed = print(**graph);
  Result<std::unique_ptr<Graph>> again = parse_graph(printed);
  if (!again) return cat(printed, again.error().message);
  EXPECT_EQ(print(**again), printed);
  return printed;
}

std::string error_of(std::string_view text) {
  Result<std::unique_ptr<Graph>> graph = parse_graph(text);
  return graph ? "no error" : graph.error().message;
}

TEST(Print, TheFormOfTheHeader) {
  EXPECT_EQ(round_trip(R"(
graph main(%x: f32[batch, 3]) {
  %w = constant f32[2] [1, 2.5]
  %big = weight 0 f32[512, 512]
  %y: f32[batch, 3] = Add(%x, %w) // a comment
  %a, %b = Split(%y, _) {axis = 1, num_outputs = 2}
  %c = com.microsoft.Gelu@1(%a)
  %d = If(%b) {then_branch = graph () { return %x }, else_branch = graph () {return %c}}
  return %c
})"),
            R"(graph main(%x: f32[batch, 3]) {
  %w = constant f32[2] [1, 2.5]
  %big = weight 0 f32[512, 512]
  %y: f32[batch, 3] = Add(%x, %w)
  %a, %b = Split(%y, _) {axis = 1, num_outputs = 2}
  %c = com.microsoft.Gelu@1(%a)
  %d = If(%b) {else_branch = graph () {
    return %c
  }, then_branch = graph () {
    return %x
  }}
  return %c
}
)");
}

TEST(Print, TypesAndContents) {
  const std::string text =
      R"(graph (%x: f32[*], %s: i64[2] = {batch, n + 1}, %t: sequence<optional<f16[n]>>, %u: string[]) {
  %c = {1, 2} = constant i64[2] [1, 2]
  %v: i64[1] = {floor_div(batch, 2)} = Gather(%s, %c) {axis = 0}
  %e: i64[0] = {} = Foo()
  %z = {-1}, %"12": undefined[3] = Bar(%v)
  Sink(%z)
  return
}
)";
  EXPECT_EQ(round_trip(text), text);
}

TEST(Print, Attributes) {
  const std::string text = R"(graph g() {
  %y = Op() {b = 1.0, body = graph inner(%i: i64[]) {
    %j = Add(%i, %i)
    return %j
  }, c = constant i8[2] [-1, 2], "d e" = "a\"\\\n\x01z", empty = ints [], f = [1.5, -inf, nan, 2.0, 1e+20], floats = floats [], g = [graph () {
    return
  }, graph k() {
    return
  }], graphs = graphs [], h = 0x7fc00001, i = -9223372036854775808, ints = [1, -2], s = ["a", ""], strings = strings [], t = type sequence<f32[n]>, w = weight 3 f16[2, 2], z = -0.0}
  return %y
}
)";
  EXPECT_EQ(round_trip(text), text);
  const Result<std::unique_ptr<Graph>> graph =
      parse_graph("graph () { A() {f = floats [1, 2], g = [1, 2.5], h = [3]} return }");
  ASSERT_TRUE(graph);
  const Node& node = *(*graph)->nodes()[0];
  EXPECT_EQ(*node.floats("f"), (std::vector<float>{1, 2}));
  EXPECT_EQ(*node.floats("g"), (std::vector<float>{1, 2.5f}));
  EXPECT_EQ(*node.ints("h"), (std::vector<int64_t>{3}));
}

TEST(Print, NamesDomainsAndVersions) {
  const std::string text = R"(graph "a b"(%"x:": f32[], %/m/Conv:0, %"7", %"") {
  %"%" = Conv@22(%"x:", %/m/Conv:0, %"7", %"") as /m/Conv
  %3 = "return"::"x y"(%"%") as "1 2"
  %out-1.b = ""::"constant"()
  ""::"return"()
  ""::"a.b"()
  ai.onnx.ml.Scaler@3()
  return %3, %out-1.b
}
)";
  // A value with an empty quoted name has no name; it gets a number.
  const std::string printed = round_trip(text);
  EXPECT_NE(printed.find("%\"7\", %7)"), std::string::npos) << printed;
  EXPECT_NE(printed.find("%3 = \"return\"::\"x y\"(%\"%\") as \"1 2\"\n"), std::string::npos);
  EXPECT_NE(printed.find("\"\"::\"constant\"()\n  \"\"::\"return\"()\n  \"\"::\"a.b\"()\n"),
            std::string::npos);
}

TEST(Print, ScopesAndShadowing) {
  Graph graph;
  Value* x = graph.add_input("x", Type::tensor(DType::kF32, Shape{}));
  Node* node = graph.add_node("If", {x}, 1);
  for (const char* key : {"then_branch", "else_branch"}) {
    auto body = std::make_shared<Graph>(&graph);
    Value* inner = body->add_node("Relu", {x}, 1)->outputs[0];
    inner->name = "inner";
    Value* shadow = body->add_node("Neg", {inner}, 1)->outputs[0];
    shadow->name = "x";
    body->outputs = {shadow, x};
    node->attributes[key] = std::move(body);
  }
  graph.outputs = node->outputs;
  EXPECT_EQ(print(graph), R"(graph (%x: f32[]) {
  %1 = If(%x) {else_branch = graph () {
    %inner = Relu(%x)
    %x#9 = Neg(%inner)
    return %x#9, %x
  }, then_branch = graph () {
    %inner = Relu(%x)
    %x#5 = Neg(%inner)
    return %x#5, %x
  }}
  return %1
}
)");
  EXPECT_EQ(round_trip(print(graph)), print(graph));
}

TEST(Print, ConstantsOfEveryTypeKeepTheirBits) {
  std::mt19937_64 random(7);
  for (int i = 1; i <= static_cast<int>(DType::kI2); ++i) {
    const auto type = static_cast<DType>(i);
    if (type == DType::kString) continue;
    HostTensor tensor = *HostTensor::zeros(type, {300});
    for (size_t k = 0; k < tensor.bytes.size(); ++k) {
      // Every byte, small numbers, and noise.
      tensor.bytes[k] = static_cast<uint8_t>(k < 256 ? k : random());
    }
    if (type == DType::kF32 || type == DType::kF64) {
      for (int64_t k = 100; k < 110; ++k) {
        tensor.set_float(k, std::pow(-10, static_cast<double>(k - 105)));
      }
      tensor.set_float(110, std::numeric_limits<double>::quiet_NaN());
      tensor.set_float(111, -std::numeric_limits<double>::infinity());
      tensor.set_float(112, -0.0);
    }
    Graph graph;
    graph.outputs = {graph.add_constant("c", make_constant(tensor))};
    const std::string text = print(graph);
    const Result<std::unique_ptr<Graph>> again = parse_graph(text);
    ASSERT_TRUE(again) << name_of(type) << again.error().message << text;
    EXPECT_EQ((*again)->outputs[0]->constant->host.bytes, tensor.bytes) << name_of(type);
  }
}

TEST(Print, StringConstants) {
  HostTensor tensor = *HostTensor::zeros(DType::kString, {2, 1});
  tensor.strings = {std::string("\0\"\xc3\xa9", 4), "b"};
  Graph graph;
  graph.outputs = {graph.add_constant("c", make_constant(tensor))};
  EXPECT_EQ(print(graph),
            "graph () {\n  %c = constant string[2, 1] [\"\\x00\\\"\xc3\xa9\", \"b\"]\n"
            "  return %c\n}\n");
  EXPECT_EQ((*parse_graph(print(graph)))->outputs[0]->constant->host.strings, tensor.strings);
}

TEST(Parse, ErrorsTellLineAndColumn) {
  EXPECT_EQ(error_of("graph main(%x: f33[]) {"), "line 1, column 16: expected an element type");
  EXPECT_EQ(error_of("graph () {\n  %y = Add(%x)\n  return\n}"),
            "line 2, column 14: value not defined before");
  EXPECT_EQ(error_of("graph (%x, %x) {return}"), "line 1, column 14: value defined twice");
  EXPECT_EQ(error_of("graph (%1, %a#1) {return}"),
            "line 1, column 16: number of a value used twice");
  EXPECT_EQ(error_of("graph () { %c = constant i8[1] [200] return }"),
            "line 1, column 33: expected an element of i8");
  EXPECT_EQ(error_of("graph () { %c = constant f32[1000000000000] [] return }"),
            "line 1, column 43: elements are missing");
  EXPECT_EQ(error_of("graph () { A() {a = [1, \"\"]} return }"),
            "line 1, column 27: a list has items of one kind; an empty one needs it named before");
  EXPECT_EQ(error_of("graph () { A() {a = 1, a = 2} return }"),
            "line 1, column 26: attribute given twice");
  EXPECT_NE(error_of(""), "no error");
  EXPECT_NE(error_of("graph () { return } x"), "no error");
  EXPECT_NE(error_of("graph () { return _ }"), "no error");
  EXPECT_NE(error_of("graph () { %4294967295 = A() return }"), "no error");
  EXPECT_NE(error_of("graph () { %c = constant f32[n] [] return }"), "no error");
  EXPECT_NE(error_of("graph () { %c = constant f32[-1] [] return }"), "no error");
}

TEST(Parse, DepthIsBounded) {
  std::string nested = "graph () {";
  std::string type;
  for (int i = 0; i < 10000; ++i) {
    nested += "A() {b = graph () {";
    type += "sequence<";
  }
  EXPECT_NE(error_of(nested).find("graphs nested too deep"), std::string::npos);
  EXPECT_NE(error_of(cat("graph (%x: ", type)).find("type nested too deep"), std::string::npos);
}

TEST(Parse, MutatedTextsDoNotCrash) {
  const std::string seed = print(**parse_graph(R"(graph main(%x: f32[batch{1..8}, 3], %c: bool[]) {
  %w = constant f32[2] [1, 2.5]
  %v = weight 3 f16[2]
  %y: f32[floor_div(max(batch{1..8}, 2), 2)] = {1, n - 2} = com.x.Add@7(%x, _, %w) {a = [1.5], t = type optional<i2[*]>} as "n 1"
  %z, %12 = If(%c) {then_branch = graph () { %q = Neg(%y) return %q }, s = ["a\x07"], g = [graph () {return}]}
  return %z, %12
})"));
  std::mt19937 random(3);
  int parsed = 0;
  for (int round = 0; round < 4000; ++round) {
    std::string text = seed;
    for (unsigned k = 0; k <= random() % 4; ++k) {
      const size_t at = random() % text.size();
      switch (random() % 4) {
        case 0:
          text[at] = static_cast<char>(random());
          break;
        case 1:
          text.erase(at, random() % 8);
          break;
        case 2:
          text.insert(at, seed, random() % seed.size(), random() % 12);
          break;
        default:
          text[at] = seed[random() % seed.size()];
      }
    }
    const Result<std::unique_ptr<Graph>> graph = parse_graph(text);
    if (!graph) continue;
    ++parsed;
    ASSERT_TRUE(verify(**graph)) << text;
    const std::string printed = print(**graph);
    const Result<std::unique_ptr<Graph>> again = parse_graph(printed);
    ASSERT_TRUE(again) << again.error().message << printed;
    ASSERT_EQ(print(**again), printed) << text;
  }
  EXPECT_GT(parsed, 100);
}

}  // namespace
}  // namespace quern
