#include "import/onnx/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>

#include "import/onnx/testing.h"
#include "ir/print.h"

namespace quern {
namespace {

using namespace testing;  // NOLINT
using ::testing::HasSubstr;

std::string temporary(const std::string& name, std::string_view bytes) {
  const std::string path = cat(::testing::TempDir(), "/quern_file_test_", name);
  std::FILE* file = std::fopen(path.c_str(), "wb");
  EXPECT_NE(file, nullptr);
  EXPECT_EQ(std::fwrite(bytes.data(), 1, bytes.size(), file), bytes.size());
  std::fclose(file);
  return path;
}

Pb external(std::string_view name, int64_t count, std::string_view offset) {
  return tensor(name, 1, {count})
      .varint(14, 1)
      .message(13, Pb().bytes(1, "location").bytes(2, "quern_file_test_data.bin"))
      .message(13, Pb().bytes(1, "offset").bytes(2, offset));
}

Pb model_of(const std::vector<Pb>& initializers) {
  return model(graph({.nodes = {node("Foo", {"w", "v"}, {"y"})},
                      .initializers = initializers,
                      .outputs = {f32_value("y")}}));
}

TEST(FileTest, WeightsInsideAndOutside) {
  std::vector<float> data(100);
  for (size_t i = 0; i < 100; ++i) data[i] = static_cast<float>(i);
  temporary("data.bin", {reinterpret_cast<const char*>(data.data()), 400});
  const Pb file = model_of(
      {f32_tensor("w", {100}, data), external("v", 40, "8"), external("unused", 40, "80")});
  const std::string path = temporary("model.onnx", file.data());
  for (const size_t chunk : {1, 7, 4096}) {
    const auto loaded = load_onnx_file(path, {.scan = {.payload_threshold = 100}, .chunk = chunk});
    ASSERT_TRUE(loaded) << loaded.error().message;
    ASSERT_EQ(loaded->weights.size(), 3u);
    EXPECT_EQ(std::memcmp(loaded->weights[0].data(), data.data(), 400), 0);
    EXPECT_EQ(loaded->weights[1].size(), 160u);
    EXPECT_EQ(std::memcmp(loaded->weights[1].data(), data.data() + 2, 160), 0);
    EXPECT_TRUE(loaded->weights[2].empty());
  }
  // Small ones go into the graph.
  const auto loaded = load_onnx_file(path);
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_THAT(print(*loaded->model.graph), HasSubstr("%v = constant f32[40] [2, 3, 4"));
}

TEST(FileTest, Errors) {
  const auto error = [](const std::string& path, const FileOptions& options = {}) {
    const auto loaded = load_onnx_file(path, options);
    return loaded ? "" : loaded.error().message;
  };
  EXPECT_THAT(error("/nowhere/model.onnx"), HasSubstr("cannot read '/nowhere/model.onnx'"));
  EXPECT_THAT(error("/tmp"), HasSubstr("cannot read '/tmp'"));
  temporary("data.bin", std::string(400, 'x'));
  const Pb w = f32_tensor("w", {1}, {1});
  EXPECT_THAT(error(temporary("short.onnx", model_of({w, external("v", 100, "1")}).data())),
              HasSubstr("has 400 bytes; tensor 'v' needs 400 from byte 1"));
  EXPECT_THAT(error(temporary("long.onnx", model_of({w, external("v", 101, "0")}).data())),
              HasSubstr("needs 404 from byte 0"));
  const Pb missing = Pb(external("v", 1, "")).message(13, Pb().bytes(1, "location").bytes(2, "no"));
  EXPECT_THAT(error(temporary("missing.onnx", model_of({w, missing}).data())),
              HasSubstr("cannot read"));
  const std::string large = temporary("large.onnx", model_of({w, external("v", 100, "0")}).data());
  EXPECT_EQ(error(large), "");
  EXPECT_THAT(error(large, {.weight_limit = 399}), HasSubstr("more than 399 bytes"));
  const std::string inside = temporary(
      "inside.onnx", model_of({f32_tensor("w", {100}, std::vector<float>(100)), w}).data());
  EXPECT_THAT(error(inside, {.scan = {.payload_threshold = 100}, .weight_limit = 399}),
              HasSubstr("more than 399 bytes"));
}

}  // namespace
}  // namespace quern
