#include "import/onnx/scanner.h"

#include <gtest/gtest.h>

#include "import/onnx/testing.h"
#include "import/scan/protobuf.h"

namespace quern {
namespace {

using namespace testing;  // NOLINT

struct Scanned {
  std::vector<uint8_t> skeleton;
  std::vector<ScannedWeight> weights;
  std::vector<std::vector<uint8_t>> bytes;
  uint64_t fed = 0;  // bytes that went through feed()
};

/// Scans in chunks of `size`, with or without handing payload bytes to the scanner.
Result<Scanned> scan(Bytes file, size_t size, const ScanOptions& options, bool skip) {
  OnnxScanner scanner(options);
  Scanned out;
  for (size_t at = 0; at < file.size();) {
    Bytes chunk = file.subspan(at, std::min(size, file.size() - at));
    if (skip && scanner.payload_ahead() > 0) {
      chunk = chunk.first(std::min<size_t>(chunk.size(), scanner.payload_ahead()));
      QUERN_TRY(scanner.skip_payload(chunk.size()));
    } else {
      QUERN_TRY(scanner.feed(chunk));
      out.fed += chunk.size();
    }
    at += chunk.size();
    EXPECT_EQ(scanner.offset(), at);
    for (const WeightRange& range : scanner.ranges()) {
      out.bytes.resize(std::max<size_t>(out.bytes.size(), range.weight + 1));
      EXPECT_EQ(out.bytes[range.weight].size(), range.weight_offset);
      const Bytes part = chunk.subspan(range.chunk_offset, range.length);
      out.bytes[range.weight].insert(out.bytes[range.weight].end(), part.begin(), part.end());
    }
  }
  QUERN_TRY(scanner.finish());
  out.weights = scanner.weights();
  out.skeleton = scanner.take_skeleton();
  return out;
}

std::string pattern(size_t size, int seed) {
  std::string out(size, 0);
  for (size_t i = 0; i < size; ++i) out[i] = static_cast<char>(i * 31 + static_cast<size_t>(seed));
  return out;
}

/// A model with large payloads in an initializer, a Constant's attribute, a Constant in a
/// subgraph, and a function.
Pb model_with_weights() {
  const Pb raw = Pb().bytes(9, pattern(400, 1)).append(tensor("w", 1, {100}).data());
  const Pb floats = tensor("", 1, {80}).packed_fixed(4, std::vector<float>(80, 1.5f));
  const Pb doubles = tensor("d", 11, {50}).packed_fixed(10, std::vector<double>(50, 2.5));
  const Pb branch =
      graph({.nodes = {node("Constant", {}, {"c"}, {tensor_attribute("value", doubles)})},
             .outputs = {f32_value("c")}});
  Pb main = graph({.nodes = {node("Constant", {}, {"k"}, {tensor_attribute("value", floats)}),
                             node("If", {"x"}, {"y"}, {graph_attribute("then_branch", branch)})},
                   .initializers = {raw, f32_tensor("small", {2}, {1, 2})},
                   .inputs = {f32_value("x")},
                   .outputs = {f32_value("y")}});
  main.bytes(10, pattern(5000, 9));  // doc_string
  Pb file = model(main);
  file.message(25,
               function({.name = "f",
                         .domain = "local",
                         .inputs = {},
                         .outputs = {"o"},
                         .attributes = {},
                         .nodes = {node("Constant", {}, {"o"}, {tensor_attribute("value", raw)})},
                         .defaults = {}}));
  return file;
}

TEST(ScannerTest, ChunksOfAnySizeGiveTheSame) {
  const Pb file = model_with_weights();
  const ScanOptions options{.payload_threshold = 256};
  const auto whole = scan(file.span(), file.data().size(), options, false);
  ASSERT_TRUE(whole) << whole.error().message;
  ASSERT_EQ(whole->weights.size(), 4u);
  EXPECT_EQ(whole->weights[0].field, 4u);  // the nodes come first
  EXPECT_EQ(whole->weights[1].field, 10u);
  EXPECT_EQ(whole->weights[2].field, 9u);
  EXPECT_EQ(whole->bytes[2].size(), 400u);
  for (size_t i = 0; i < 4; ++i) {
    const ScannedWeight& weight = whole->weights[i];
    const Bytes there = file.span().subspan(weight.file_offset, weight.length);
    EXPECT_TRUE(std::ranges::equal(whole->bytes[i], there));
  }
  EXPECT_LT(whole->skeleton.size(), 700u);
  for (const size_t size : {1, 7, 100, 4096}) {
    for (const bool skip : {false, true}) {
      const auto parts = scan(file.span(), size, options, skip);
      ASSERT_TRUE(parts) << parts.error().message;
      EXPECT_EQ(parts->skeleton, whole->skeleton) << size;
      EXPECT_EQ(parts->bytes, whole->bytes) << size;
      if (skip && size < 200) {
        EXPECT_LT(parts->fed, file.data().size() - 400);
      }
    }
  }
}

TEST(ScannerTest, SkeletonIsAProtobufMessage) {
  const Pb file = model_with_weights();
  const auto scanned = scan(file.span(), 64, {.payload_threshold = 256}, false);
  ASSERT_TRUE(scanned);
  std::vector<uint32_t> top;
  std::vector<uint32_t> in_graph;
  FieldReader model(scanned->skeleton);
  while (model.next()) {
    top.push_back(model.number());
    if (model.number() != 7) continue;
    FieldReader graph(model.bytes());
    while (graph.next()) in_graph.push_back(graph.number());
    EXPECT_TRUE(graph.status());
  }
  EXPECT_TRUE(model.status());
  EXPECT_EQ(top, (std::vector<uint32_t>{1, 2, 8, 7, 25}));
  EXPECT_EQ(in_graph, (std::vector<uint32_t>{1, 1, 2, 5, 5, 11, 12}));  // no doc_string
}

TEST(ScannerTest, BelowTheThresholdAllIsCopied) {
  const Pb file = model_with_weights();
  const auto scanned = scan(file.span(), 64, {.payload_threshold = 401}, false);
  ASSERT_TRUE(scanned);
  EXPECT_TRUE(scanned->weights.empty());
  EXPECT_GT(scanned->skeleton.size(), 1500u);
}

TEST(ScannerTest, EmptyFileHasNoWeights) {
  OnnxScanner scanner;
  EXPECT_TRUE(scanner.feed({}));
  EXPECT_TRUE(scanner.finish());
  EXPECT_TRUE(scanner.skeleton().empty());
}

TEST(ScannerTest, SkeletonHasALimit) {
  // The limit is noticed at the length, before the bytes.
  Pb file = Pb().varint(1, 8);
  const size_t before = file.data().size();
  file.bytes(2, std::string(5000, 'x'));
  OnnxScanner scanner({.max_skeleton = 4000});
  const auto result = scanner.feed(file.span().first(before + 3));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kLimit);
  // Many small fields.
  Pb many;
  for (int i = 0; i < 1000; ++i) many.varint(100, -1);
  const auto small = scan(many.span(), 10, {.max_skeleton = 4000}, false);
  ASSERT_FALSE(small);
  EXPECT_EQ(small.error().code, ErrorCode::kLimit);
}

TEST(ScannerTest, DepthHasALimit) {
  Pb inner;
  for (int i = 0; i < 60; ++i) {
    inner =
        graph({.nodes = {node("If", {}, {std::string(256, 'y')}, {graph_attribute("g", inner)})}});
  }
  const Pb file = model(inner);
  const auto result = scan(file.span(), 1000, {}, false);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kLimit);
  EXPECT_TRUE(scan(file.span(), 1000, {.max_depth = 200}, false));
}

