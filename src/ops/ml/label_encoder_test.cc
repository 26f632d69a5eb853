#include "ops/expand_testing.h"

namespace quern::optest {
namespace {

TEST(LabelEncoder, OfEqualKeysTheLastCountsFromVersion4On) {
  const auto encoded = [](int version) {
    return expanded_text({.op = "LabelEncoder",
                          .version = version,
                          .attributes = {{"keys_int64s", std::vector<int64_t>{1, 2, 1}},
                                         {"values_floats", std::vector<float>{5, 6, 7}}},
                          .domain = "ai.onnx.ml"},
                         {i64({1, 2, 3})});
  };
  EXPECT_EQ(encoded(2), "f32[3] {5, 6, -0}");
  EXPECT_EQ(encoded(4), "f32[3] {7, 6, -0}");
}

TEST(LabelEncoder, StringsToo) {
  const OpCall call = {.op = "LabelEncoder",
                       .version = 4,
                       .attributes = {{"keys_strings", std::vector<std::string>{"a", "a", "b"}},
                                      {"values_int64s", std::vector<int64_t>{5, 6, 7}}},
                       .domain = "ai.onnx.ml"};
  EXPECT_EQ(text(run_one(call, {strings({3}, {"b", "a", "c"})})), "i64[3] {7, 6, -1}");
}

}  // namespace
}  // namespace quern::optest
