#include "ir/dim.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace quern {
namespace {

std::string text(const Dim& dim) { return cat(dim); }

Dim parsed(std::string_view source) {
  Result<Dim> dim = parse_dim(source);
  EXPECT_TRUE(dim) << source << ": " << dim.error().message;
  return dim ? *dim : Dim();
}

/// The canonical form of a text.
std::string form(std::string_view source) { return text(parsed(source)); }

TEST(Dim, ConstantArithmetic) {
  EXPECT_EQ(Dim(3) + 4, Dim(7));
  EXPECT_EQ(Dim(3) * -4 - 1, Dim(-13));
  EXPECT_EQ(floor_div(Dim(-7), 2), Dim(-4));
  EXPECT_EQ(floor_div(Dim(-7), -2), Dim(3));
  EXPECT_EQ(floor_div(Dim(7), -2), Dim(-4));
  EXPECT_EQ(ceil_div(Dim(7), 2), Dim(4));
  EXPECT_EQ(ceil_div(Dim(-7), 2), Dim(-3));
  EXPECT_EQ(ceil_div(Dim(7), -2), Dim(-3));
  EXPECT_EQ(floor_mod(Dim(-7), 3), Dim(2));
  EXPECT_EQ(floor_mod(Dim(7), -3), Dim(-2));
  EXPECT_EQ(min(Dim(2), 1), Dim(1));
  EXPECT_EQ(max(Dim(2), 1), Dim(2));
  EXPECT_EQ(broadcast(Dim(1), 0), Dim(0));
  EXPECT_EQ(broadcast(Dim(5), 1), Dim(5));
}

TEST(Dim, OverflowGivesDistinctOpaqueSymbols) {
  const Dim a = Dim(INT64_MAX) + 1;
  const Dim b = Dim(INT64_MAX) + 1;
  EXPECT_FALSE(a.is_const());
  EXPECT_FALSE(a == b);
  EXPECT_EQ(a - a, Dim(0));
  EXPECT_EQ(proven_equal(a, b), std::nullopt);
  EXPECT_EQ(a.lower(), INT64_MIN);
  EXPECT_FALSE(a.eval({}));
  EXPECT_FALSE((Dim(INT64_MIN) * -1).is_const());
  EXPECT_FALSE(floor_div(Dim(INT64_MIN), -1).is_const());
  EXPECT_FALSE(floor_div(Dim(1), 0).is_const());
  EXPECT_FALSE(floor_mod(Dim(1), 0).is_const());
  EXPECT_FALSE(broadcast(Dim(2), 3).is_const());
  EXPECT_EQ(parsed(text(a)), a);
}

TEST(Dim, SumsAndProductsAreCanonical) {
  EXPECT_EQ(form("b + a - b + 2 * a"), "3 * a");
  EXPECT_EQ(form("1 + y * x - 3"), "x * y - 2");
  EXPECT_EQ(form("(a + b) * (a - b)"), "a * a - b * b");
  EXPECT_EQ(form("-(a - 1)"), "-a + 1");
  EXPECT_EQ(form("x - x"), "0");
  EXPECT_EQ(form("0 - 2 * x - y"), "-2 * x - y");
  EXPECT_EQ(form("x + -9223372036854775808"), "x + -9223372036854775808");
  EXPECT_TRUE(parsed("a * b + c") == parsed("c + b * a"));
}

TEST(Dim, FloorDivByConstants) {
  EXPECT_EQ(form("floor_div(4 * x + 7, 4)"), "x + 1");
  EXPECT_EQ(form("floor_div(4 * x - 1, 4)"), "x - 1");
  EXPECT_EQ(form("floor_div(6 * x + 5, 4)"), "x + floor_div(x, 2) + 1");
}

TEST(Dim, FloorDivForms) {
  EXPECT_EQ(form("floor_div(2 * x + 1, 6)"), "floor_div(x, 3)");
  EXPECT_EQ(form("ceil_div(x, 2)"), "floor_div(x + 1, 2)");
  EXPECT_EQ(form("floor_div(floor_div(h - 1, 2) + 1, 2)"), "floor_div(h + 1, 4)");
  EXPECT_EQ(form("floor_div(x, 1)"), "x");
  EXPECT_EQ(form("floor_div(x, -1)"), "-x");
  EXPECT_EQ(form("floor_div(x, x)"), "1");
  EXPECT_EQ(form("floor_div(x{0..3}, 4)"), "0");
  EXPECT_EQ(form("floor_div(x{-3..-1}, 4)"), "-1");
  EXPECT_EQ(form("floor_div(x, y{5..})"), "floor_div(x, y{5..})");
  EXPECT_EQ(form("floor_div(x{0..4}, y{5..})"), "0");
}

TEST(Dim, ReshapesWithInferredExtent) {
  EXPECT_EQ(form("floor_div(batch * seq * 32, batch * seq * 4)"), "8");
  EXPECT_EQ(form("floor_div(batch * seq * 32, 32)"), "batch * seq");
  EXPECT_EQ(form("floor_div(batch * seq * 32, batch * 4 * 8)"), "seq");
  EXPECT_EQ(form("floor_div(batch * seq * 32, seq)"), "32 * batch");
  EXPECT_EQ(form("floor_div(batch * (past + seq) * 32, batch * 32)"), "past + seq");
  EXPECT_EQ(form("floor_div(batch * (past + seq) * 32, (past + seq) * 32)"), "batch");
  EXPECT_EQ(form("floor_div(batch * (past + 1) * 32, (past + 1) * batch)"), "32");
  EXPECT_EQ(form("floor_div(b * h * w, 4 * b)"), "floor_div(h * w, 4)");
  EXPECT_EQ(form("floor_div(b * floor_div(h, 2) * 6, 2 * b)"), "3 * floor_div(h, 2)");
  EXPECT_EQ(form("floor_div(b * x + b, b * y + b)"), "floor_div(x + 1, y + 1)");
  EXPECT_EQ(form("floor_div(b * x + b, b * x)"), "floor_div(1, x) + 1");
}

TEST(Dim, FloorMod) {
  EXPECT_EQ(form("floor_mod(4 * x + 7, 4)"), "3");
  EXPECT_EQ(form("floor_mod(5 * x + 7, 4)"), "floor_mod(x + 3, 4)");
  EXPECT_EQ(form("floor_mod(x * 32, 64)"), "32 * floor_mod(x, 2)");
  EXPECT_EQ(form("floor_mod(floor_mod(x, 8) + 1, 4)"), "floor_mod(x + 1, 4)");
  EXPECT_EQ(form("floor_mod(x * y, y)"), "0");
  EXPECT_EQ(form("floor_mod(x * y + 3, y)"), "floor_mod(3, y)");
  EXPECT_EQ(form("floor_mod(x{0..7}, 8)"), "x{0..7}");
}

TEST(Dim, MinMaxFoldByBounds) {
  EXPECT_EQ(form("max(x, 0)"), "x");
  EXPECT_EQ(form("min(x, -1)"), "-1");
  EXPECT_EQ(form("min(x, x + 1)"), "x");
  EXPECT_EQ(form("max(x + 3, y, x)"), "max(y, x + 3)");
  EXPECT_EQ(form("min(min(n, 5), n, 7)"), "min(n, 5)");
  EXPECT_EQ(form("max(n - min(2, n), 0)"), "n - min(n, 2)");
  EXPECT_EQ(form("max(min(n, 5), 0)"), "min(n, 5)");
  EXPECT_EQ(form("max(min(x, y), y)"), "y");
}

TEST(Dim, BroadcastFolds) {
  EXPECT_EQ(form("broadcast(x, 1)"), "x");
  EXPECT_EQ(form("broadcast(x, x)"), "x");
  EXPECT_EQ(form("broadcast(x, 5)"), "5");
  EXPECT_EQ(form("broadcast(y, x, 1, y)"), "broadcast(x, y)");
  EXPECT_EQ(form("broadcast(x + 2, y)"), "x + 2");
}

TEST(Dim, Bounds) {
  const Dim x = Dim::symbol("x", 1, 8);
  const Dim y = Dim::symbol("y", -2, 3);
  EXPECT_EQ((x * y).lower(), -16);
  EXPECT_EQ((x * y).upper(), 24);
  EXPECT_EQ((10 - 2 * x).lower(), -6);
  EXPECT_EQ(floor_div(x, 3).upper(), 2);
  EXPECT_EQ(floor_mod(y, 3).lower(), 0);
  EXPECT_EQ(floor_mod(y, 3).upper(), 2);
  EXPECT_EQ(min(x, y).upper(), 3);
  EXPECT_EQ(max(x, y).lower(), 1);
  const Dim free = Dim::symbol("f", INT64_MIN, INT64_MAX);
  EXPECT_EQ((free + 5).lower(), INT64_MIN);
  EXPECT_EQ((0 - free).upper(), INT64_MAX);
  EXPECT_EQ(proven_equal(x, 0), false);
  EXPECT_EQ(proven_equal(x, 1), std::nullopt);
  EXPECT_EQ(proven_equal(free, free + 1), false);
  EXPECT_EQ(proven_less(x, 9), true);
  EXPECT_EQ(proven_less(x, 1), false);
  EXPECT_EQ(proven_less(x, x + 1), true);
  EXPECT_EQ(proven_less(x, y), std::nullopt);
}

TEST(Dim, Eval) {
  const DimBindings bindings{{"h", 7}, {"w", 0}};
  EXPECT_EQ(parsed("floor_div(h + 2, 2) * 3 - h").eval(bindings), 5);
  EXPECT_EQ(parsed("min(h, 3) + max(h, 9) + floor_mod(0 - h, 4)").eval(bindings), 13);
  EXPECT_EQ(parsed("broadcast(h, k)").eval({{"h", 1}, {"k", 4}}), 4);
  EXPECT_EQ(parsed("z").eval(bindings).error().message, "dimension 'z' has no value");
  EXPECT_EQ(parsed("floor_div(h, w)").eval(bindings).error().message,
            "division of dimension 7 by zero");
  EXPECT_EQ(parsed("broadcast(h, k)").eval({{"h", 2}, {"k", 4}}).error().message,
            "extents 2 and 4 don't broadcast");
  EXPECT_EQ(parsed("h").eval({{"h", -1}}).error().message,
            "dimension 'h' is -1, not in [0, 2147483647]");
  EXPECT_EQ(parsed("h * h * h").eval({{"h", 1 << 30}}).error().message,
            "overflow in dimension h * h * h");
}

TEST(Dim, SubstituteAndSymbols) {
  const Dim dim = parsed("floor_div(h + 2, 2) * b + broadcast(h, w)");
  EXPECT_EQ(text(dim.substitute({{"h", 6}, {"b", parsed("2 * n")}})), "8 * n + 6");
  std::vector<std::string> symbols;
  dim.collect_symbols(symbols);
  EXPECT_EQ(join(symbols, " "), "b h w");
}

TEST(Dim, TextOfOddNames) {
  for (const char* name : {"past length", "a\"b\\", "1x", "min", "a.b", "", "x\n\x01"}) {
    const Dim dim = Dim::symbol(name) * 2 + Dim::symbol("other", -3, INT64_MAX);
    EXPECT_EQ(parsed(text(dim)), dim) << text(dim);
    EXPECT_EQ(text(parsed(text(dim))), text(dim));
  }
  EXPECT_EQ(text(Dim::symbol("a b", INT64_MIN, 7)), "\"a b\"{..7}");
}

TEST(Dim, ParseErrors) {
  EXPECT_EQ(parse_dim("a +").error().message, "line 1, column 4: expected a dimension");
  EXPECT_EQ(parse_dim("a b").error().message,
            "line 1, column 3: expected the end of the dimension");
  EXPECT_FALSE(parse_dim("9223372036854775808"));
  EXPECT_FALSE(parse_dim("f(x)"));
  EXPECT_FALSE(parse_dim("floor_div(x, 2, 3)"));
  EXPECT_FALSE(parse_dim("x{3..1}"));
  EXPECT_FALSE(parse_dim("\"abc"));
  EXPECT_FALSE(parse_dim(std::string(100000, '(')));
  EXPECT_FALSE(parse_dim(std::string(100000, '-')));
  EXPECT_FALSE(parse_dim(std::string(100000, '-') + "x"));
}

TEST(Dim, SizeAndDepthAreBounded) {
  Dim sum = 0;
  for (int i = 0; i < 1000; ++i) sum = sum + Dim::symbol(cat("s", i));
  EXPECT_LT(text(sum).size(), 2000u);
  Dim deep = Dim::symbol("x");
  for (int i = 0; i < 5000; ++i) deep = max(floor_div(Dim::symbol("y"), deep), 2) + i % 3;
  EXPECT_LT(text(deep).size(), 2000u);
  Dim product = Dim::symbol("a") + Dim::symbol("b") + 1;
  for (int i = 0; i < 100; ++i) product = product * product;
  EXPECT_LT(text(product).size(), 4000u);
}

TEST(Shapes, Helpers) {
  const Dim n = Dim::symbol("n");
  EXPECT_EQ(cat(Shape{n, 3, n + 1}), "[n, 3, n + 1]");
  EXPECT_EQ(cat(Dims{1, 2}), "[1, 2]");
  EXPECT_EQ(constant_dims({2, 3}), (Dims{2, 3}));
  EXPECT_EQ(constant_dims({2, n}), std::nullopt);
  EXPECT_EQ(element_count(Shape{n, 3, n}), 3 * n * n);
  EXPECT_EQ(element_count(Dims{}), 1);
  EXPECT_EQ(element_count(Dims{int64_t{1} << 40, int64_t{1} << 40, 0}), 0);
  EXPECT_EQ(element_count(Dims{int64_t{1} << 53}), int64_t{1} << 53);
  EXPECT_FALSE(element_count(Dims{int64_t{1} << 40, int64_t{1} << 40, int64_t{1} << 40}));
  EXPECT_FALSE(element_count(Dims{0, -1}));
  EXPECT_EQ(broadcast_shapes({n, 1, 3}, {4, 1}), (Shape{n, 4, 3}));
  EXPECT_EQ(broadcast_shapes({}, {4, n}), (Shape{4, n}));
  EXPECT_EQ(broadcast_shapes({2, 3}, {4}).error().message, "shapes [2, 3] and [4] don't broadcast");
  EXPECT_FALSE(broadcast_shapes({n + 6}, {5}));
}

/// A reference that evaluates as it builds.
struct Sample {
  Dim dim;
  std::vector<std::optional<int64_t>> values;  // nothing where it isn't defined
};

class RandomDims : public testing::TestWithParam<unsigned> {};

TEST_P(RandomDims, AgreeWithDirectEvaluation) {
  std::mt19937 random(GetParam());
  const auto pick = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  // Symbols are at least 1, as divisors are taken to be other than 0.
  std::vector<DimBindings> bindings;
  for (int i = 0; i < 6; ++i) {
    bindings.push_back({{"x", 1 + pick(9)}, {"y", 1 + pick(4)}, {"z", pick(7) - 3}});
  }
  std::vector<Sample> pool;
  for (const char* name : {"x", "y", "z"}) {
    Sample sample{Dim::symbol(name, name[0] == 'z' ? -3 : 1, 9), {}};
    for (const DimBindings& b : bindings) sample.values.push_back(b.find(name)->second);
    pool.push_back(sample);
  }
  for (int step = 0; step < 60; ++step) {
    const Sample a = pool[static_cast<size_t>(pick(static_cast<int>(pool.size())))];
    Sample b = pool[static_cast<size_t>(pick(static_cast<int>(pool.size())))];
    if (pick(2)) {
      const int64_t c = pick(13) - 4;
      b = {Dim(c), std::vector<std::optional<int64_t>>(bindings.size(), c)};
    }
    const int operation = pick(8);
    Sample result;
    switch (operation) {
      case 0:
        result.dim = a.dim + b.dim;
        break;
      case 1:
        result.dim = a.dim - b.dim;
        break;
      case 2:
        result.dim = a.dim * b.dim;
        break;
      case 3:
        result.dim = floor_div(a.dim, b.dim);
        break;
      case 4:
        result.dim = floor_mod(a.dim, b.dim);
        break;
      case 5:
        result.dim = min(a.dim, b.dim);
        break;
      case 6:
        result.dim = max(a.dim, b.dim);
        break;
      default:
        result.dim = ceil_div(a.dim, b.dim);
    }
    bool usable = true;
    for (size_t i = 0; i < bindings.size(); ++i) {
      std::optional<int64_t> value;
      if (a.values[i] && b.values[i] && std::abs(*a.values[i]) < 1 << 20 &&
          std::abs(*b.values[i]) < 1 << 20) {
        const int64_t p = *a.values[i];
        const int64_t q = *b.values[i];
        const auto floor_of = [](int64_t n, int64_t d) {
          return static_cast<int64_t>(std::floor(static_cast<double>(n) / static_cast<double>(d)));
        };
        switch (operation) {
          case 0:
            value = p + q;
            break;
          case 1:
            value = p - q;
            break;
          case 2:
            value = p * q;
            break;
          case 5:
            value = std::min(p, q);
            break;
          case 6:
            value = std::max(p, q);
            break;
          default:
            if (q != 0) {
              value = operation == 3   ? floor_of(p, q)
                      : operation == 4 ? p - q * floor_of(p, q)
                                       : -floor_of(-p, q);
            }
        }
      }
      result.values.push_back(value);
      usable &= value.has_value();
      if (!value) continue;
      const Result<int64_t> got = result.dim.eval(bindings[i]);
      if (got) {
        EXPECT_EQ(*got, *value) << text(a.dim) << " op " << operation << " " << text(b.dim) << " = "
                                << text(result.dim);
        EXPECT_LE(result.dim.lower(), *value) << text(result.dim);
        EXPECT_GE(result.dim.upper(), *value) << text(result.dim);
      }
    }
    const std::string once = text(result.dim);
    EXPECT_EQ(parsed(once), result.dim) << once << " gives " << form(once);
    EXPECT_EQ(form(once), once);
    if (usable) pool.push_back(result);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomDims, testing::Range(0u, 100u));

}  // namespace
}  // namespace quern
