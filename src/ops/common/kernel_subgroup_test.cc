// Kernels that need optional features of a device: where they are picked, and what they compute.
#include <algorithm>
#include <functional>

#include "ops/common/kernel_testing.h"
#include "shader/gpu_cases_testing.h"

namespace quern {

extern const CpuKernel cpu_conv;
extern const CpuKernel cpu_fused_attention;
extern const CpuKernel cpu_gemm;
extern const CpuKernel cpu_matmul;

namespace {

Target with_matrices() {
  Target target;
  target.f16 = true;
  target.subgroups = true;
  target.subgroup_min = 32;
  target.subgroup_max = 32;
  target.matrix_f16 = {16, 16, 16};
  target.max_workgroup_storage = 32768;
  return target;
}

HostTensor narrowed(const HostTensor& wide, DType dtype) {
  HostTensor narrow;
  narrow.dtype = dtype;
  narrow.dims = wide.dims;
  narrow.bytes.assign(byte_size(dtype, static_cast<uint64_t>(wide.count())), 0);
  for (int64_t i = 0; i < wide.count(); ++i) narrow.set_float(i, wide.float_at(i));
  return narrow;
}

class KernelSubgroup : public testing::Test {
 protected:
  /// The dispatches of a node.
  std::vector<KernelCall> lowered(NodeUnderTest& node, const Target& target) {
    EXPECT_TRUE(node.infer());
    Recorder recorder(node.frame(), target);
    recorder.trial = trial_;
    const auto done = node.frame().def->lower(recorder);
    EXPECT_TRUE(done) << done.error().message;
    forms_ = std::move(recorder.forms);
    return std::move(recorder.calls);
  }
  std::vector<std::string> kernels(NodeUnderTest& node, const Target& target) {
    std::vector<std::string> names;
    for (const KernelCall& call : lowered(node, target)) names.emplace_back(call.kernel);
    return names;
  }
  std::unique_ptr<NodeUnderTest> product(const Dims& a, const Dims& b, DType dtype = DType::kF16) {
    auto node = std::make_unique<NodeUnderTest>("MatMul", 13);
    node->input(narrowed(random_.floats(a), dtype)).input(narrowed(random_.floats(b), dtype));
    return node;
  }
  using Attributes = std::vector<std::pair<std::string, AttributeValue>>;
  /// Of a node on `inputs` as f16 every dispatch becomes a program; one of a single dispatch also a
  /// GPU case, which expects what the CPU kernel gives for the same numbers as f32.
  void add(const std::string& name, const std::string& kernel, const CpuKernel& cpu,
           const std::string& op, const std::vector<HostTensor>& inputs,
           const Attributes& attributes = {}, const Target& target = with_matrices()) {
    const std::string domain = op == "Attention" ? "quern" : "";
    NodeUnderTest half(op, 13, 1, domain);
    NodeUnderTest wide(op, 13, 1, domain);
    for (const HostTensor& input : inputs) {
      const HostTensor narrow = narrowed(input, DType::kF16);
      half.input(narrow);
      wide.input(narrowed(narrow, DType::kF32));
    }
    for (const auto& [key, value] : attributes) {
      half.set(key, value);
      wide.set(key, value);
    }
    const auto want = wide.run_kernel(cpu);
    ASSERT_TRUE(want) << name << ": " << want.error().message;
    const std::vector<KernelCall> calls = lowered(half, target);
    ASSERT_FALSE(calls.empty());
    if (!trial_) EXPECT_EQ(calls[0].kernel, kernel) << name;
    for (const KernelCall& call : calls) {
      const std::vector<BindingPlan> plans(call.bindings.size(), {Access::kReadWrite, -1});
      KernelCall one = call;
      if (!call.stores_fours) one.bindings.back().dtype = DType::kF32;
      const auto shader = instantiate(one, plans, nullptr, {}, target);
      ASSERT_TRUE(shader) << name << ": " << shader.error().message;
      if (calls.size() != 1) continue;
      const HostTensor expected = narrowed((*want)[0], one.bindings.back().dtype);
      std::vector<GpuCases::Binding> bindings;
      for (const KernelBinding& b : call.bindings) {
        GpuCases::Binding binding{.plan = {Access::kReadWrite, -1}};
        if (b.storage.id < 100) {
          binding.tensor = half.frame().host[b.storage.id];
        } else {
          binding.expected = &expected;
        }
        bindings.push_back(binding);
      }
      cases_.add_shader(name, *shader, bindings, call.params, call.workgroups, {2e-3, 2e-2});
    }
  }

