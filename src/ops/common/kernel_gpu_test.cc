// Hand-written kernels as nodes are lowered to them: each dispatch must instantiate, and those of
// one dispatch become GPU cases (tests/kernels/run-wgsl.mjs) that expect what the CPU kernel gives.
#include <functional>
#include <map>
#include <numeric>
#include <set>

#include "ops/common/kernel_testing.h"
#include "shader/gpu_cases_testing.h"

namespace quern {

extern const CpuKernel cpu_conv;
extern const CpuKernel cpu_conv_transpose;
extern const CpuKernel cpu_fused_attention;
extern const CpuKernel cpu_gemm;
extern const CpuKernel cpu_gru;
extern const CpuKernel cpu_group_normalization;
extern const CpuKernel cpu_instance_normalization;
extern const CpuKernel cpu_layer_normalization;
extern const CpuKernel cpu_log_softmax;
extern const CpuKernel cpu_lstm;
extern const CpuKernel cpu_matmul;
extern const CpuKernel cpu_matmul_nbits;
extern const CpuKernel cpu_rms_normalization;
extern const CpuKernel cpu_rnn;
extern const CpuKernel cpu_softmax;

namespace {

/// Numbers of the Recorder's storages: inputs, outputs from the first, other memory from the
/// second.
constexpr uint32_t kOutputs = 100;
constexpr uint32_t kScratch = 200;

class KernelGpu : public testing::Test {
 protected:
  /// Lowers, instantiates every dispatch, and adds a case where there is one. `half`: the inputs
  /// as f16 on the device.
  void add(NodeUnderTest& node, const CpuKernel& kernel, const std::string& name,
           bool half = false) {
    auto want = node.run_kernel(kernel);
    ASSERT_TRUE(want) << name << want.error().message;
    add(node, *want, name, half);
  }

  /// The same where it is known what the node gives.
  void add(NodeUnderTest& node, const std::vector<HostTensor>& want, const std::string& name,
           bool half = false) {
    Target target;
    target.max_workgroups = 7;  // numbers past the limit are common
    target.cores = cores_;
    target.byte_products = byte_products_;
    target.subgroups = subgroup_ > 0;
    target.subgroup_min = target.subgroup_max = subgroup_;
    Recorder recorder(node.frame(), target);
    recorder.trial = trial_;
    const auto done = node.frame().def->lower(recorder);
    ASSERT_TRUE(done) << name << done.error().message;
    ASSERT_FALSE(recorder.calls.empty()) << name;
    forms_ = recorder.forms;
    std::vector<HostTensor> halves(node.frame().host.size());
    std::vector<ShaderText> shaders;
    for (KernelCall& call : recorder.calls) {
      EXPECT_LE(call.bindings.size(), target.max_storage_buffers);
      for (uint64_t n : call.workgroups) EXPECT_LE(n, 65535u);
      std::map<uint32_t, int32_t> seen;
      std::vector<BindingPlan> plans;
      for (KernelBinding& b : call.bindings) {
        if (half && b.storage.id < kOutputs && b.dtype == DType::kF32) b.dtype = DType::kF16;
        plans.push_back({Access::kReadWrite, -1});
        const auto [at, fresh] = seen.emplace(b.storage.id, static_cast<int32_t>(plans.size()) - 1);
        if (!fresh) plans.back().same_as = at->second;
      }
      auto shader = instantiate(call, plans, nullptr, {}, target);
      ASSERT_TRUE(shader) << name << ": " << shader.error().message;
      shaders.push_back(*std::move(shader));
    }
    if (recorder.expressions != 0) return;
    std::vector<GpuCases::Step> steps;
    std::set<uint32_t> written;
    for (size_t i = 0; i < recorder.calls.size(); ++i) {
      const KernelCall& call = recorder.calls[i];
      GpuCases::Step step{&shaders[i], {}, call.params, call.workgroups};
      for (const KernelBinding& b : call.bindings) {
        GpuCases::Binding binding;
        binding.plan = {Access::kReadWrite, -1};
        if (b.storage.id >= kScratch) {
          // Tables and windows of other memory are for models to meet.
          if (&b != &call.bindings.back() && !written.contains(b.storage.id)) return;
          written.insert(b.storage.id);
          binding.scratch = b.storage.id;
          binding.scratch_bytes = byte_size(b.dtype, b.count);
        } else if (b.storage.id >= kOutputs) {
          binding.expected = &want[b.storage.id - kOutputs];
          binding.scratch = b.storage.id;  // another step may have written a part of it
        } else {
          const HostTensor* t = node.frame().host[b.storage.id];
          if (b.dtype == DType::kF16) {
            HostTensor& narrow = halves[b.storage.id];
            narrow.dtype = DType::kF16;
            narrow.dims = t->dims;
            narrow.bytes.assign(static_cast<size_t>(t->count()) * 2, 0);
            for (int64_t e = 0; e < t->count(); ++e) narrow.set_float(e, t->float_at(e));
            t = &narrow;
          }
          binding.tensor = t;
        }
        step.bindings.push_back(binding);
      }
      steps.push_back(std::move(step));
    }
    cases_.add_steps(name, steps, {1e-4 + (half ? 1e-2 : 0), 2e-5 + (half ? 1e-2 : 0)});
  }

