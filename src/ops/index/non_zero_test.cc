#include "ops/expand_testing.h"

namespace quern::optest {
namespace {

TEST(NonZero, StringsThatAreNotEmpty) {
  EXPECT_EQ(expanded_text({.op = "NonZero", .version = 13}, {strings({2, 2}, {"a", "", "b", "c"})}),
            "i64[2, 3] {0, 1, 1, 0, 0, 1}");
}

}  // namespace
}  // namespace quern::optest
