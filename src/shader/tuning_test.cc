#include "shader/tuning.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

namespace quern {
namespace {

const std::vector<std::string> kForms = {"usual", "wide", "deep"};

TEST(Tuning, IsInactiveUntilSet) {
  Tuning tuning;
  EXPECT_FALSE(tuning.active());
  ASSERT_TRUE(tuning.set("", std::nullopt));
  EXPECT_TRUE(tuning.active());
  EXPECT_EQ(tuning.choose(1, "p", kForms), 0u);
}

TEST(Tuning, TakesTheTablesForms) {
  Tuning tuning;
  ASSERT_TRUE(tuning.set("p\tdeep\nq\twide\nr\tgone\n", std::nullopt));
  EXPECT_EQ(tuning.choose(1, "p", kForms), 2u);
  EXPECT_EQ(tuning.choose(1, "q", kForms), 1u);
  EXPECT_EQ(tuning.choose(1, "r", kForms), 0u);  // a form of another version
  EXPECT_EQ(tuning.choose(1, "s", kForms), 0u);
}

TEST(Tuning, TriesAForm) {
  Tuning tuning;
  ASSERT_TRUE(tuning.set("p\tdeep\n", 1));
  EXPECT_EQ(tuning.choose(1, "p", kForms), 1u);
  EXPECT_EQ(tuning.choose(1, "q", {"usual"}), 0u);  // it has fewer
}

TEST(Tuning, ChoicesKnowTheirDispatches) {
  Tuning tuning;
  ASSERT_TRUE(tuning.set("", std::nullopt));
  tuning.count(7);
  tuning.choose(7, "p", kForms);
  tuning.count(7);
  tuning.choose(8, "q", kForms);
  tuning.count(8);
  tuning.count(7);
  tuning.choose(7, "r", kForms);
  tuning.count(7);
  const std::vector<Choice> choices = tuning.take();
  ASSERT_EQ(choices.size(), 3u);
  EXPECT_EQ(choices[0].first, 1u);
  EXPECT_EQ(choices[0].last, 3u);
  EXPECT_EQ(choices[1].problem, "q");
  EXPECT_EQ(choices[1].first, 0u);
  EXPECT_EQ(choices[1].last, 1u);
  EXPECT_EQ(choices[2].first, 3u);
  EXPECT_EQ(choices[2].last, 4u);
  EXPECT_TRUE(tuning.take().empty());
}

TEST(Tuning, ChoicesWithinAWholeNodeAreTriedAfterIt) {
  std::map<std::string, std::set<uint32_t>> tried;
  for (uint32_t trial = 0; trial < 6; ++trial) {
    Tuning tuning;
    ASSERT_TRUE(tuning.set("", trial));
    tuning.choose(3, "conv", kForms, true);
    tuning.count(3);
    tuning.choose(3, "product", kForms);
    tuning.count(3);
    tuning.choose(4, "other", kForms);
    tuning.count(4);
    const std::vector<Choice> choices = tuning.take();
    ASSERT_EQ(choices.size(), 3u);
    for (const Choice& c : choices) {
      if (c.taken > 0) EXPECT_TRUE(tried[c.problem].insert(c.taken).second);
    }
    EXPECT_TRUE(choices[0].taken == 0 || choices[1].taken == 0);
    EXPECT_EQ(choices[0].last, 2u);  // all of the node's
    EXPECT_EQ(choices[1].first, 1u);
    EXPECT_EQ(choices[1].last, 2u);
    EXPECT_EQ(choices[0].trials, 3u);
    EXPECT_EQ(choices[1].trials, 5u);
    EXPECT_EQ(choices[2].trials, 3u);
  }
  const std::set<uint32_t> all = {1, 2};
  EXPECT_EQ(tried["conv"], all);
  EXPECT_EQ(tried["product"], all);
  EXPECT_EQ(tried["other"], all);
}

TEST(Tuning, RefusesMalformedTables) {
  Tuning tuning;
  const auto no_tab = tuning.set("p\tdeep\nno tab\n", std::nullopt);
  ASSERT_FALSE(no_tab);
  EXPECT_EQ(no_tab.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(no_tab.error().message, "tuning: the line 'no tab' has no tab");
  EXPECT_FALSE(tuning.set(std::string(Tuning::kMaxTable + 1, 'a'), std::nullopt));
  EXPECT_FALSE(tuning.active());
}

}  // namespace
}  // namespace quern
