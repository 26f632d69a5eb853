#include "ops/common/regex.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace quern {
namespace {

using ::testing::HasSubstr;

bool match(std::string_view pattern, std::string_view text) {
  const auto regex = Regex::compile(pattern);
  EXPECT_TRUE(regex) << pattern << ": " << regex.error().message;
  return regex && regex->full_match(text);
}
std::string error(std::string_view pattern) {
  const auto regex = Regex::compile(pattern);
  return regex ? "none" : regex.error().message;
}

TEST(RegexTest, FullMatches) {
  struct Case {
    std::string_view pattern;
    std::vector<std::string_view> yes;
    std::vector<std::string_view> no;
  };
  const Case cases[] = {
      {"", {""}, {"a"}},
      {"abc", {"abc"}, {"ab", "abcd", ""}},
      {"a|bc|", {"a", "bc", ""}, {"b", "abc"}},
      {"a*", {"", "a", "aaaa"}, {"b", "ab"}},
      {"(ab)+c?", {"ab", "ababc"}, {"", "abb"}},
      {"a{2,3}", {"aa", "aaa"}, {"a", "aaaa"}},
      {"a{2,}", {"aa", "aaaaa"}, {"a"}},
      {"(a|b){3}", {"aba"}, {"ab", "abab"}},
      {"x{,2}", {"x{,2}"}, {"x"}},
      {"(a*)*", {"", "aaa"}, {"b"}},
      {"a+?b*?", {"aab"}, {"b"}},
      {".", {"a", "\xc3\xa9", "\xff"}, {"\n", "", "ab"}},
      {"(?s).", {"\n"}, {""}},
      {"[a-c]", {"b"}, {"d", "-"}},
      {"[^a-c]", {"d", "\n"}, {"a"}},
      {"[]a-]+", {"]a-"}, {"b"}},
      {"[[:alpha:]_]+", {"ab_"}, {"1"}},
      {"[[:^alpha:]]", {"1"}, {"a"}},
      {R"(\d+\s\w\D\S\W)", {"12 a-b-"}, {"12 a1b-"}},
      {R"([\d.]+)", {"1.5"}, {"a"}},
      {R"(\x41\x{e9}\101\t\.)",
       {"A\xc3\xa9"
        "A\t."},
       {"AeA\t."}},
      {R"(\Qa.*b\E+)", {"a.*b", "a.*bbb"}, {"a.*", "axxb"}},
      {"(?i)straSSe", {"STRASSE", "strasse"}, {"strase"}},
      {"(?i)[\xc3\xa0-\xc3\xa5]", {"\xc3\x80"}, {"a"}},
      {"a(?i:b)c", {"abc", "aBc"}, {"ABc"}},
      {"(?i)a(?-i)b", {"Ab"}, {"AB"}},
      {"(?P<year>[0-9]{4})-(?:0[1-9]|1[0-2])", {"2024-12"}, {"2024-13"}},
      {"^a$", {"a"}, {"a\n"}},
      {"(?m)a$\n^b", {"a\nb"}, {"ab"}},
      {"a$\nb", {}, {"a\nb"}},
      {R"(\bfoo\b.*\Bx)", {"foo abx"}, {"foo x"}},
      {R"(\Aa\z)", {"a"}, {"b"}},
      {R"((\W|^)[\w.\-]{0,25}@(yahoo|gmail)\.com(\W|$))", {"account@gmail.com"}, {"@hotmail.com"}},
  };
  for (const Case& c : cases) {
    for (const std::string_view text : c.yes) EXPECT_TRUE(match(c.pattern, text)) << c.pattern;
    for (const std::string_view text : c.no) {
      EXPECT_FALSE(match(c.pattern, text)) << c.pattern << " on " << text;
    }
  }
}

TEST(RegexTest, TimeIsLinear) {
  const std::string text(20000, 'a');
  EXPECT_FALSE(match("(a*)*(a|aa)+b", text));
  EXPECT_TRUE(match("(a?){100}a{100}", text.substr(0, 100)));
}

TEST(RegexTest, WrongPatterns) {
  EXPECT_THAT(error("(a"), HasSubstr("a group does not end"));
  EXPECT_THAT(error("a)"), HasSubstr("')' without '('"));
  EXPECT_THAT(error("[a"), HasSubstr("a class does not end"));
  EXPECT_THAT(error("*a"), HasSubstr("a repetition of nothing"));
  EXPECT_THAT(error("a**"), HasSubstr("a repetition of a repetition"));
  EXPECT_THAT(error("a{3,2}"), HasSubstr("a repetition is out of range"));
  EXPECT_THAT(error("a{1001}"), HasSubstr("a repetition is out of range"));
  EXPECT_THAT(error("\\"), HasSubstr("ends with a backslash"));
  EXPECT_THAT(error("\\y"), HasSubstr("\\y means nothing"));
  EXPECT_THAT(error("\\x{110000}"), HasSubstr("out of range"));
  EXPECT_THAT(error("[z-a]"), HasSubstr("a range of a class is empty"));
  EXPECT_THAT(error("[[:foo:]]"), HasSubstr("class 'foo' is unknown"));
  EXPECT_THAT(error("(?x)a"), HasSubstr("a group's flags are wrong"));
  EXPECT_THAT(error("\\pL"), HasSubstr("\\p is not supported"));
  EXPECT_THAT(error("((a{100}){100}){100}"), HasSubstr("is too large"));
  EXPECT_THAT(error(std::string(1000, '(')), HasSubstr("is nested too deep"));
}

}  // namespace
}  // namespace quern
