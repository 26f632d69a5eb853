// Rotation and appending to caches, from text to text.

#include <gtest/gtest.h>

#include "ir/print.h"
#include "passes/passes.h"

namespace quern {
namespace {

/// The operators that all passes make of an attention over packed heads, four of queries and two of
/// keys, fusions left out. `operands`: after the caches and lengths.
std::string ops_of(std::string_view operands, std::string_view attributes,
                   std::string_view caches = "%keys, %values", bool few_dispatches = true) {
  auto graph = parse_graph(cat(R"(graph main(%x: f32[b, n, 64], %cos: f32[32, 4], %sin: f32[32, 4],
      %keys: f32[b, 2, past, 8], %values: f32[b, 2, past, 8], %lengths: i32[b], %total: i32[],
      %positions: i64[b, n], %norm: f32[8]) {
    %y, %k, %v = com.microsoft.GroupQueryAttention@1(%x, _, _, )",
                               caches, ", %lengths, %total", operands,
                               ") {num_heads = 4, kv_num_heads = 2", attributes, R"(}
    return %y, %k, %v
  })"));
  EXPECT_TRUE(graph) << graph.error().message;
  PassReport report;
  const auto done =
      run_passes(**graph, {.few_dispatches = few_dispatches, .verify_each = true}, report);
  EXPECT_TRUE(done) << done.error().message;
  std::string out;
  for (const auto& node : (*graph)->nodes()) {
    if (node->domain == "quern" && !node->is("Fused", "quern")) {
      out += cat(out.empty() ? "" : " ", node->op);
    }
  }
  return out;
}

constexpr std::string_view kApart = "Rotary Rotary AppendCache AppendCache Attention";
constexpr std::string_view kRotary = ", do_rotary = 1";

TEST(JoinAppends, OfPackedHeads) {
  EXPECT_EQ(ops_of(", %cos, %sin", kRotary), "RotateAppend Attention");
  EXPECT_EQ(ops_of(", %cos, %sin", ", do_rotary = 1, rotary_interleaved = 1"),
            "RotateAppend Attention");
  EXPECT_EQ(ops_of(", %cos, %sin", kRotary, "_, _"), "RotateAppend Attention");
}

TEST(JoinAppends, OnlyWhereDispatchesAreDear) {
  EXPECT_EQ(ops_of(", %cos, %sin", kRotary, "%keys, %values", false), kApart);
}

TEST(JoinAppends, OnlyByTheCachesPositions) {
  EXPECT_EQ(ops_of(", %cos, %sin, %positions", kRotary), kApart);
}

TEST(JoinAppends, OnlyWhatIsRotated) {
  EXPECT_EQ(ops_of("", ""), "AppendCache AppendCache Attention");
  EXPECT_EQ(ops_of(", %cos, %sin, _, _, _, _, _, %norm, %norm", kRotary), kApart);
}

}  // namespace
}  // namespace quern