std::string error_of(Bytes file) {
  const auto result = scan(file, 5, {}, false);
  return result ? "" : result.error().message;
}

TEST(ScannerTest, WireErrorsNameTheByte) {
  EXPECT_EQ(error_of(Pb().varint(1, 8).append("\x07").span()),
            "an invalid protobuf tag (at byte 3)");
  EXPECT_EQ(error_of(Pb().append("\x0b").span()), "unknown protobuf wire type 3 (at byte 1)");
  EXPECT_EQ(error_of(Pb().append("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f").span()),
            "a varint is longer than 64 bits (at byte 10)");
  EXPECT_EQ(error_of(Pb().append("\x3a\x05"
                                 "abc")
                         .span()),
            "the file ends too early (at byte 5)");
  EXPECT_EQ(error_of(Pb().append("\x08").span()), "the file ends too early (at byte 1)");
  // A field longer than its message, and messages that end inside a tag and a fixed field.
  const std::string text(300, 'x');
  const auto graph = [&](std::string_view tail) {
    return Pb().message(7, Pb().bytes(2, text).append(tail)).bytes(2, text);
  };
  EXPECT_EQ(error_of(graph("\x0a\x05"
                           "abc")
                         .span()),
            "a field of 5 bytes reaches past the end of its message (at byte 308)");
  EXPECT_EQ(error_of(graph("\x80").span()), "a message ends inside a field (at byte 307)");
  EXPECT_EQ(error_of(graph("\x25"
                           "abc")
                         .span()),
            "a message ends inside a field (at byte 307)");
  // An error is final.
  OnnxScanner scanner;
  EXPECT_FALSE(scanner.feed(Pb().append("\x0b").span()));
  EXPECT_FALSE(scanner.feed(Pb().varint(1, 1).span()));
  EXPECT_FALSE(scanner.finish());
}

TEST(ScannerTest, OffsetsAre64Bit) {
  // A payload of 5 GB, none of which is there.
  const uint64_t length = uint64_t{5} << 30;
  Pb tensor_head = Pb().append("\x4a\x80\x80\x80\x80\x14");                  // raw_data
  std::string graph_head = "\x2a\x86\x80\x80\x80\x14" + tensor_head.data();  // initializer
  std::string model_head = "\x3a\x8c\x80\x80\x80\x14" + graph_head;
  OnnxScanner scanner;
  ASSERT_TRUE(scanner.feed(Pb().append(model_head).span()));
  ASSERT_EQ(scanner.payload_ahead(), length);
  ASSERT_TRUE(scanner.skip_payload(length - 1));
  EXPECT_EQ(scanner.ranges()[0].length, length - 1);
  ASSERT_TRUE(scanner.feed(Pb().append("z").span()));
  EXPECT_EQ(scanner.ranges()[0].weight_offset, length - 1);
  EXPECT_TRUE(scanner.finish());
  EXPECT_FALSE(scanner.skip_payload(1));
}

}  // namespace
}  // namespace quern
