#include "shader/tuning.h"

#include <gtest/gtest.h>

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
