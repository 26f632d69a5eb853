#include "shader/unroll.h"

#include <gtest/gtest.h>

namespace quern {
namespace {

WgslConstants constants() {
  WgslConstants c;
  c.add("WM", "8u");
  c.add("TM", "4");
  c.add("BM", "WM * TM");
  c.add("LOADS", "BM * (TM - 1u) / 8u % 7u");
  c.add("LOOP", "LOOP + 1u");
  c.add("PITCH", "select(1u, 2u, true)");
  return c;
}

TEST(WgslConstants, EvaluatesWholeNumbers) {
  const WgslConstants c = constants();
  EXPECT_EQ(c.evaluate("BM"), 32);
  EXPECT_EQ(c.evaluate("LOADS"), 5);
  EXPECT_EQ(c.evaluate(" 2u * (BM + 1u) - TM"), 62);
  for (const char* bad : {"", "LOOP", "PITCH", "NONE", "1u +", "(1u", "1u / 0u", "1.5", "x < 2u",
                          "99999999999u * 99999999999u * 99999999999u"}) {
    EXPECT_EQ(c.evaluate(bad), std::nullopt) << bad;
  }
}

TEST(UnrollLoops, WritesThemOut) {
  const auto text = unroll_loops("k",
                                 "fn f() {\n"
                                 "for (var i = 0u; i < TM / 2u; i++) { //@unroll\n"
                                 "for (var j = 0u; j < BM; j += 16u) { //@unroll\n"
                                 "y[i] = j; // }\n"
                                 "}\n"
                                 "if (x) { z(); }\n"
                                 "}\n"
                                 "for (var i = 0u; i < n; i++) { z(); }\n"
                                 "}\n",
                                 constants());
  ASSERT_TRUE(text) << text.error().message;
  const std::string inner =
      "{\nconst j = 0u;\ny[i] = j; // }\n}\n{\nconst j = 16u;\ny[i] = j; // }\n}\n"
      "\nif (x) { z(); }\n}\n";
  EXPECT_EQ(*text, "fn f() {\n{\nconst i = 0u;\n" + inner + "{\nconst i = 1u;\n" + inner +
                       "\nfor (var i = 0u; i < n; i++) { z(); }\n}\n");
}

TEST(UnrollLoops, SaysWhatItCannot) {
  for (const char* head : {"for (var i = 1u; i < 4u; i++) {", "for (var i = 0u; i < n; i++) {",
                           "for (var i = 0u; i < 65u; i++) {", "for (var i = 0u; j < 4u; i++) {",
                           "for (var i = 0u; i < 4u; i--) {", "while (true) {",
                           "for (var i = 0u; i < 4u; i += 0u) {"}) {
    const auto text = unroll_loops("k", std::string(head) + " //@unroll\n}\n", constants());
    ASSERT_FALSE(text) << head;
    EXPECT_NE(text.error().message.find(head), std::string::npos);
  }
  EXPECT_FALSE(unroll_loops("k", "for (var i = 0u; i < 4u; i++) { //@unroll\n", constants()));
}

}  // namespace
}  // namespace quern
