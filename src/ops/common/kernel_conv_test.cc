// Conv, ConvTranspose and poolings: CPU kernels against the generic form, poolings and both
// convolutions against naive loops, shape inference.
#include <cmath>

#include "ops/common/conv_shape.h"
#include "ops/common/kernel_testing.h"

namespace quern {

extern const CpuKernel cpu_conv;
extern const CpuKernel cpu_conv_transpose;

namespace {

struct ConvCase {
  Dims x, w;
  std::vector<int64_t> strides, dilations, pads;
  int64_t groups = 1;
};

ConvCase random_case(Random& random, size_t rank, bool transposed) {
  ConvCase c;
  c.groups = random.chance(3) ? random.integer(2, 3) : 1;
  const bool depthwise = random.chance(3);
  if (depthwise) c.groups = random.integer(2, 5);
  const int64_t in = depthwise ? 1 : random.integer(1, 7);
  const int64_t out = depthwise ? random.integer(1, 2) : random.integer(1, rank == 3 ? 8 : 20);
  c.x = {random.integer(1, 2), in * c.groups};
  c.w = transposed ? Dims{in * c.groups, out} : Dims{out * c.groups, in};
  for (size_t i = 0; i < rank; ++i) {
    c.strides.push_back(random.integer(1, 3));
    c.dilations.push_back(random.integer(1, 2));
    c.w.push_back(random.integer(1, 4));
    const int64_t reach = (c.w.back() - 1) * c.dilations.back() + 1;
    const bool last = i + 1 == rank;
    c.x.push_back(reach + random.integer(0, last ? (transposed ? 12 : 40) : (transposed ? 2 : 6)));
  }
  for (size_t i = 0; i < 2 * rank; ++i) {
    c.pads.push_back(random.integer(0, std::min<int64_t>(2, c.w[2 + i % rank] - 1)));
  }
  return c;
}

/// Products that the generic form evaluates for one output.
int64_t generic_cost(const ConvCase& c) {
  int64_t n = c.x[1] / c.groups;
  for (size_t i = 2; i < c.w.size(); ++i) n *= c.w[i];
  return n;
}

void set(NodeUnderTest& node, const ConvCase& c) {
  node.set("strides", c.strides).set("dilations", c.dilations).set("group", c.groups);
  node.set("pads", c.pads);
}

/// The convolution by its definition, scattered (transposed) or gathered.
std::vector<double> naive(const ConvCase& c, const HostTensor& x, const HostTensor& w,
                          const Dims& y, bool transposed) {
  const size_t rank = c.x.size() - 2;
  int64_t n_in = 1, n_out = 1, taps = 1, total = 1;
  for (int64_t d : y) total *= d;
  for (size_t i = 0; i < rank; ++i) {
    n_in *= c.x[i + 2];
    n_out *= y[i + 2];
    taps *= c.w[i + 2];
  }
  std::vector<double> out(static_cast<size_t>(total));
  const int64_t groups = c.groups;
  const int64_t in = c.x[1] / groups;
  const int64_t channels = y[1] / groups;
  // From the smaller side's positions (of the input where transposed) times stride to the other.
  const int64_t n_small = transposed ? n_in : n_out;
  for (int64_t b = 0; b < y[0]; ++b) {
    for (int64_t m = 0; m < y[1]; ++m) {
      for (int64_t k = 0; k < in; ++k) {
        for (int64_t p = 0; p < n_small; ++p) {
          for (int64_t t = 0; t < taps; ++t) {
            int64_t rest = p, rest_t = t, at = 0, scale = 1;
            bool inside = true;
            for (size_t i = rank; i-- > 0;) {
              const int64_t small = transposed ? c.x[i + 2] : y[i + 2];
              const int64_t large = transposed ? y[i + 2] : c.x[i + 2];
              const int64_t v =
                  rest % small * c.strides[i] - c.pads[i] + rest_t % c.w[i + 2] * c.dilations[i];
              inside = inside && v >= 0 && v < large;
              at += v * scale;
              scale *= large;
              rest /= small;
              rest_t /= c.w[i + 2];
            }
            if (!inside) continue;
            const int64_t group = m / channels;
            const int64_t from = transposed ? p : at;
            const int64_t to = transposed ? at : p;
            const int64_t weight = transposed
                                       ? ((group * in + k) * channels + m % channels) * taps + t
                                       : (m * in + k) * taps + t;
            out[static_cast<size_t>((b * y[1] + m) * n_out + to)] +=
                x.float_at((b * c.x[1] + group * in + k) * n_in + from) * w.float_at(weight);
          }
        }
      }
    }
  }
  return out;
}

void check(bool transposed) {
  Random random(transposed ? 5 : 4);
  for (int round = 0; round < 60; ++round) {
    ConvCase c = random_case(random, 1 + static_cast<size_t>(round % 3), transposed);
    if (!transposed && round % 10 == 9) {  // pointwise
      for (size_t i = 2; i < c.x.size(); ++i) c.w[i] = c.strides[i - 2] = 1;
      c.pads.assign(c.pads.size(), 0);
    }
    NodeUnderTest node(transposed ? "ConvTranspose" : "Conv", 11);
    const HostTensor x = random.floats(c.x);
    const HostTensor w = random.floats(c.w);
    node.input(x).input(w);
    set(node, c);
    const auto got = node.run_kernel(transposed ? cpu_conv_transpose : cpu_conv);
    ASSERT_TRUE(got) << got.error().message;
    const Dims& y = (*got)[0].dims;
    const std::vector<double> sums = naive(c, x, w, y, transposed);
    const HostTensor want = HostTensor::of_floats(y, std::vector<float>(sums.begin(), sums.end()));
    EXPECT_LT(difference((*got)[0], want), 1e-5) << cat(c.x, " * ", c.w, " -> ", y);
    // The generic form meets every tap of every output: for small ones only.
    if ((*got)[0].count() * generic_cost(c) > 300000) continue;
    const auto generic = node.evaluate();
    ASSERT_TRUE(generic) << generic.error().message;
    EXPECT_LT(difference((*generic)[0], want), 1e-5) << cat(c.x, " * ", c.w, " -> ", y);
    if (round % 4 != 0) continue;
    node.input(random.floats({y[1]}));
    const auto a = node.run_kernel(transposed ? cpu_conv_transpose : cpu_conv);
    const auto b = node.evaluate();
    ASSERT_TRUE(a && b);
    EXPECT_LT(difference((*a)[0], (*b)[0]), 1e-5);
  }
}

TEST(Conv, AgreesWithTheDefinition) { check(false); }
TEST(ConvTranspose, AgreesWithTheDefinition) { check(true); }

TEST(Conv, InfersSymbolicShapes) {
  const auto conv = [](const char* types, const char* attributes) {
    return inferred(
        cat("graph g(", types, ") { %y = Conv@11(%x, %w) ", attributes, "\n return %y }"));
  };
  EXPECT_EQ(conv("%x: f32[n, 3, h, w], %w: f32[8, 3, 3, 3]", "{pads = [1, 1, 1, 1]}"),
            "f32[n, 8, h, w]");
  EXPECT_EQ(conv("%x: f32[n, 3, 33], %w: f32[8, 3, 4]", "{strides = [2]}"), "f32[n, 8, 15]");
  EXPECT_EQ(
      conv("%x: f32[n, 3, h], %w: f32[8, 3, 4]", "{strides = [2], auto_pad = \"SAME_UPPER\"}"),
      inferred("graph g(%x: f32[n, 8, h]) { %y = MaxPool@11(%x) {strides = [2], kernel_shape = "
               "[4], auto_pad = \"SAME_UPPER\"}\n return %y }"));
  EXPECT_NE(conv("%x: f32[n, 4, 5], %w: f32[8, 3, 4]", "").find("don't fit"), std::string::npos);
  EXPECT_NE(conv("%x: f32[n, 3, 2], %w: f32[8, 3, 4]", "").find("does not fit"), std::string::npos);
  EXPECT_NE(conv("%x: f32[n, 3, 5], %w: f32[8, 3, 4]", "{strides = [0]}").find("strides holds 0"),
            std::string::npos);
}

TEST(ConvTranspose, InfersEveryForm) {
  const auto shape = [](std::vector<int64_t> pads, std::vector<int64_t> extra,
                        std::vector<int64_t> output, std::string mode) {
    NodeUnderTest node("ConvTranspose", 11);
    Random random(1);
    node.input(random.floats({1, 2, 5})).input(random.floats({2, 3, 4}));
    node.set("strides", std::vector<int64_t>{3});
    if (!pads.empty()) node.set("pads", pads);
    if (!extra.empty()) node.set("output_padding", extra);
    if (!output.empty()) node.set("output_shape", output);
    if (!mode.empty()) node.set("auto_pad", mode);
    const auto y = node.evaluate();
    return y ? (*y)[0].dims[2] : -1;
  };
  EXPECT_EQ(shape({}, {}, {}, ""), 16);
  EXPECT_EQ(shape({1, 2}, {}, {}, ""), 13);
  EXPECT_EQ(shape({}, {1}, {}, ""), 17);
  EXPECT_EQ(shape({}, {}, {14}, ""), 14);
  EXPECT_EQ(shape({}, {}, {}, "SAME_UPPER"), 15);
  EXPECT_EQ(shape({}, {}, {}, "VALID"), 16);
}

/// Poolings by their definition.
TEST(Pool, AgreesWithTheDefinition) {
  Random random(6);
  for (int round = 0; round < 90; ++round) {
    const size_t rank = 1 + static_cast<size_t>(round % 3);
    ConvCase c = random_case(random, rank, false);
    c.x[1] = 2;
    const std::vector<int64_t> kernel(c.w.begin() + 2, c.w.end());
    const int64_t ceil_mode = random.integer(0, 1);
    const int64_t include = random.integer(0, 1);
    const int64_t order = random.integer(0, 1);
    const int kind = round % 4;
    NodeUnderTest node(kind < 2    ? "MaxPool"
                       : kind == 2 ? "AveragePool"
                                   : "LpPool",
                       19, kind == 1 ? 2 : 1);
    const HostTensor x = random.floats(c.x);
    node.input(x).set("kernel_shape", kernel).set("strides", c.strides).set("pads", c.pads);
    node.set("dilations", c.dilations).set("ceil_mode", ceil_mode);
    if (kind == 1) node.set("storage_order", order);
    if (kind == 2) node.set("count_include_pad", include);
    const auto got = node.evaluate();
    ASSERT_TRUE(got) << got.error().message;
    const Dims& y = (*got)[0].dims;
    int64_t taps = 1, n_in = 1, n_out = 1;
    for (size_t i = 0; i < rank; ++i) {
      taps *= kernel[i];
      n_in *= c.x[i + 2];
      n_out *= y[i + 2];
    }
    HostTensor want =
        HostTensor::of_floats(y, std::vector<float>(static_cast<size_t>(y[0] * y[1] * n_out)));
    for (int64_t p = 0; p < want.count(); ++p) {
      double best = -INFINITY, sum = 0, count = 0;
      int64_t best_at = 0;
      for (int64_t t = 0; t < taps; ++t) {
        int64_t rest = p % n_out, rest_t = t, at = 0, scale = 1;
        bool inside = true, padded = true;
        std::vector<int64_t> position(rank);
        for (size_t i = rank; i-- > 0;) {
          const int64_t v =
              rest % y[i + 2] * c.strides[i] - c.pads[i] + rest_t % kernel[i] * c.dilations[i];
          position[i] = v;
          inside = inside && v >= 0 && v < c.x[i + 2];
          padded = padded && v < c.x[i + 2] + c.pads[rank + i];
          at += v * scale;
          scale *= c.x[i + 2];
          rest /= y[i + 2];
          rest_t /= kernel[i];
        }
        if (include != 0 ? padded : inside) ++count;
        if (!inside) continue;
        const double v = x.float_at(p / n_out * n_in + at);
        sum += kind == 3 ? v * v : v;
        if (v > best) {
          best = v;
          int64_t column = 0;
          for (size_t i = rank; i-- > 0;) column = column * c.x[i + 2] + position[i];
          best_at = p / n_out * n_in + (order != 0 ? column : at);
        }
      }
      want.set_float(p, kind < 2 ? best : kind == 2 ? sum / count : std::sqrt(sum));
      if (kind == 1) {
        EXPECT_EQ((*got)[1].int_at(p), best_at);
      }
    }
    EXPECT_LT(difference((*got)[0], want), 1e-5)
        << kind
        << cat(" ", c.x, " kernel ", kernel, " strides ", c.strides, " pads ", c.pads,
               " dilations ", c.dilations, " ceil ", ceil_mode, " include ", include);
  }
}

}  // namespace
}  // namespace quern