  /// Likewise with every form that a tuner may choose.
  void add_forms(NodeUnderTest& node, const CpuKernel& kernel, const std::string& name,
                 bool half = false) {
    forms_.clear();
    for (trial_ = 0; *trial_ == 0 || *trial_ < forms_.size(); ++*trial_) {
      add(node, kernel, cat(name, " form ", *trial_), half);
    }
    EXPECT_GT(forms_.size(), 3u) << name;
    EXPECT_EQ(std::set<std::string>(forms_.begin(), forms_.end()).size(), forms_.size()) << name;
    trial_.reset();
  }

  std::optional<size_t> trial_;
  std::vector<std::string> forms_;
  uint32_t cores_ = 132;
  uint32_t subgroup_ = 0;
  bool byte_products_ = false;
  Random random_{41};
  GpuCases cases_{"kernels"};
};

TEST_F(KernelGpu, MatMul) {
  const Dims shapes[][2] = {{{5, 7}, {7, 9}},
                            {{64, 32}, {32, 64}},
                            {{1, 40}, {40, 12}},
                            {{3, 5}, {5, 70}},
                            {{70, 13}, {13, 1}},
                            {{2, 3, 5, 8}, {2, 1, 8, 6}},
                            {{9}, {9, 4}},
                            {{4, 9}, {9}},
                            {{130, 20}, {20, 140}},
                            {{2, 1, 6, 4}, {3, 4, 8}},
                            {{20, 40}, {40, 130}},
                            {{70, 40}, {40, 60}},
                            {{130, 19}, {19, 290}},
                            {{128, 32}, {32, 256}},
                            {{6, 65, 16}, {6, 16, 180}}};
  // One core is busy with few tiles, so they are large.
  for (cores_ = 1; cores_ <= 132; cores_ += 131) {
    int i = 0;
    for (const auto& [a, b] : shapes) {
      NodeUnderTest node("MatMul", 13);
      node.input(random_.floats(a)).input(random_.floats(b));
      add(node, cpu_matmul, cat("matmul ", a, " ", b, " cores ", cores_), ++i % 3 == 0);
    }
  }
}

TEST_F(KernelGpu, FormsOfProducts) {
  const Dims shapes[][2] = {{{128, 32}, {32, 128}},  // whole tiles
                            {{70, 150}, {150, 140}},
                            {{9, 40}, {40, 75}},
                            {{2, 260}, {260, 70}},  // matrix by vectors
                            {{3, 33, 270}, {3, 270, 40}}};
  int i = 0;
  for (const auto& [a, b] : shapes) {
    NodeUnderTest node("MatMul", 13);
    node.input(random_.floats(a)).input(random_.floats(b));
    add_forms(node, cpu_matmul, cat("matmul ", a, " ", b), ++i % 3 == 0);
  }
  NodeUnderTest node("Gemm", 13);
  node.input(random_.floats({1, 300})).input(random_.floats({50, 300})).set("transB", int64_t{1});
  add_forms(node, cpu_gemm, "gemm of rows");
}

TEST_F(KernelGpu, FormsOfPackedProducts) {
  constexpr int64_t kN = 70, kK = 512, kBlock = 32;
  for (const int64_t bits : {4, 8}) {
    for (const int64_t m : {1, 3}) {
      const Dims packed = {kN, kK / kBlock, kBlock * bits / 8};
      std::vector<int64_t> bytes(static_cast<size_t>(packed[0] * packed[1] * packed[2]));
      for (int64_t& byte : bytes) byte = random_.integer(0, 255);
      NodeUnderTest node("MatMulNBits", 1, 1, "com.microsoft");
      node.input(random_.floats({m, kK}));
      node.input(HostTensor::of_ints(DType::kU8, packed, bytes));
      node.input(random_.floats({kN * kK / kBlock}, 0.1f));
      node.set("N", kN).set("K", kK).set("bits", bits).set("block_size", kBlock);
      add_forms(node, cpu_matmul_nbits, cat("matmul of ", bits, " bits, rows ", m));
    }
  }
}

TEST_F(KernelGpu, PackedProductsByDigits) {
  byte_products_ = true;
  const struct {
    int64_t bits, n, k, block;
    int zero;  // 1: packed, 2: floats
    bool bias, half;
  } shapes[] = {{4, 70, 96, 32, 0, false, false},   {4, 45, 2336, 32, 1, true, false},
                {8, 70, 80, 16, 1, false, false},   {8, 33, 2100, 16, 0, true, false},
                {2, 40, 160, 64, 2, false, false},  {2, 130, 4224, 128, 1, false, true},
                {4, 16389, 64, 32, 2, true, false}, {8, 16384, 48, 16, 0, false, false}};
  for (const auto& s : shapes) {
    const int64_t blocks = (s.k + s.block - 1) / s.block;
    const auto bytes = [&](const Dims& dims) {
      const int64_t count =
          std::accumulate(dims.begin(), dims.end(), int64_t{1}, std::multiplies());
      std::vector<int64_t> values(static_cast<size_t>(count));
      for (int64_t& byte : values) byte = random_.integer(0, 255);
      return HostTensor::of_ints(DType::kU8, dims, values);
    };
    NodeUnderTest node("MatMulNBits", 1, 1, "com.microsoft");
    HostTensor a = random_.floats({1, s.k});
    // Groups of very unlike numbers, and one of zeros.
    for (int64_t i = 0; i < s.k; ++i) {
      const int64_t group = i / 16;
      a.set_float(i, group == 1 ? 0 : a.float_at(i) * (group % 3 == 0 ? 3.0f : 0.1f));
    }
    node.input(a).input(bytes({s.n, blocks, s.block * s.bits / 8}));
    node.input(random_.floats({s.n * blocks}, 0.1f));
    if (s.zero == 0) node.no_input();
    if (s.zero == 1) node.input(bytes({s.n * ((blocks * s.bits + 7) / 8)}));
    if (s.zero == 2) node.input(random_.floats({s.n * blocks}, 8));
    if (s.bias) node.no_input().input(random_.floats({s.n}));
    node.set("N", s.n).set("K", s.k).set("bits", s.bits).set("block_size", s.block);
    const std::string name = cat("digits of ", s.bits, " bits ", s.k, "x", s.n);
    add(node, cpu_matmul_nbits, name, s.half);
    if (s.n > 1000) continue;
    const auto is_digits = [&](size_t i) { return forms_[i].ends_with("digits"); };
    size_t tried = 0;
    trial_ = 0;
    add(node, cpu_matmul_nbits, cat(name, " form 0"), s.half);
    for (size_t i = 0; i < forms_.size(); ++i) {
      if (!is_digits(i)) continue;
      trial_ = i;
      add(node, cpu_matmul_nbits, cat(name, " form ", i), s.half);
      ++tried;
    }
    trial_.reset();
    EXPECT_EQ(tried, 12u) << name;
  }
}

TEST_F(KernelGpu, FormsOfConvolutions) {
  const struct {
    Dims x, w;
    int64_t groups;
  } shapes[] = {{{1, 8, 14, 15}, {40, 8, 3, 3}, 1},  // Winograd's too
                {{2, 32, 9, 9}, {64, 16, 3, 3}, 2},
                {{1, 3, 20, 20}, {70, 3, 5, 5}, 1}};
  for (const auto& [x, w, groups] : shapes) {
    NodeUnderTest node("Conv", 11);
    node.input(random_.floats(x)).input(random_.floats(w)).set("group", groups);
    add_forms(node, cpu_conv, cat("conv ", x, " ", w));
  }
}

TEST_F(KernelGpu, FormsOfAttention) {
  const struct {
    int64_t heads, kv_heads, queries, keys, head, head_v, causal;
  } shapes[] = {{2, 1, 70, 70, 32, 32, 1}, {2, 2, 33, 90, 20, 24, 0}, {1, 1, 5, 40, 64, 64, 0}};
  int i = 0;
  for (const auto& s : shapes) {
    NodeUnderTest node("Attention", 1, 1, "quern");
    node.input(random_.floats({1, s.heads, s.queries, s.head}));
    node.input(random_.floats({1, s.kv_heads, s.keys, s.head}));
    node.input(random_.floats({1, s.kv_heads, s.keys, s.head_v}));
    node.set("scale", 0.3f).set("is_causal", s.causal);
    add_forms(node, cpu_fused_attention, cat("attention ", s.queries, "x", s.keys), ++i == 3);
  }
  cores_ = 1;  // one slice
  NodeUnderTest node("Attention", 1, 1, "quern");
  node.input(random_.floats({40, 2, 1, 36})).input(random_.floats({40, 1, 150, 36}));
  node.input(random_.floats({40, 1, 150, 36}));
  add_forms(node, cpu_fused_attention, "attention 1x150");
}

TEST_F(KernelGpu, Gemm) {
  for (int round = 0; round < 12; ++round) {
    const int64_t m = random_.integer(1, 40), n = random_.integer(1, 40),
                  k = random_.integer(1, 40);
    const bool ta = random_.chance(2), tb = random_.chance(2);
    NodeUnderTest node("Gemm", 13);
    node.input(random_.floats(ta ? Dims{k, m} : Dims{m, k}));
    node.input(random_.floats(tb ? Dims{n, k} : Dims{k, n}));
    if (round % 3 != 0) node.input(random_.floats(round % 3 == 1 ? Dims{n} : Dims{m, 1}));
    node.set("transA", int64_t{ta}).set("transB", int64_t{tb}).set("alpha", 0.5f);
    add(node, cpu_gemm, cat("gemm ", m, " ", n, " ", k, " ", ta, tb, " ", round), round % 4 == 0);
  }
}

TEST_F(KernelGpu, Convolutions) {
  for (int round = 0; round < 24; ++round) {
    const bool transposed = round % 4 == 3;
    const int64_t groups = round % 3 == 0 ? 2 : 1;
    const int64_t in = round % 5 == 0 ? 1 : 6, out = round % 2 == 0 ? 4 : round % 9 == 4 ? 70 : 20;
    cores_ = round % 8 < 4 ? 132 : 1;
    const int64_t kernel = round % 6 == 1 ? 1 : 3;
    const int64_t wide = round % 2 == 0 ? 3 : 20;
    const bool line = round % 7 == 2;
    Dims x = {2, in * groups, line ? 9 : 7, wide + kernel};
    Dims w = transposed ? Dims{in * groups, out, kernel, kernel}
                        : Dims{out * groups, in, kernel, kernel};
    if (line) {
      x.erase(x.begin() + 2);
      w.erase(w.begin() + 2);
    }
    NodeUnderTest node(transposed ? "ConvTranspose" : "Conv", 11);
    node.input(random_.floats(x)).input(random_.floats(w));
    if (round % 2 == 1) node.input(random_.floats({transposed ? out * groups : w[0]}));
    const size_t rank = x.size() - 2;
    if (kernel > 1) {
      node.set("strides", std::vector<int64_t>(rank, 1 + round % 2));
      node.set("pads", std::vector<int64_t>(2 * rank, 1));
    }
    node.set("group", groups);
    add(node, transposed ? cpu_conv_transpose : cpu_conv, cat("conv ", round, " ", x, " ", w),
        round % 5 == 4);
  }
}

/// Rows are reduced by trees of invocations, and by subgroups of at least so many.
constexpr uint32_t kSubgroups[] = {0, 4, 32};

TEST_F(KernelGpu, Rows) {
  const Dims shapes[] = {{3, 5}, {2, 300},   {7, 9, 3}, {2, 2000}, {1, 1},
                         {3, 4}, {9, 3, 64}, {5, 772},  {3, 4100}, {1, 12300}};
  for (const uint32_t subgroup : kSubgroups) {
    subgroup_ = subgroup;
    const std::string by = subgroup > 0 ? cat(" by ", subgroup) : "";
    for (const Dims& x : shapes) {
      for (const int64_t axis : {int64_t{-1}, int64_t{1}}) {
        NodeUnderTest softmax("Softmax", 13);
        softmax.input(random_.floats(x, 9)).set("axis", axis);
        add(softmax, cpu_softmax, cat("softmax ", x, " ", axis, by));
        NodeUnderTest log("LogSoftmax", 11);
        log.input(random_.floats(x, 9)).set("axis", axis);
        add(log, cpu_log_softmax, cat("log_softmax ", x, " ", axis, by));
      }
      NodeUnderTest layer("LayerNormalization", 17, 3);
      layer.input(random_.floats(x))
          .input(random_.floats({x.back()}))
          .input(random_.floats({x.back()}));
      if (x.back() > 1) {
        add(layer, cpu_layer_normalization, cat("layer_norm ", x, by), x[0] == 7);
      }
      NodeUnderTest rms("RMSNormalization", 23);
      rms.input(random_.floats(x)).input(random_.floats({x.back()}));
      add(rms, cpu_rms_normalization, cat("rms_norm ", x, by), x[0] == 7);
    }
    NodeUnderTest instance("InstanceNormalization", 6);
    instance.input(random_.floats({2, 3, 5, 7}))
        .input(random_.floats({3}))
        .input(random_.floats({3}));
    add(instance, cpu_instance_normalization, cat("instance_norm", by));
    NodeUnderTest group("GroupNormalization", 21);
    group.input(random_.floats({2, 6, 5, 7})).input(random_.floats({6})).input(random_.floats({6}));
    group.set("num_groups", int64_t{3});
    add(group, cpu_group_normalization, cat("group_norm", by));
  }
}

TEST_F(KernelGpu, LongRowsBeginAnywhere) {
  for (const uint32_t subgroup : kSubgroups) {
    subgroup_ = subgroup;
    const std::string by = subgroup > 0 ? cat(" by ", subgroup) : "";
    for (const Dims& x : {Dims{3, 2501}, Dims{2, 4098}}) {
      NodeUnderTest softmax("Softmax", 13);
      softmax.input(random_.floats(x, 9));
      add(softmax, cpu_softmax, cat("softmax ", x, by));
      NodeUnderTest log("LogSoftmax", 13);
      log.input(random_.floats(x, 9));
      add(log, cpu_log_softmax, cat("log_softmax ", x, by), true);
      NodeUnderTest layer("LayerNormalization", 17, 3);
      layer.input(random_.floats(x))
          .input(random_.floats({x.back()}))
          .input(random_.floats({x.back()}));
      add(layer, cpu_layer_normalization, cat("layer_norm ", x, by));
      NodeUnderTest rms("RMSNormalization", 23);
      rms.input(random_.floats(x)).input(random_.floats({x.back()}));
      add(rms, cpu_rms_normalization, cat("rms_norm ", x, by));
    }
  }
}

TEST_F(KernelGpu, AttentionOfManyQueries) {
  for (int64_t round = 0; round < 8; ++round) {
    subgroup_ = round < 4 ? 0 : 32;
    const int64_t heads = 96, queries = 64 + round, keys = 37 + round, head = 8;
    NodeUnderTest node("Attention", 1, 1, "quern");
    node.input(random_.floats({1, heads, queries, head}, 2));
    node.input(random_.floats({1, heads / 2, keys, head}));
    node.input(random_.floats({1, heads / 2, keys, 12}));
    if (round % 4 == 1) node.input(random_.floats({queries, keys}));
    node.set("is_causal", round % 3).set("nan_to_zero", int64_t{1});
    if (round % 4 == 3) node.set("softcap", 2.0f);
    add(node, cpu_fused_attention, cat("attention_tiles ", round), round == 2);
  }
}

TEST_F(KernelGpu, Attention) {
  for (int round = 0; round < 8; ++round) {
    const int64_t heads = 4, kv = round % 2 == 0 ? 4 : 2;
    const int64_t queries = round % 4 == 1 ? 1 : 19, keys = 37, head = round % 3 == 0 ? 64 : 8;
    NodeUnderTest node("Attention", 1, 1, "quern");
    node.input(random_.floats({2, heads, queries, head}, 2));
    node.input(random_.floats({2, kv, keys, head})).input(random_.floats({2, kv, keys, 12}));
    if (round % 3 == 1) node.input(random_.floats({2, 1, queries, keys}));
    if (round % 3 == 2) {
      std::vector<int64_t> seen;
      for (int64_t i = 0; i < keys; ++i) seen.push_back(random_.integer(0, 2));
      node.input(HostTensor::of_ints(DType::kBool, {keys}, seen));
    }
    node.set("is_causal", int64_t{round % 3}).set("nan_to_zero", int64_t{1});
    add(node, cpu_fused_attention, cat("attention ", round), round == 6);
  }
}

TEST_F(KernelGpu, AttentionOfOneQuery) {
  // With one core one slice of the keys; what slices give is met by models.
  for (cores_ = 1; cores_ <= 132; cores_ += 131) {
    for (int round = 0; round < 12; ++round) {
      const int64_t kv = 1 + round % 3, heads = kv * (1 + round % 2), keys = 1 + 47 * round;
      const int64_t head = std::vector<int64_t>{64, 4, 80, 128}[static_cast<size_t>(round % 4)];
      const int64_t head_v = round == 5 ? 600 : round == 6 ? 12 : head;
      NodeUnderTest node("Attention", 1, 1, "quern");
      node.input(random_.floats({2, heads, 1, head}, 2));
      node.input(random_.floats({2, kv, keys, head})).input(random_.floats({2, kv, keys, head_v}));
      if (round % 3 == 1) node.input(random_.floats({2, 1, 1, keys}));
      if (round % 3 == 2) {
        std::vector<int64_t> seen;
        for (int64_t i = 0; i < keys; ++i) seen.push_back(random_.integer(0, 2));
        node.input(HostTensor::of_ints(DType::kBool, {keys}, seen));
      }
      if (round % 5 == 3) node.set("softcap", 2.0f);
      if (round >= 8) node.set("window", int64_t{130});
      node.set("is_causal", int64_t{round % 4 == 1 ? 0 : 2}).set("nan_to_zero", int64_t{1});
      add(node, cpu_fused_attention, cat("attention_vector ", cores_, " ", round), round == 10);
    }
  }
}

TEST_F(KernelGpu, GatedMatMul) {
  // The last but one: of more rows; the last: of columns that are no fours.
  const Dims shapes[] = {{1, 40, 64}, {1, 7, 8}, {1, 300, 260}, {1, 64, 4}, {3, 12, 8}, {1, 12, 6}};
  for (const int64_t cores : {1, 132}) {
    cores_ = static_cast<uint32_t>(cores);
    int round = 0;
    for (const Dims& s : shapes) {
      NodeUnderTest node("GatedMatMul", 1, 1, "quern");
      node.input(random_.floats({s[0], s[1]}));
      node.input(random_.floats({s[1], s[2]}, 0.1f)).input(random_.floats({s[1], s[2]}, 0.1f));
      const auto want = node.evaluate();
      ASSERT_TRUE(want) << want.error().message;
      add(node, *want, cat("gated_matmul ", cores, " ", round), round == 2);
      ++round;
    }
  }
}

TEST_F(KernelGpu, GatedMatMulNBits) {
  for (int round = 0; round < 12; ++round) {
    const int64_t bits = std::vector<int64_t>{4, 8, 2}[static_cast<size_t>(round % 3)];
    const int64_t block = round % 4 < 2 ? 32 : 64, k = round == 7 ? 70 : 192;
    const int64_t n = round == 5 ? 33 : round > 8 ? 2100 : 64, blocks = (k + block - 1) / block;
    const int64_t rows = round == 11 ? 2 : 1;
    NodeUnderTest node("GatedMatMulNBits", 1, 1, "quern");
    node.input(random_.floats({rows, k}));
    const auto bytes = [&](Dims dims) {
      HostTensor t = *HostTensor::zeros(DType::kU8, std::move(dims));
      for (int64_t i = 0; i < t.count(); ++i) t.set_int(i, random_.integer(0, 255));
      return t;
    };
    for (int i = 0; i < 2; ++i) {
      node.input(bytes({n, blocks, block * bits / 8}))
          .input(random_.floats({n, blocks}, 0.2f / static_cast<float>(1 << bits)));
      if (round % 2 == 0) {
        node.input(bytes({n, (blocks * bits + 7) / 8}));
      } else if (i == 0) {
        node.no_input();
      }
    }
    node.set("K", k).set("N", n).set("bits", bits).set("block_size", block);
    const auto want = node.evaluate();
    ASSERT_TRUE(want) << want.error().message;
    add(node, *want, cat("gated_matmul_nbits ", round), round == 10);
  }
}

TEST_F(KernelGpu, RotateAppend) {
  for (int round = 0; round < 12; ++round) {
    const int64_t batch = 1 + round % 2, rows = round % 3 == 0 ? 5 : 1, past = round < 4 ? 0 : 7;
    const int64_t heads = 4, kv_heads = 2, size = round % 4 == 3 ? 24 : 16, rotated = 16;
    NodeUnderTest node("RotateAppend", 1, 3, "quern");
    node.input(random_.floats({batch, rows, heads + 2 * kv_heads, size}));
    node.input(random_.floats({round == 5 ? 6 : 20, rotated}));
    // Where it goes: after the cache, before its end, and, of padded rows, at the beginning.
    std::vector<int64_t> offsets = {past};
    if (batch == 2) offsets.push_back(round % 4 == 1 ? 0 : past / 2);
    node.input(HostTensor::of_ints(DType::kI32, {batch}, offsets));
    if (past == 0 && round % 2 == 0) {
      node.no_input().no_input();
    } else {
      node.input(random_.floats({batch, kv_heads, past, size}));
      node.input(random_.floats({batch, kv_heads, past, size}));
    }
    node.input(HostTensor::of_ints(DType::kI32, {1}, std::vector<int64_t>{past + rows + 2}));
    node.set("heads", heads).set("kv_heads", kv_heads).set("interleaved", int64_t{round / 2 % 2});
    const auto want = node.evaluate();
    ASSERT_TRUE(want) << want.error().message;
    add(node, *want, cat("rotate_append ", round), round == 10);
  }
}

TEST_F(KernelGpu, RecurrentDispatchesInstantiate) {
  for (int round = 0; round < 12; ++round) {
    const int64_t gates = std::vector<int64_t>{4, 3, 1}[static_cast<size_t>(round % 3)];
    const int64_t hidden = round < 6 ? 8 : 300, directions = 1 + round % 2;
    NodeUnderTest node(gates == 4 ? "LSTM" : gates == 3 ? "GRU" : "RNN", 14, gates == 4 ? 3 : 2);
    node.input(random_.floats({2, 3, 5}));
    node.input(random_.floats({directions, gates * hidden, 5}));
    node.input(random_.floats({directions, gates * hidden, hidden}));
    if (round % 4 > 0) {
      node.input(random_.floats({directions, 2 * gates * hidden}));
    } else {
      node.no_input();
    }
    if (round % 4 > 1) {
      node.input(HostTensor::of_ints(DType::kI32, {3}, {1, 2, 2}));
      node.input(random_.floats({directions, 3, hidden}));
      if (gates == 4) {
        node.input(random_.floats({directions, 3, hidden}));
        node.input(random_.floats({directions, 3 * hidden}));
      }
    }
    if (directions == 2) node.set("direction", std::string("bidirectional"));
    node.set("linear_before_reset", int64_t{round > 5});
    add(node, gates == 4 ? cpu_lstm : gates == 3 ? cpu_gru : cpu_rnn, cat("recurrent ", round));
  }
}

}  // namespace
}  // namespace quern
