#include "ops/op_testing.h"

namespace quern::optest {
namespace {

std::vector<int64_t> list(std::initializer_list<int64_t> values) { return values; }

TEST(Reshape, KeepsAndInfersExtents) {
  EXPECT_EQ(text(run_one({.op = "Reshape"}, {f32({2, 3}, {1, 2, 3, 4, 5, 6}), i64({0, -1, 1})})),
            "f32[2, 3, 1] {1, 2, 3, 4, 5, 6}");
  EXPECT_EQ(text(run_one({.op = "Reshape"}, {f32({}, {1}), i64({-1})})), "f32[1] {1}");
  EXPECT_EQ(text(run_one({.op = "Reshape"}, {f32({1}, {1}), i64({0}, {})})), "f32[] {1}");
  EXPECT_EQ(text(run_one({.op = "Reshape", .attributes = {{"allowzero", int64_t{1}}}},
                         {f32({0, 3}, {}), i64({3, 0})})),
            "f32[3, 0] {}");
  EXPECT_EQ(text(run_one({.op = "Reshape"}, {f32({0, 3}, {}), i64({0, -1})})), "f32[0, 3] {}");
  EXPECT_FALSE(run({.op = "Reshape"}, {f32({1, 2}), i64({3})}).has_value());
  EXPECT_FALSE(run({.op = "Reshape"}, {f32({1, 2}), i64({-1, -1})}).has_value());
  EXPECT_FALSE(run({.op = "Reshape"}, {f32({1, 2}), i64({2, 0})}).has_value());
}

TEST(Reshape, OfSymbols) {
  const auto reshaped = [](std::string_view x, std::string_view shape) {
    return infer({.op = "Reshape"}, {InferInput::of(x), InferInput::of(shape)});
  };
  EXPECT_EQ(reshaped("f32[b, s, 768]", "i64[4] = {0, -1, 12, 64}"), "f32[b, s, 12, 64]");
  EXPECT_EQ(reshaped("f32[b, 12, s, 64]", "i64[3] = {b, s, 768}"), "f32[b, s, 768]");
  EXPECT_EQ(reshaped("f32[b, 12, s, 64]", "i64[3] = {b * 12, -1, 64}"), "f32[12 * b, s, 64]");
  EXPECT_EQ(reshaped("f32[b, s, 768]", "i64[2] = {-1, 768}"), "f32[b * s, 768]");
  EXPECT_EQ(reshaped("f32[*]", "i64[2] = {4, 5}"), "f32[4, 5]");
  EXPECT_EQ(reshaped("f32[n]", "i64[2]").find("f32[_"), 0u);
  EXPECT_EQ(reshaped("i64[2] = {n, m}", "i64[2] = {2, 1}"), "i64[2, 1] = {n, m}");
}

TEST(Views, ByVersion) {
  const HostTensor x = f32({1, 2, 1}, {1, 2});
  EXPECT_EQ(text(run_one({.op = "Squeeze"}, {x})), "f32[2] {1, 2}");
  EXPECT_EQ(text(run_one({.op = "Squeeze"}, {x, i64({-1})})), "f32[1, 2] {1, 2}");
  EXPECT_EQ(
      text(run_one({.op = "Squeeze", .version = 11, .attributes = {{"axes", list({0})}}}, {x})),
      "f32[2, 1] {1, 2}");
  EXPECT_FALSE(run({.op = "Squeeze"}, {x, i64({1})}).has_value());
  EXPECT_EQ(text(run_one({.op = "Unsqueeze"}, {f32({1, 2}), i64({-1, 0})})), "f32[1, 2, 1] {1, 2}");
  EXPECT_EQ(text(run_one({.op = "Unsqueeze", .version = 11, .attributes = {{"axes", list({1})}}},
                         {f32({1, 2})})),
            "f32[2, 1] {1, 2}");
  EXPECT_FALSE(run({.op = "Unsqueeze"}, {f32({1, 2}), i64({0, -3})}).has_value());
  EXPECT_EQ(text(run_one({.op = "Flatten", .attributes = {{"axis", int64_t{0}}}}, {x})),
            "f32[1, 2] {1, 2}");
  EXPECT_EQ(text(run_one({.op = "Flatten"}, {f32({0, 2, 3}, {})})), "f32[0, 6] {}");
  EXPECT_EQ(text(run_one({.op = "Identity"}, {strings({2}, {"a", "b"})})), "string[2] {a, b}");
  // The rank depends on whether n is 1.
  EXPECT_EQ(infer({.op = "Squeeze"}, {InferInput::of("f32[n, 1]")}), "f32[*]");
}

TEST(Shape, OfAxes) {
  const OpCall tail{.op = "Shape", .attributes = {{"start", int64_t{-2}}, {"end", int64_t{9}}}};
  EXPECT_EQ(text(run_one(tail, {f32({2, 3, 0}, {})})), "i64[2] {3, 0}");
  EXPECT_EQ(text(run_one({.op = "Shape"}, {f32({}, {1})})), "i64[0] {}");
  EXPECT_EQ(text(run_one({.op = "Size"}, {f32({2, 3}, {1, 2, 3, 4, 5, 6})})), "i64[] {6}");
  EXPECT_EQ(infer({.op = "Shape"}, {InferInput::of("f32[n, 3]")}), "i64[2] = {n, 3}");
  EXPECT_EQ(infer({.op = "Size"}, {InferInput::of("f32[n, 3]")}), "i64[] = {3 * n}");
}

TEST(Transpose, Permutes) {
  const HostTensor x = f32({2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(text(run_one({.op = "Transpose"}, {x})), "f32[3, 2] {1, 4, 2, 5, 3, 6}");
  EXPECT_EQ(text(run_one({.op = "Transpose"}, {strings({2, 2}, {"a", "b", "c", "d"})})),
            "string[2, 2] {a, c, b, d}");
  EXPECT_FALSE(run({.op = "Transpose", .attributes = {{"perm", list({0, 0})}}}, {x}).has_value());
  EXPECT_FALSE(run({.op = "Transpose", .attributes = {{"perm", list({0})}}}, {x}).has_value());
  HostTensor c = HostTensor::zeros(DType::kC64, {1, 2}).value();
  c.bytes[8] = 1;
  EXPECT_EQ(run_one({.op = "Transpose"}, {c}).bytes, c.bytes);
}

TEST(Concat, SkipsEmptyInputs) {
  const OpCall concat{.op = "Concat", .attributes = {{"axis", int64_t{-1}}}};
  EXPECT_EQ(
      text(run_one(concat, {f32({2, 1}, {1, 2}), f32({2, 0}, {}), f32({2, 2}, {3, 4, 5, 6})})),
      "f32[2, 3] {1, 3, 4, 2, 5, 6}");
  EXPECT_EQ(text(run_one(concat, {f32({0}, {}), f32({0}, {})})), "f32[0] {}");
  EXPECT_EQ(text(run_one(concat, {strings({1}, {"a"}), strings({2}, {"b", "c"})})),
            "string[3] {a, b, c}");
  EXPECT_EQ(infer(concat, {InferInput::of("f32[b, n]"), InferInput::of("f32[2, 3]")}),
            "f32[2, n + 3]");
  EXPECT_NE(infer(concat, {InferInput::of("f32[3, n]"), InferInput::of("f32[2, 3]")}).find("error"),
            std::string::npos);
}

TEST(Concat, ExpandsIntoATree) {
  std::string text = "graph main(";
  for (int i = 0; i < 9; ++i) text += cat(i == 0 ? "" : ", ", "%x", i, ": f32[1]");
  text += ") {\n  %y: f32[9] = Concat@13(";
  for (int i = 0; i < 9; ++i) text += cat(i == 0 ? "" : ", ", "%x", i);
  text += ") {axis = 0}\n  return %y\n}\n";
  auto graph = parse_graph(text);
  ASSERT_TRUE(graph.has_value()) << graph.error().message;
  Node& node = *(*graph)->nodes()[0];
  EXPECT_TRUE(find_op(node)->expand(**graph, node).value());
  ASSERT_EQ((*graph)->nodes().size(), 3u);
  EXPECT_EQ((*graph)->nodes()[0]->inputs.size(), 7u);
  EXPECT_EQ((*graph)->nodes()[1]->inputs.size(), 2u);
  EXPECT_EQ((*graph)->outputs[0]->producer, (*graph)->nodes()[2].get());
  Node& small = *(*graph)->nodes()[2];
  EXPECT_FALSE(find_op(small)->expand(**graph, small).value());
}

TEST(Split, ByVersion) {
  const auto parts = [](OpCall call, std::vector<std::optional<HostTensor>> inputs) {
    std::string out;
    const auto result = run(call, inputs);
    if (!result) return result.error().message;
    for (const HostTensor& part : *result) out += text(part) + " ";
    return out;
  };
  const HostTensor x = f32({1, 2, 3, 4, 5});
  EXPECT_EQ(
      parts({.op = "Split", .version = 11, .attributes = {{"split", list({1, 4})}}, .outputs = 2},
            {x}),
      "f32[1] {1} f32[4] {2, 3, 4, 5} ");
  EXPECT_EQ(parts({.op = "Split", .version = 13, .outputs = 2}, {x, i64({5, 0})}),
            "f32[5] {1, 2, 3, 4, 5} f32[0] {} ");
  EXPECT_EQ(parts({.op = "Split", .attributes = {{"num_outputs", int64_t{2}}}, .outputs = 2}, {x}),
            "f32[3] {1, 2, 3} f32[2] {4, 5} ");
  EXPECT_EQ(parts({.op = "Split", .version = 13, .outputs = 5}, {x}),
            "f32[1] {1} f32[1] {2} f32[1] {3} f32[1] {4} f32[1] {5} ");
  EXPECT_FALSE(run({.op = "Split", .version = 13, .outputs = 2}, {x}).has_value());
  EXPECT_EQ(infer({.op = "Split", .attributes = {{"axis", int64_t{-1}}}, .outputs = 2},
                  {InferInput::of("f32[n, 2 * h]")}),
            "f32[n, h]; f32[n, h]");
}

TEST(Slice, ClampsAndSteps) {
  const HostTensor x = f32({0, 1, 2, 3, 4, 5});
  const auto slice = [&](int64_t start, int64_t end, int64_t step) {
    return text(run_one({.op = "Slice"}, {x, i64({start}), i64({end}), i64({-1}), i64({step})}));
  };
  EXPECT_EQ(slice(1, 4, 1), "f32[3] {1, 2, 3}");
  EXPECT_EQ(slice(-2, INT64_MAX, 1), "f32[2] {4, 5}");
  EXPECT_EQ(slice(-100, 100, 4), "f32[2] {0, 4}");
  EXPECT_EQ(slice(4, 2, 1), "f32[0] {}");
  EXPECT_EQ(slice(9, 10, 1), "f32[0] {}");
  EXPECT_EQ(slice(INT64_MAX, INT64_MIN, -1), "f32[6] {5, 4, 3, 2, 1, 0}");
  EXPECT_EQ(slice(-1, 0, -2), "f32[3] {5, 3, 1}");
  EXPECT_EQ(slice(2, -100, -1), "f32[3] {2, 1, 0}");
  EXPECT_FALSE(run({.op = "Slice"}, {x, i64({0}), i64({1}), kAbsent, i64({0})}).has_value());
  EXPECT_EQ(text(run_one(
                {.op = "Slice",
                 .version = 9,
                 .attributes = {{"starts", list({1})}, {"ends", list({-1})}, {"axes", list({0})}}},
                {x})),
            "f32[4] {1, 2, 3, 4}");
  EXPECT_EQ(text(run_one({.op = "Slice"}, {f32({0, 2}, {}), i64({0}), i64({1})})), "f32[0, 2] {}");
}

TEST(Slice, OfSymbols) {
  const auto slice = [](std::string_view start, std::string_view end, int64_t step) {
    return infer({.op = "Slice"},
                 {InferInput::of("f32[n, 8]"), InferInput::of(start), InferInput::of(end),
                  InferInput::of(i64({0})), InferInput::of(i64({step}))});
  };
  EXPECT_EQ(slice("i64[1] = {0}", "i64[1] = {9223372036854775807}", 1), "f32[n, 8]");
  EXPECT_EQ(slice("i64[1] = {1}", "i64[1] = {9223372036854775807}", 1), "f32[max(n - 1, 0), 8]");
  EXPECT_EQ(slice("i64[1] = {0}", "i64[1] = {-1}", 1), "f32[max(n - 1, 0), 8]");
  EXPECT_EQ(slice("i64[1] = {0}", "i64[1] = {n}", 1), "f32[n, 8]");
  EXPECT_EQ(slice("i64[1] = {-9223372036854775807}", "i64[1] = {n}", 1), "f32[n, 8]");
  EXPECT_EQ(slice("i64[1] = {-3}", "i64[1] = {9223372036854775807}", 1), "f32[min(n, 3), 8]");
  EXPECT_EQ(slice("i64[1] = {-1}", "i64[1] = {-9223372036854775807}", -1), "f32[n, 8]");
  EXPECT_EQ(slice("i64[1]", "i64[1] = {3}", 1).find("f32[_"), 0u);
}

TEST(Pad, Modes) {
  const HostTensor x = f32({1, 2, 3});
  const auto pad = [&](const char* mode, int64_t before, int64_t after) {
    return text(run_one({.op = "Pad", .attributes = {{"mode", std::string(mode)}}},
                        {x, i64({before, after}), f32({}, {9})}));
  };
  EXPECT_EQ(pad("constant", 1, 2), "f32[6] {9, 1, 2, 3, 9, 9}");
  EXPECT_EQ(pad("constant", -1, 1), "f32[3] {2, 3, 9}");
  EXPECT_EQ(pad("edge", 2, 1), "f32[6] {1, 1, 1, 2, 3, 3}");
  EXPECT_EQ(pad("reflect", 2, 1), "f32[6] {3, 2, 1, 2, 3, 2}");
  EXPECT_EQ(pad("reflect", 5, 0), "f32[8] {2, 1, 2, 3, 2, 1, 2, 3}");
  EXPECT_EQ(pad("wrap", 4, 1), "f32[8] {3, 1, 2, 3, 1, 2, 3, 1}");
  EXPECT_EQ(
      text(run_one(
          {.op = "Pad", .version = 2, .attributes = {{"pads", list({1, 0})}, {"value", 7.0f}}},
          {x})),
      "f32[4] {7, 1, 2, 3}");
  EXPECT_EQ(text(run_one({.op = "Pad"}, {f32({2, 1}, {1, 2}), i64({0, 1}), kAbsent, i64({-1})})),
            "f32[2, 2] {1, 0, 2, 0}");
  EXPECT_EQ(text(run_one({.op = "Pad"}, {f32({0}, {}), i64({1, 1}), f32({}, {5})})),
            "f32[2] {5, 5}");
  EXPECT_EQ(text(run_one({.op = "Pad"}, {strings({1}, {"a"}), i64({1, 1}), strings({}, {"-"})})),
            "string[3] {-, a, -}");
  EXPECT_FALSE(run({.op = "Pad"}, {x, i64({-2, -2})}).has_value());
}

TEST(Expand, BroadcastsBothWays) {
  EXPECT_EQ(text(run_one({.op = "Expand"}, {f32({2, 1}, {1, 2}), i64({3, 1, 2})})),
            "f32[3, 2, 2] {1, 1, 2, 2, 1, 1, 2, 2, 1, 1, 2, 2}");
  EXPECT_EQ(text(run_one({.op = "Expand"}, {f32({}, {4}), i64({0}, {})})), "f32[] {4}");
  EXPECT_EQ(
      infer({.op = "Expand"}, {InferInput::of("f32[1, n]"), InferInput::of("i64[2] = {b, 1}")}),
      "f32[b, n]");
  EXPECT_FALSE(run({.op = "Expand"}, {f32({1, 2}), i64({-1})}).has_value());
}

TEST(Tile, Repeats) {
  EXPECT_EQ(text(run_one({.op = "Tile"}, {f32({1, 2}, {1, 2}), i64({2, 2})})),
            "f32[2, 4] {1, 2, 1, 2, 1, 2, 1, 2}");
  EXPECT_EQ(text(run_one({.op = "Tile"}, {f32({1, 2}), i64({0})})), "f32[0] {}");
  EXPECT_FALSE(run({.op = "Tile"}, {f32({1, 2}), i64({-1})}).has_value());
}

TEST(Range, OfAnyType) {
  EXPECT_EQ(text(run_one({.op = "Range"}, {i64({}, {5}), i64({}, {-2}), i64({}, {-3})})),
            "i64[3] {5, 2, -1}");
  EXPECT_EQ(text(run_one({.op = "Range"}, {i64({}, {5}), i64({}, {2}), i64({}, {3})})),
            "i64[0] {}");
  EXPECT_EQ(text(run_one({.op = "Range"}, {f32({}, {0}), f32({}, {1}), f32({}, {0.25f})})),
            "f32[4] {0, 0.25, 0.5, 0.75}");
  EXPECT_EQ(infer({.op = "Range"}, {InferInput::of(i64({}, {0})), InferInput::of("i64[] = {n}"),
                                    InferInput::of(i64({}, {1}))}),
            "i64[n]");
  EXPECT_FALSE(run({.op = "Range"}, {i64({}, {0}), i64({}, {2}), i64({}, {0})}).has_value());
}

TEST(Constants, OfShapes) {
  const auto seven = make_constant(tensor(DType::kI8, {1}, {7}));
  EXPECT_EQ(text(run_one({.op = "ConstantOfShape"}, {i64({2})})), "f32[2] {0, 0}");
  EXPECT_EQ(
      text(run_one({.op = "ConstantOfShape", .attributes = {{"value", seven}}}, {i64({0}, {})})),
      "i8[] {7}");
  EXPECT_EQ(text(run_one({.op = "ConstantOfShape"}, {i64({0, 2})})), "f32[0, 2] {}");
  EXPECT_EQ(text(run_one({.op = "Constant", .attributes = {{"value_ints", list({3, 4})}}}, {})),
            "i64[2] {3, 4}");
  EXPECT_EQ(
      text(run_one({.op = "Constant", .attributes = {{"value_string", std::string("s")}}}, {})),
      "string[] {s}");
  EXPECT_EQ(
      text(run_one({.op = "EyeLike", .attributes = {{"k", int64_t{1}}, {"dtype", int64_t{7}}}},
                   {f32({2, 3}, {0, 0, 0, 0, 0, 0})})),
      "i64[2, 3] {0, 1, 0, 0, 0, 1}");
}

TEST(Layout, TrianglesBlocksAndCrops) {
  const HostTensor x = f32({2, 2}, {1, 2, 3, 4});
  EXPECT_EQ(text(run_one({.op = "Trilu"}, {x})), "f32[2, 2] {1, 2, 0, 4}");
  EXPECT_EQ(
      text(run_one({.op = "Trilu", .attributes = {{"upper", int64_t{0}}}}, {x, i64({}, {-1})})),
      "f32[2, 2] {0, 0, 3, 0}");
  EXPECT_EQ(text(run_one({.op = "Trilu"}, {x, i64({}, {INT64_MIN})})), "f32[2, 2] {1, 2, 3, 4}");
  const HostTensor deep = f32({1, 4, 1, 1}, {1, 2, 3, 4});
  const OpCall wide{.op = "DepthToSpace", .attributes = {{"blocksize", int64_t{2}}}};
  EXPECT_EQ(text(run_one(wide, {deep})), "f32[1, 1, 2, 2] {1, 2, 3, 4}");
  EXPECT_EQ(text(run_one({.op = "SpaceToDepth", .attributes = {{"blocksize", int64_t{2}}}},
                         {f32({1, 1, 2, 2}, {1, 2, 3, 4})})),
            "f32[1, 4, 1, 1] {1, 2, 3, 4}");
  EXPECT_FALSE(run(wide, {f32({1, 3, 1, 1}, {1, 2, 3})}).has_value());
  EXPECT_EQ(text(run_one({.op = "CenterCropPad"}, {f32({1, 5}, {1, 2, 3, 4, 5}), i64({2, 3})})),
            "f32[2, 3] {2, 3, 4, 0, 0, 0}");
  EXPECT_EQ(text(run_one({.op = "ReverseSequence"}, {f32({3, 1}, {1, 2, 3}), i64({2})})),
            "f32[3, 1] {2, 1, 3}");
}

TEST(OneHot, CountsFromTheEndAndIgnoresOutliers) {
  EXPECT_EQ(text(run_one({.op = "OneHot"},
                         {i64({-1, 0, 3, int64_t{1} << 32}), i64({}, {2}), f32({5, 7})})),
            "f32[4, 2] {5, 7, 7, 5, 5, 5, 5, 5}");
  EXPECT_EQ(text(run_one({.op = "OneHot", .attributes = {{"axis", int64_t{0}}}},
                         {f32({1, 0}), f32({1}, {2}), i64({0, 1})})),
            "i64[2, 2] {0, 1, 1, 0}");
}

}  // namespace
}  // namespace quern::optest
