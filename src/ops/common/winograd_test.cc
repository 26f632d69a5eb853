#include "ops/common/winograd.h"

#include "ops/common/kernel_testing.h"
#include "shader/gpu_cases_testing.h"

namespace quern {
namespace {

// The transforms as in the paper.
constexpr double kB[4][4] = {{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}};
constexpr double kG[4][3] = {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}};
constexpr double kA[2][4] = {{1, 1, 1, 0}, {0, 1, -1, -1}};

struct Case {
  int64_t batch, in, out, h, w, pad;

  [[nodiscard]] int64_t out_h() const { return h + 2 * pad - 2; }
  [[nodiscard]] int64_t out_w() const { return w + 2 * pad - 2; }
  [[nodiscard]] int64_t tiles_h() const { return (out_h() + 1) / 2; }
  [[nodiscard]] int64_t tiles_w() const { return (out_w() + 1) / 2; }
  [[nodiscard]] int64_t tiles() const { return batch * tiles_h() * tiles_w(); }
};

/// What lies between the transforms, by their definition.
struct Between {
  HostTensor u, v, m;
};

Between between(const Case& c, const HostTensor& x, const HostTensor& w) {
  const auto zeros = [](const Dims& dims) { return *HostTensor::zeros(DType::kF32, dims); };
  Between r{zeros({16, c.out, c.in}), zeros({16, c.in, c.tiles()}), zeros({16, c.out, c.tiles()})};
  for (int64_t i = 0; i < 16; ++i) {
    for (int64_t pair = 0; pair < c.out * c.in; ++pair) {
      double sum = 0;
      for (int64_t r9 = 0; r9 < 9; ++r9) {
        sum += kG[i / 4][r9 / 3] * kG[i % 4][r9 % 3] * w.float_at(pair * 9 + r9);
      }
      r.u.set_float(i * c.out * c.in + pair, sum);
    }
    for (int64_t channel = 0; channel < c.in; ++channel) {
      for (int64_t tile = 0; tile < c.tiles(); ++tile) {
        const int64_t image = tile / c.tiles_w() / c.tiles_h();
        double sum = 0;
        for (int64_t d = 0; d < 16; ++d) {
          const int64_t row = tile / c.tiles_w() % c.tiles_h() * 2 - c.pad + d / 4;
          const int64_t col = tile % c.tiles_w() * 2 - c.pad + d % 4;
          if (row < 0 || row >= c.h || col < 0 || col >= c.w) continue;
          sum += kB[i / 4][d / 4] * kB[i % 4][d % 4] *
                 x.float_at(((image * c.in + channel) * c.h + row) * c.w + col);
        }
        r.v.set_float((i * c.in + channel) * c.tiles() + tile, sum);
      }
    }
    for (int64_t k = 0; k < c.out; ++k) {
      for (int64_t tile = 0; tile < c.tiles(); ++tile) {
        double sum = 0;
        for (int64_t channel = 0; channel < c.in; ++channel) {
          sum += r.u.float_at((i * c.out + k) * c.in + channel) *
                 r.v.float_at((i * c.in + channel) * c.tiles() + tile);
        }
        r.m.set_float((i * c.out + k) * c.tiles() + tile, sum);
      }
    }
  }
  return r;
}

TEST(GpuWinograd, TransformsMakeAConvolution) {
  Random random(7);
  GpuCases cases("winograd");
  int number = 0;
  for (const Case& c : {Case{3, 5, 4, 8, 6, 1}, Case{2, 3, 6, 5, 4, 1}, Case{4, 2, 3, 7, 9, 0}}) {
    NodeUnderTest node("Conv", 11);
    const HostTensor x = random.floats({c.batch, c.in, c.h, c.w});
    const HostTensor w = random.floats({c.out, c.in, 3, 3});
    node.input(x).input(w).input(random.floats({c.out}));
    node.set("pads", std::vector<int64_t>(4, c.pad));
    const auto y = node.evaluate();
    ASSERT_TRUE(y) << y.error().message;
    const auto shape = conv_shape(OpContext(node.frame()));
    ASSERT_TRUE(shape);
    const Target target;
    Recorder recorder(node.frame(), target);
    ASSERT_TRUE(dispatch_winograd(recorder, *shape));
    ASSERT_EQ(recorder.calls.size(), 4u);
    EXPECT_TRUE(recorder.calls[2].kernel.starts_with("mat"));
    const Between b = between(c, x, w);
    // The last transform of what the products give is the convolution.
    for (int64_t k = 0; k < c.out; ++k) {
      double sum = node.frame().host[2]->float_at(k);
      for (int64_t i = 0; i < 16; ++i) {
        sum += kA[0][i / 4] * kA[0][i % 4] * b.m.float_at((i * c.out + k) * c.tiles());
      }
      EXPECT_NEAR(sum, (*y)[0].float_at(k * c.out_h() * c.out_w()), 1e-4);
    }
    const HostTensor* expected[] = {&b.u, &b.v, &b.m, &(*y)[0]};
    for (const size_t at : {0, 1, 3}) {
      const KernelCall& call = recorder.calls[at];
      std::vector<BindingPlan> plans(call.bindings.size(), {Access::kReadWrite, -1});
      const auto shader = instantiate(call, plans, nullptr, {}, target);
      ASSERT_TRUE(shader) << shader.error().message;
      std::vector<GpuCases::Binding> bindings;
      for (const KernelBinding& binding : call.bindings) {
        GpuCases::Binding one{.plan = {Access::kReadWrite, -1}};
        if (&binding == &call.bindings.back()) {
          one.expected = expected[at];
        } else {
          one.tensor = binding.name == "m" ? &b.m : node.frame().host[binding.storage.id];
        }
        bindings.push_back(one);
      }
      cases.add_shader(cat(call.kernel, ++number), *shader, bindings, call.params, call.workgroups,
                       {1e-5, 2e-5});
    }
  }
}

TEST(GpuWinograd, OnlyLargeConvolutionsOfThree) {
  const auto kernel = [](const Dims& x, const Dims& w, int64_t stride) {
    NodeUnderTest node("Conv", 11);
    node.input(*HostTensor::zeros(DType::kF32, x)).input(*HostTensor::zeros(DType::kF32, w));
    node.set("pads", std::vector<int64_t>(4, 1)).set("strides", std::vector<int64_t>(2, stride));
    EXPECT_TRUE(node.infer());
    const Target target;
    Recorder recorder(node.frame(), target);
    EXPECT_TRUE(node.frame().def->lower(recorder));
    return std::string(recorder.calls.at(0).kernel);
  };
  EXPECT_EQ(kernel({4, 256, 30, 30}, {256, 256, 3, 3}, 1), "winograd_filter");
  EXPECT_EQ(kernel({4, 256, 30, 30}, {256, 256, 3, 3}, 2), "conv");
  EXPECT_EQ(kernel({1, 64, 30, 30}, {64, 64, 3, 3}, 1), "conv");
  EXPECT_EQ(kernel({1, 16, 512, 512}, {64, 16, 3, 3}, 1), "conv");
}

}  // namespace
}  // namespace quern
