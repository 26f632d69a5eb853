// One operator at a time, against numbers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "import/tflite/file_testing.h"

namespace quern::testing {
namespace {

using ::testing::HasSubstr;
using F = FlatWriter;
using Fields = std::vector<F::Field>;

/// A constant operand.
struct K {
  const char* type;
  std::vector<double> values;
};

/// The operator on an input, with constants after it.
std::string of(int code, const char* in, std::vector<double> x, std::vector<K> constants,
               std::vector<std::string> outs, Fields options = {}, bool constants_first = false) {
  Lite lite;
  std::vector<int> inputs;
  const int input = lite.input("x", in);
  if (!constants_first) inputs.push_back(input);
  for (const K& k : constants) inputs.push_back(lite.constant(k.type, k.values));
  if (constants_first) inputs.push_back(input);
  for (const int y : lite.ops(code, inputs, outs, std::move(options))) lite.output(y);
  return lite.run({std::move(x)});
}

TEST(TfliteOperators, Arithmetic) {
  EXPECT_EQ(of(90, "i32[3]", {-7, 7, 6}, {{"i32[]", {2}}}, {"i32[3]"}), "i32[3] -4 3 3");
  EXPECT_EQ(of(95, "i32[3]", {-7, 7, 6}, {{"i32[]", {-4}}}, {"i32[3]"}), "i32[3] -3 -1 -2");
  EXPECT_EQ(of(95, "f32[3]", {-7.5, 7, 8}, {{"f32[]", {4}}}, {"f32[3]"}), "f32[3] 0.5 3 0");
  EXPECT_EQ(of(99, "f32[2]", {1, 5}, {{"f32[2]", {4, 3}}}, {"f32[2]"}), "f32[2] 9 4");
  EXPECT_EQ(of(76, "f32[2]", {4, 16}, {}, {"f32[2]"}), "f32[2] 0.5 0.25");
  EXPECT_EQ(of(72, "f32[2]", {4, 16}, {{"f32[]", {4}}}, {"bool[2]"}), "bool[2] 0 1");
  EXPECT_EQ(of(161, "i32[2]", {-5, 20}, {{"i32[]", {2}}}, {"i32[2]"}), "i32[2] -2 5");
  EXPECT_EQ(of(116, "f32[3]", {0.5, 1.5, -2.5}, {}, {"f32[3]"}), "f32[3] 0 2 -2");
  EXPECT_EQ(of(20, "f32[3]", {-4, 0.5, 4}, {}, {"f32[3]"}), "f32[3] -1 0.5 1");
  EXPECT_EQ(of(11, "f32[1, 2]", {3, 4}, {}, {"f32[1, 2]"}), "f32[1, 2] 0.6 0.8");
  EXPECT_EQ(of(25, "f32[1, 2]", {0, 0}, {}, {"f32[1, 2]"}, {F::real(0, 2)}), "f32[1, 2] 0.5 0.5");
  EXPECT_EQ(
      of(80, "f32[3]", {-9, 0.3, 9}, {}, {"f32[3]"}, {F::real(0, 0), F::real(1, 3), F::word(2, 2)}),
      "f32[3] 0 0 3");
  EXPECT_EQ(of(53, "f32[2]", {-1.5, 3.9}, {}, {"i32[2]"}), "i32[2] -1 3");
  EXPECT_EQ(of(156, "f32[2]", {0, 1}, {{"f32[2]", {-1, 0}}}, {"f32[2]"}),
            "f32[2] 3.1415927 1.5707964");
}

TEST(TfliteOperators, MovesElements) {
  const std::vector<double> six = {1, 2, 3, 4, 5, 6};
  EXPECT_EQ(of(22, "f32[2, 3]", six, {{"i32[2]", {3, -1}}}, {"f32[3, 2]"}),
            "f32[3, 2] 1 2 3 4 5 6");
  EXPECT_EQ(of(22, "f32[2, 3]", six, {}, {"f32[6]"}, {F::ints(0, {6})}), "f32[6] 1 2 3 4 5 6");
  EXPECT_EQ(of(39, "f32[2, 3]", six, {{"i32[2]", {1, 0}}}, {"f32[3, 2]"}), "f32[3, 2] 1 4 2 5 3 6");
  EXPECT_EQ(of(34, "f32[2]", {1, 2}, {{"i32[1, 2]", {1, 2}}}, {"f32[5]"}), "f32[5] 0 1 2 0 0");
  EXPECT_EQ(of(60, "f32[2]", {1, 2}, {{"i32[1, 2]", {1, 0}}, {"f32[]", {7}}}, {"f32[3]"}),
            "f32[3] 7 1 2");
  EXPECT_EQ(of(100, "f32[3]", {1, 2, 3}, {{"i32[1, 2]", {2, 1}}}, {"f32[6]"}, {F::byte(0, 0)}),
            "f32[6] 3 2 1 2 3 2");
  EXPECT_EQ(of(100, "f32[3]", {1, 2, 3}, {{"i32[1, 2]", {2, 1}}}, {"f32[6]"}, {F::byte(0, 1)}),
            "f32[6] 2 1 1 2 3 3");
  EXPECT_EQ(of(88, "f32[2, 3]", six, {}, {"f32[3]", "f32[3]"}, {F::word(0, 2), F::word(1, 0)}),
            "f32[3] 1 2 3; f32[3] 4 5 6");
  EXPECT_EQ(of(49, "f32[6]", six, {{"i32[]", {0}}}, {"f32[3]", "f32[3]"}, {F::word(0, 2)}, true),
            "f32[3] 1 2 3; f32[3] 4 5 6");
  EXPECT_EQ(of(102, "f32[6]", six, {{"i32[2]", {2, -1}}, {"i32[]", {0}}}, {"f32[2]", "f32[4]"}),
            "f32[2] 1 2; f32[4] 3 4 5 6");
  EXPECT_EQ(of(105, "f32[2, 3]", six, {{"i32[1]", {1}}}, {"f32[2, 3]"}), "f32[2, 3] 3 2 1 6 5 4");
  EXPECT_EQ(of(112, "f32[2, 3]", six, {{"i32[2]", {2, 3}}}, {"f32[2, 3]"},
               {F::word(0, 1), F::word(1, 0)}),
            "f32[2, 3] 2 1 3 6 5 4");
  EXPECT_EQ(of(69, "f32[2]", {1, 2}, {{"i32[1]", {2}}}, {"f32[4]"}), "f32[4] 1 2 1 2");
  EXPECT_EQ(of(130, "f32[2]", {1, 2}, {{"i32[2]", {2, 2}}}, {"f32[2, 2]"}), "f32[2, 2] 1 2 1 2");
  EXPECT_EQ(of(43, "f32[1, 2, 1]", {1, 2}, {}, {"f32[2]"}), "f32[2] 1 2");
  EXPECT_EQ(of(77, "f32[2, 3]", six, {}, {"i32[2]"}), "i32[2] 2 3");
  EXPECT_EQ(of(26, "f32[1, 2, 2, 1]", {1, 2, 3, 4}, {}, {"f32[1, 1, 1, 4]"}, {F::word(0, 2)}),
            "f32[1, 1, 1, 4] 1 2 3 4");
  EXPECT_EQ(of(5, "f32[1, 1, 1, 4]", {1, 2, 3, 4}, {}, {"f32[1, 2, 2, 1]"}, {F::word(0, 2)}),
            "f32[1, 2, 2, 1] 1 2 3 4");
  EXPECT_EQ(
      of(38, "f32[1, 3, 1]", {1, 2, 3}, {{"i32[1]", {2}}, {"i32[1, 2]", {0, 1}}}, {"f32[2, 2, 1]"}),
      "f32[2, 2, 1] 1 3 2 0");
  EXPECT_EQ(of(37, "f32[2, 2, 1]", {1, 3, 2, 0}, {{"i32[1]", {2}}, {"i32[1, 2]", {0, 1}}},
               {"f32[1, 3, 1]"}),
            "f32[1, 3, 1] 1 2 3");
}

TEST(TfliteOperators, StridedSlices) {
  const std::vector<double> six = {1, 2, 3, 4, 5, 6};
  const auto slice = [&](std::vector<double> begin, std::vector<double> end,
                         std::vector<double> strides, const char* out, Fields masks) {
    const std::string list = cat("i32[", begin.size(), "]");
    return of(45, "f32[2, 3]", six,
              {{list.c_str(), begin}, {list.c_str(), end}, {list.c_str(), strides}}, {out},
              std::move(masks));
  };
  EXPECT_EQ(slice({0, 1}, {2, 3}, {1, 1}, "f32[2, 2]", {}), "f32[2, 2] 2 3 5 6");
  EXPECT_EQ(slice({1, 0}, {2, 3}, {1, 1}, "f32[3]", {F::word(4, 1)}), "f32[3] 4 5 6");
  EXPECT_EQ(
      slice({-1, 0}, {0, 0}, {1, -1}, "f32[3]", {F::word(0, 2), F::word(1, 2), F::word(4, 1)}),
      "f32[3] 6 5 4");
  EXPECT_EQ(slice({0, 0, 0}, {0, 0, 2}, {1, 1, 1}, "f32[2, 1, 2]", {F::word(2, 1), F::word(3, 2)}),
            "f32[2, 1, 2] 1 2 4 5");
  EXPECT_EQ(slice({0, 1}, {0, 2}, {1, 1}, "f32[2, 1]", {F::word(2, 1)}), "f32[2, 1] 2 5");
}

TEST(TfliteOperators, PicksAndPlaces) {
  const std::vector<double> six = {1, 2, 3, 4, 5, 6};
  EXPECT_EQ(of(36, "f32[2, 3]", six, {{"i32[2]", {2, 0}}}, {"f32[2, 2]"}, {F::word(0, 1)}),
            "f32[2, 2] 3 1 6 4");
  EXPECT_EQ(of(36, "f32[2, 3]", six, {{"i32[2, 1]", {2, 0}}}, {"f32[2, 1]"},
               {F::word(0, 1), F::word(1, 1)}),
            "f32[2, 1] 3 4");
  EXPECT_EQ(of(36, "f32[2, 1, 3]", six, {{"i32[2, 2]", {2, 0, 1, 1}}}, {"f32[2, 1, 2]"},
               {F::word(0, 2), F::word(1, 1)}),
            "f32[2, 1, 2] 3 1 5 5");
  EXPECT_EQ(of(107, "f32[2, 3]", six, {{"i32[2, 2]", {1, 2, 0, 1}}}, {"f32[2]"}), "f32[2] 6 2");
  EXPECT_EQ(of(122, "f32[3]", {1, 2, 3}, {{"i32[3, 1]", {1, 1, 0}}}, {"f32[2]"}, {}, true),
            "error: node 't2' (SCATTER_ND): it has 2 inputs, input 2 is needed");
  EXPECT_EQ(of(65, "f32[2, 3]", six, {{"i32[2]", {0, 1}}, {"i32[2]", {-1, 1}}}, {"f32[2, 1]"}),
            "f32[2, 1] 2 5");
  EXPECT_EQ(of(48, "f32[4]", {1, 4, 2, 3}, {{"i32[]", {2}}}, {"f32[2]", "i32[2]"}),
            "f32[2] 4 3; i32[2] 1 3");
  EXPECT_EQ(of(109, "bool[2, 2]", {1, 0, 0, 1}, {}, {"i64[-1, 2]"}), "i64[2, 2] 0 0 1 1");
  EXPECT_EQ(of(64, "bool[2]", {1, 0}, {{"f32[2, 2]", {1, 2, 3, 4}}, {"f32[2, 2]", {5, 6, 7, 8}}},
               {"f32[2, 2]"}),
            "f32[2, 2] 1 2 7 8");
  EXPECT_EQ(of(85, "i32[2]", {1, 0}, {{"i32[]", {2}}, {"f32[]", {9}}, {"f32[]", {-1}}},
               {"f32[2, 2]"}, {F::word(0, -1)}),
            "f32[2, 2] -1 9 9 -1");
  EXPECT_EQ(of(103, "f32[4]", {5, 3, 5, 1}, {}, {"f32[-1]", "i32[4]"}),
            "f32[3] 5 3 1; i32[4] 0 1 0 2");
  EXPECT_EQ(of(113, "f32[2]", {1, 2}, {}, {"f32[2, 2]"}), "f32[2, 2] 1 0 0 2");
  EXPECT_EQ(of(115, "f32[2, 3]", six, {{"f32[2]", {8, 9}}}, {"f32[2, 3]"}),
            "f32[2, 3] 8 2 3 4 9 6");
  EXPECT_EQ(of(125, "f32[3]", {1, 2, 3}, {{"i32[3]", {0, 0, 1}}}, {"f32[-1]"}), "f32[2] 3 3");
  EXPECT_EQ(of(154, "f32[3]", {1, 2, 3}, {{"i32[3]", {0, 0, 1}}, {"i32[]", {2}}}, {"f32[2]"}),
            "f32[2] 2 3");
  EXPECT_EQ(of(147, "f32[3]", {-5, 1, 9}, {}, {"i32[3]"}, {F::reals(0, {0, 1, 5})}),
            "i32[3] 0 2 3");
  EXPECT_EQ(of(151, "f32[4]", {1, 2, 3, 4}, {{"f32[2]", {8, 9}}, {"i32[1]", {3}}}, {"f32[4]"}),
            "f32[4] 1 2 8 9");
  EXPECT_EQ(
      of(68, "i32[2]", {0, 2}, {{"i32[1]", {4}}, {"f32[2]", {5, 6}}, {"f32[]", {1}}}, {"f32[4]"}),
      "f32[4] 5 1 6 1");
}

TEST(TfliteOperators, Reduces) {
  const std::vector<double> six = {1, 2, 3, 4, 5, 6};
  EXPECT_EQ(of(40, "f32[2, 3]", six, {{"i32[1]", {-1}}}, {"f32[2]"}), "f32[2] 2 5");
  EXPECT_EQ(of(74, "f32[2, 3]", six, {{"i32[]", {0}}}, {"f32[1, 3]"}, {F::byte(0, 1)}),
            "f32[1, 3] 5 7 9");
  EXPECT_EQ(of(91, "bool[2, 2]", {0, 0, 0, 1}, {{"i32[1]", {1}}}, {"bool[2]"}), "bool[2] 0 1");
  EXPECT_EQ(of(140, "bool[2, 2]", {1, 1, 0, 1}, {{"i32[1]", {1}}}, {"bool[2]"}), "bool[2] 1 0");
  EXPECT_EQ(of(56, "f32[2, 3]", six, {{"i32[]", {-1}}}, {"i32[2]"}), "i32[2] 2 2");
  EXPECT_EQ(
      of(128, "f32[3]", {1, 2, 3}, {{"i32[]", {0}}}, {"f32[3]"}, {F::byte(0, 1), F::byte(1, 1)}),
      "f32[3] 5 3 0");
}

TEST(TfliteOperators, Images) {
  EXPECT_EQ(of(1, "f32[1, 3, 3, 1]", {1, 2, 3, 4, 5, 6, 7, 8, 9}, {}, {"f32[1, 2, 2, 1]"},
               {F::byte(0, 0), F::word(1, 2), F::word(2, 2), F::word(3, 2), F::word(4, 2)}),
            "f32[1, 2, 2, 1] 3 4.5 7.5 9");
  EXPECT_EQ(of(12, "f32[1, 1, 2, 1]", {1, 7}, {}, {"f32[1, 1, 1, 1]"},
               {F::byte(0, 1), F::word(1, 1), F::word(2, 1), F::word(3, 2), F::word(4, 1)}),
            "f32[1, 1, 1, 1] 5");
  const auto resize = [](int code, Fields options) {
    return of(code, "f32[1, 1, 2, 1]", {0, 4}, {{"i32[2]", {1, 4}}}, {"f32[1, 1, 4, 1]"},
              std::move(options));
  };
  EXPECT_EQ(resize(23, {}), "f32[1, 1, 4, 1] 0 2 4 4");
  EXPECT_EQ(resize(23, {F::byte(3, 1)}), "f32[1, 1, 4, 1] 0 1 3 4");
  EXPECT_EQ(resize(97, {}), "f32[1, 1, 4, 1] 0 0 4 4");
  EXPECT_EQ(resize(97, {F::byte(0, 1)}), "f32[1, 1, 4, 1] 0 0 4 4");
  // radius 1: x / (1 + sum of squares)
  EXPECT_EQ(of(13, "f32[1, 1, 1, 3]", {1, 2, 3}, {}, {"f32[1, 1, 1, 3]"},
               {F::word(0, 1), F::real(1, 1), F::real(2, 1), F::real(3, 1)}),
            "f32[1, 1, 1, 3] 0.16666667 0.13333334 0.21428572");
}

TEST(TfliteOperators, TransposedConvolutions) {
  const auto transposed = [](const char* shape, std::vector<double> sizes, int same) {
    Lite lite;
    const int size = lite.constant("i32[4]", std::move(sizes));
    const int w = lite.constant("f32[1, 1, 3, 1]", {1, 2, 3});
    const int x = lite.input("x", "f32[1, 1, 2, 1]");
    const int b = lite.constant("f32[1]", {0.5});
    lite.output(lite.op(67, {size, w, x, b}, shape,
                        {F::byte(0, same ? 0 : 1), F::word(1, 2), F::word(2, 1)}));
    return lite.run({{1, 10}});
  };
  // Every input times 1 2 3, two apart.
  EXPECT_EQ(transposed("f32[1, 1, 5, 1]", {1, 1, 5, 1}, 0),
            "f32[1, 1, 5, 1] 1.5 2.5 13.5 20.5 30.5");
  EXPECT_EQ(transposed("f32[1, 1, 4, 1]", {1, 1, 4, 1}, 1), "f32[1, 1, 4, 1] 1.5 2.5 13.5 20.5");
}

TEST(TfliteOperators, Matrices) {
  EXPECT_EQ(
      of(126, "f32[1, 2]", {1, 2}, {{"f32[2, 2]", {1, 2, 3, 4}}}, {"f32[1, 2]"}, {F::byte(1, 1)}),
      "f32[1, 2] 5 11");
  // The batch is what is left of the elements.
  EXPECT_EQ(of(9, "f32[1, 2, 2]", {1, 2, 3, 4}, {{"f32[1, 2]", {1, 10}}}, {"f32[2, 1]"}),
            "f32[2, 1] 21 43");
  EXPECT_EQ(of(9, "f32[1, 2, 2]", {1, 2, 3, 4}, {{"f32[1, 2]", {1, 10}}}, {"f32[1, 2, 1]"},
               {F::byte(2, 1)}),
            "f32[1, 2, 1] 21 43");
  EXPECT_EQ(of(7, "i32[2]", {1, 0}, {{"f32[2, 2]", {1, 2, 3, 4}}}, {"f32[2, 2]"}),
            "f32[2, 2] 3 4 1 2");
}

TEST(TfliteOperators, FourierTransforms) {
  Lite lite;
  const int x = lite.input("x", "f32[1, 4]");
  const int length = lite.constant("i32[2]", {1, 4});
  const int y = lite.op(131, {x, length}, "c64[1, 3]");
  lite.output(lite.op(134, {y}, "f32[1, 3]")).output(lite.op(133, {y}, "f32[1, 3]"));
  lite.output(lite.op(135, {lite.op(43, {y}, "c64[3]", {F::ints(0, {0})})}, "f32[3]"));
  EXPECT_EQ(lite.run({{1, 2, 3, 4}}), "f32[1, 3] 10 -2 -2; f32[1, 3] 0 2 0; f32[3] 10 2.828427 2");
}

}  // namespace
}  // namespace quern::testing