  /// The form that a tuner tries, and the names of all.
  std::optional<size_t> trial_;
  std::vector<std::string> forms_;
  Random random_{43};
  GpuCases cases_{"subgroup"};
};

TEST_F(KernelSubgroup, ProductsOfHalvesTakeMatrices) {
  const Dims shapes[][2] = {{{64, 32}, {32, 64}},       {{130, 72}, {72, 200}},
                            {{33, 19}, {19, 70}},       {{2, 3, 40, 24}, {2, 1, 24, 72}},
                            {{520, 64}, {64, 584}},     {{7, 40}, {40, 36}},
                            {{6, 65, 16}, {6, 16, 804}}};
  for (const auto& [a, b] : shapes) {
    add(cat("matmul ", a, " ", b), "matmul_subgroup", cpu_matmul, "MatMul",
        {random_.floats(a), random_.floats(b)});
  }
}

TEST_F(KernelSubgroup, FormsOfProducts) {
  const Dims shapes[][2] = {{{128, 64}, {64, 256}}, {{130, 1100}, {1100, 140}}};
  for (const auto& [a, b] : shapes) {
    forms_.clear();
    for (trial_ = 0; *trial_ == 0 || *trial_ < forms_.size(); ++*trial_) {
      add(cat("matmul ", a, " ", b, " form ", *trial_), "", cpu_matmul, "MatMul",
          {random_.floats(a), random_.floats(b)});
    }
    const auto is_plain = [](const std::string& n) { return !n.starts_with("matrices"); };
    EXPECT_GT(std::ranges::count_if(forms_, is_plain), 2);
    EXPECT_GT(std::ranges::count_if(forms_, std::not_fn(is_plain)), 4);
  }
}

TEST_F(KernelSubgroup, ProductsOfHalvesWithoutMatrices) {
  const Dims shapes[][2] = {{{64, 32}, {32, 64}}, {{33, 19}, {19, 71}}, {{2, 40, 24}, {2, 24, 72}}};
  for (const auto& [a, b] : shapes) {
    add(cat("plain ", a, " ", b), "matmul", cpu_matmul, "MatMul",
        {random_.floats(a), random_.floats(b)}, {}, Target{});
  }
  add("plain gemm", "matmul", cpu_gemm, "Gemm",
      {random_.floats({24, 41}), random_.floats({37, 24})},
      {{"transA", int64_t{1}}, {"transB", int64_t{1}}}, Target{});
}

TEST_F(KernelSubgroup, OperandsMayBeTransposed) {
  for (const int64_t ta : {0, 1}) {
    for (const int64_t tb : {0, 1}) {
      for (const int64_t odd : {0, 1}) {
        const int64_t m = 96 + odd;
        const int64_t n = 136 + odd;
        const int64_t k = 48 + odd;
        add(cat("gemm ", ta, tb, odd), "matmul_subgroup", cpu_gemm, "Gemm",
            {random_.floats(ta ? Dims{k, m} : Dims{m, k}),
             random_.floats(tb ? Dims{n, k} : Dims{k, n}), random_.floats({n})},
            {{"transA", ta}, {"transB", tb}, {"alpha", 0.5f}});
      }
    }
  }
}

TEST_F(KernelSubgroup, PointwiseConvolutionsTakeMatrices) {
  add("conv", "matmul_subgroup", cpu_conv, "Conv",
      {random_.floats({2, 40, 9, 8}), random_.floats({24, 40, 1, 1}), random_.floats({24})});
}

TEST_F(KernelSubgroup, AttentionTakesMatrices) {
  for (const int64_t round : {0, 1, 2, 3}) {
    const int64_t heads = 4, kv = round == 1 ? 2 : 4, head = round == 2 ? 32 : 64;
    const int64_t queries = 64 + 9 * round, keys = 70 - 6 * round;
    add(cat("attention ", round), "attention_subgroup", cpu_fused_attention, "Attention",
        {random_.floats({2, heads, queries, head}, 2), random_.floats({2, kv, keys, head}),
         random_.floats({2, kv, keys, head})},
        {{"is_causal", round % 3}, {"nan_to_zero", int64_t{1}}});
  }
}

TEST_F(KernelSubgroup, FormsOfAttentionWithoutMatrices) {
  for (const bool subgroups : {false, true}) {
    Target target = with_matrices();
    target.matrix_f16 = {};
    target.subgroups = subgroups;
    forms_.clear();
    for (trial_ = 0; *trial_ == 0 || *trial_ < forms_.size(); ++*trial_) {
      add(cat("attention form ", *trial_, subgroups ? " by subgroups" : ""), "attention_tiles",
          cpu_fused_attention, "Attention",
          {random_.floats({1, 2, 70, 32}, 2), random_.floats({1, 1, 75, 32}),
           random_.floats({1, 1, 75, 32})},
          {{"is_causal", int64_t{subgroups}}, {"nan_to_zero", int64_t{1}}}, target);
    }
    trial_.reset();
    const auto is_wide = [](const std::string& n) { return n.ends_with(" wide"); };
    EXPECT_GT(std::ranges::count_if(forms_, is_wide), 3);
  }
}

TEST_F(KernelSubgroup, MaskedAttentionTakesNone) {
  NodeUnderTest node("Attention", 1, 1, "quern");
  for (int i = 0; i < 3; ++i) {
    node.input(narrowed(random_.floats({1, 2, 64, 64}), DType::kF16));
  }
  node.input(narrowed(random_.floats({64, 64}), DType::kF16));
  EXPECT_EQ(kernels(node, with_matrices()), std::vector<std::string>{"attention_tiles"});
}

TEST_F(KernelSubgroup, DeepProductsAreSliced) {
  const auto node = product({64, 4096}, {4096, 64});
  EXPECT_EQ(kernels(*node, with_matrices()),
            (std::vector<std::string>{"matmul_subgroup", "split_sum"}));
}

TEST_F(KernelSubgroup, OnlyWhereTheTargetHasThem) {
  const auto half = product({64, 32}, {32, 64});
  const std::vector<std::string> plain = {"matmul"};
  const std::vector<std::string> matrices = {"matmul_subgroup"};
  EXPECT_EQ(kernels(*half, with_matrices()), matrices);
  EXPECT_EQ(kernels(*half, Target{}), plain);
  Target other = with_matrices();
  other.subgroup_min = 16;  // of unknown size
  EXPECT_EQ(kernels(*half, other), plain);
  other = with_matrices();
  other.matrix_f16 = {};
  EXPECT_EQ(kernels(*half, other), plain);
  other = with_matrices();
  other.max_workgroup_storage = 4096;
  EXPECT_EQ(kernels(*half, other), plain);
  other = with_matrices();
  other.max_invocations = 32;
  EXPECT_EQ(kernels(*half, other), plain);
  const auto wide = product({64, 32}, {32, 64}, DType::kF32);
  EXPECT_EQ(kernels(*wide, with_matrices()), plain);
  const auto row = product({1, 32}, {32, 64});
  EXPECT_EQ(kernels(*row, with_matrices()), std::vector<std::string>{"matvec"});
}

}  // namespace
}  // namespace quern
