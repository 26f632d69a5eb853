#include "ops/expand_testing.h"

namespace quern::optest {
namespace {

// The first step may leave the cache out, as it may give an empty one.
TEST(GroupQueryAttention, WithoutACache) {
  const OpCall call = {.op = "GroupQueryAttention",
                       .version = 1,
                       .attributes = {{"num_heads", int64_t{2}}, {"kv_num_heads", int64_t{1}}},
                       .outputs = 3,
                       .domain = "com.microsoft"};
  const HostTensor q = f32({1, 3, 4}, {1, -2, 0, 1, 2, 1, -1, 0, 1, 1, 2, -1});
  const HostTensor k = f32({1, 3, 2}, {1, 0, -1, 2, 0, 1});
  const HostTensor v = f32({1, 3, 2}, {1, 2, 3, 4, 5, 6});
  const HostTensor empty = f32({1, 1, 0, 2}, {});
  const HostTensor length = tensor(DType::kI32, {1}, {2});
  const HostTensor total = tensor(DType::kI32, {}, {3});
  const std::string wanted = expanded_text(call, {q, k, v, empty, empty, length, total});
  EXPECT_EQ(expanded_text(call, {q, k, v, kAbsent, kAbsent, length, total}), wanted);
  EXPECT_TRUE(wanted.contains("f32[1, 1, 3, 2] {1, 2, 3, 4, 5, 6}")) << wanted;
}

}  // namespace
}  // namespace quern::optest
