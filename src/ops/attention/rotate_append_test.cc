// RotateAppend's generic form against Rotary and AppendCache, of which it is made.
#include "ops/op_testing.h"

namespace quern::optest {
namespace {

/// Numbers that look random.
HostTensor some(Dims dims, double seed) {
  int64_t count = 1;
  for (int64_t d : dims) count *= d;
  std::vector<double> values;
  for (int64_t i = 0; i < count; ++i) {
    const double x = static_cast<double>(i) * 0.37 + seed;
    values.push_back(x - static_cast<double>(static_cast<int64_t>(x / 2.3)) * 2.3 - 1);
  }
  return tensor(DType::kF32, std::move(dims), values);
}

HostTensor side_by_side(const HostTensor& a, const HostTensor& b) {
  return run_one({.op = "Concat", .attributes = {{"axis", int64_t{1}}}}, {a, b});
}

TEST(RotateAppend, IsRotaryAndAppendCache) {
  constexpr int64_t kBatch = 2, kRows = 3, kHeads = 4, kKvHeads = 2;
  for (const int64_t interleaved : {0, 1}) {
    for (const int64_t past : {-1, 0, 5}) {
      for (const auto& [size, rotated] : {std::pair(8, 8), {8, 4}, {6, 2}}) {
        const HostTensor x = some({kBatch, kRows, kHeads + 2 * kKvHeads, size}, 0.1);
        const HostTensor cos = some({9, rotated / 2}, 0.2), sin = some({9, rotated / 2}, 0.7);
        const HostTensor offsets = tensor(DType::kI32, {kBatch}, {past > 0 ? 5.0 : 0.0, 0});
        const HostTensor total = tensor(DType::kI32, {1}, {past > 0 ? 8.0 : 4.0});
        std::optional<HostTensor> keys, values;
        if (past >= 0) {
          keys = some({kBatch, kKvHeads, past, size}, 0.3);
          values = some({kBatch, kKvHeads, past, size}, 0.4);
        }
        const auto rotary = [&](int64_t first, int64_t heads) {
          return run_one({.op = "Rotary",
                          .version = 1,
                          .attributes = {{"interleaved", interleaved},
                                         {"starts", int64_t{1}},
                                         {"heads", heads},
                                         {"first_head", first},
                                         {"rows_first_in", int64_t{1}},
                                         {"rows_first_out", int64_t{1}}},
                          .domain = "quern"},
                         {x, offsets, cos, sin});
        };
        const auto append = [&](const std::optional<HostTensor>& cache, const HostTensor& rows,
                                int64_t first) {
          return run_one({.op = "AppendCache",
                          .version = 1,
                          .attributes = {{"heads", kKvHeads}, {"first_head", first}},
                          .domain = "quern"},
                         {cache, rows, offsets, total});
        };
        const auto got = run({.op = "RotateAppend",
                              .version = 1,
                              .attributes = {{"heads", kHeads},
                                             {"kv_heads", kKvHeads},
                                             {"interleaved", interleaved}},
                              .outputs = 3,
                              .domain = "quern"},
                             {x, side_by_side(cos, sin), offsets, keys, values, total});
        ASSERT_TRUE(got) << got.error().message;
        EXPECT_EQ(text((*got)[0]), text(rotary(0, kHeads)));
        EXPECT_EQ(text((*got)[1]), text(append(keys, rotary(kHeads, kKvHeads), 0)));
        EXPECT_EQ(text((*got)[2]), text(append(values, x, kHeads + kKvHeads)));
      }
    }
  }
}

TEST(RotateAppend, Types) {
  const OpCall call = {.op = "RotateAppend",
                       .version = 1,
                       .attributes = {{"heads", int64_t{4}}, {"kv_heads", int64_t{2}}},
                       .outputs = 3,
                       .domain = "quern"};
  const auto inferred = [&](std::string_view x, std::string_view past, std::string_view offsets) {
    return infer(call,
                 {InferInput::of(x), InferInput::of("f16[p, 8]"), InferInput::of(offsets),
                  InferInput::of(past), InferInput::of(past), InferInput::of("i32[1] = {total}")});
  };
  EXPECT_EQ(inferred("f16[b, s, 8, 16]", "f16[b, 2, past, 16]", "i32[b]"),
            "f16[b, s, 4, 16]; f16[b, 2, max(past, total), 16]; f16[b, 2, max(past, total), 16]");
  EXPECT_EQ(inferred("f16[b, s, 9, 16]", "f16[b, 2, past, 16]", "i32[b]"),
            "error: node 'test' (quern.RotateAppend): 4 + 2 * 2 heads in rows [b, s, 9, 16]");
  EXPECT_EQ(
      inferred("f16[b, s, 8, 16]", "f16[b, 3, past, 16]", "i32[b]"),
      "error: node 'test' (quern.RotateAppend): a cache [b, 3, past, 16] for rows [b, s, 8, 16]");
  EXPECT_EQ(inferred("f16[2, s, 8, 16]", "f16[2, 2, past, 16]", "i32[1]"),
            "error: node 'test' (quern.RotateAppend): offsets [1] for rows [2, s, 8, 16]");
}

}  // namespace
}  // namespace quern::optest
