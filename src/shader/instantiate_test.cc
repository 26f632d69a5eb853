#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "generated/wgsl_files.h"
#include "ir/expr_random_testing.h"
#include "shader/gpu_cases_testing.h"
#include "shader/kernel_source.h"

namespace quern {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// y = a * SCALE (+ b), the latter repeated.
constexpr std::string_view kScale = R"(// a comment
override WG = 64u;
const SCALE = 3u; //@config
alias Acc = f32; //@config
@group(0) @binding(7) var<storage, read> a: array<f32>;
//#if BIAS
@group(0) @binding(8) var<storage, read> b: array<f32>;
fn load_b(i: u32) -> Acc { return b[i]; } //@load b
//#endif
@group(0) @binding(9) var<storage, read_write> y: array<f32>;
struct Params { n: u32, m: u32 }
@group(0) @binding(3) var<uniform> params: Params;
fn load_a(i: u32) -> Acc { return a[i]; } //@load a
fn store_y(i: u32, v: Acc) {  //@store y
  y[i] = v;
}
@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= params.n) { return; }
  var v = load_a(id.x) * Acc(SCALE);
  //#if BIAS
  v += load_b(id.x % params.m);
  //#else
  v += Acc(0);
  //#endif
  store_y(id.x, v);
}
)";

// y = a, four at a time.
constexpr std::string_view kCopy4 = R"(
@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
struct Params { quads: u32 }
@group(0) @binding(2) var<uniform> params: Params;
fn load4_a(i: u32) -> vec4f { return vec4f(a[4u * i], a[4u * i + 1u], a[4u * i + 2u], a[4u * i + 3u]); } //@load4 a
fn store4_y(i: u32, v: vec4f) { y[4u * i] = v.x; y[4u * i + 1u] = v.y; y[4u * i + 2u] = v.z; y[4u * i + 3u] = v.w; } //@store4 y
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x < params.quads) { store4_y(id.x, load4_a(id.x)); }
}
)";

// y = a, eight neighbours one by one an invocation.
constexpr std::string_view kCopyWords = R"(
//@words
@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
struct Params { n: u32 }
@group(0) @binding(2) var<uniform> params: Params;
fn load_a(i: u32) -> f32 { return a[i]; } //@load a
fn store_y(i: u32, v: f32) { y[i] = v; } //@store y
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  for (var k = 0u; k < 8u; k++) {
    let i = id.x * 8u + k;
    if (i < params.n) { store_y(i, load_a(i)); }
  }
}
)";

Result<ShaderText> make(std::string_view text, const KernelCall& call,
                        std::span<const BindingPlan> plans, const ExprProgram* epilogue = nullptr,
                        std::span<const BindingPlan> epilogue_plans = {}, Target target = {}) {
  QUERN_ASSIGN(KernelSource source, kernel_source_of("test", text, call.config));
  return instantiate_source(call, std::move(source), plans, epilogue, epilogue_plans, target);
}

constexpr BindingPlan kRead = {Access::kRead, -1};
constexpr BindingPlan kWrite = {Access::kReadWrite, -1};

KernelCall scale_call(DType a, DType b, DType y) {
  return {.kernel = "test",
          .config = {{"BIAS", "1"}, {"SCALE", "2"}, {"WG", "32"}},
          .bindings = {{"a", {}, a, 30}, {"b", {}, b, 5}, {"y", {}, y, 30}},
          .params = {30, 5}};
}

TEST(Instantiate, KeepsWhatFits) {
  const KernelCall call = scale_call(DType::kF32, DType::kF32, DType::kF32);
  const auto shader = make(kScale, call, std::vector{kRead, kRead, kWrite});
  ASSERT_TRUE(shader) << shader.error().message;
  EXPECT_THAT(shader->wgsl, HasSubstr("@group(0) @binding(0) var<storage, read> a: array<f32>;"));
  EXPECT_THAT(shader->wgsl, HasSubstr("@group(0) @binding(2) var<storage, read_write> y"));
  EXPECT_THAT(shader->wgsl, HasSubstr("@group(0) @binding(3) var<uniform> params: Params;"));
  EXPECT_THAT(shader->wgsl, HasSubstr("const SCALE = 2u;"));
  EXPECT_THAT(shader->wgsl, HasSubstr("fn load_a(i: u32) -> Acc { return a[i]; }"));
  EXPECT_THAT(shader->wgsl, Not(HasSubstr("//")));
  EXPECT_THAT(shader->wgsl, Not(HasSubstr("Acc(0)")));
  EXPECT_EQ(shader->bindings,
            (std::vector{Access::kRead, Access::kRead, Access::kReadWrite, Access::kUniform}));
  EXPECT_EQ(shader->overrides, (std::vector<std::pair<std::string, double>>{{"WG", 32}}));
  EXPECT_EQ(shader->param_words, 2u);
}

TEST(Instantiate, DropsOptionalParts) {
  KernelCall call = scale_call(DType::kF32, DType::kF32, DType::kF32);
  call.config[0].value = "0";
  call.bindings.erase(call.bindings.begin() + 1);
  const auto shader = make(kScale, call, std::vector{kRead, kWrite});
  ASSERT_TRUE(shader) << shader.error().message;
  EXPECT_THAT(shader->wgsl, Not(HasSubstr("load_b")));
  EXPECT_THAT(shader->wgsl, HasSubstr("Acc(0)"));
  EXPECT_THAT(shader->wgsl, HasSubstr("@group(0) @binding(1) var<storage, read_write> y"));
}

TEST(Instantiate, RefusesWhatDoesNotFit) {
  const std::vector plans = {kRead, kRead, kWrite};
  const auto error = [&](const KernelCall& call, Target target = {}) {
    const auto shader = make(kScale, call, plans, nullptr, {}, target);
    return shader ? std::string("none") : shader.error().message;
  };
  KernelCall call = scale_call(DType::kF32, DType::kF32, DType::kF16);
  EXPECT_THAT(error(call), HasSubstr("write f32 to a scratch tensor and cast it"));
  call = scale_call(DType::kF32, DType::kF32, DType::kF32);
  EXPECT_THAT(error(call, {.max_storage_buffers = 2}), HasSubstr("binds 3 storage buffers"));
  call.params.push_back(1);
  EXPECT_THAT(error(call), HasSubstr("Params has 2 fields, 3 given"));
  call = scale_call(DType::kF32, DType::kF32, DType::kF32);
  call.config.push_back({"TILE", "4"});
  EXPECT_THAT(error(call), HasSubstr("nothing that config TILE sets"));
  call = scale_call(DType::kF32, DType::kF32, DType::kF32);
  call.bindings[1].name = "c";
  EXPECT_THAT(error(call), HasSubstr("binds no c"));
  call.bindings[1] = {"b", {}, DType::kC64, 5};
  EXPECT_THAT(error(call), HasSubstr("can't hold element type c64"));
}

// The tensors of kScale, and what it gives, in f32.
struct ScaleData {
  HostTensor a, b;
  HostTensor result = *HostTensor::zeros(DType::kF32, {30});

  ScaleData(DType a_type, DType b_type, uint32_t seed) {
    std::mt19937 random(seed);
    a = random_tensor(a_type, {30}, random);
    b = random_tensor(b_type, {5}, random);
    update();
  }
  void update() {
    for (int64_t i = 0; i < 30; ++i) {
      result.set_float(i, 2 * a.float_at(i) + b.float_at(i % b.count()));
    }
  }
};

// Floats become unsigned integers by saturation, then wrap.
HostTensor converted(const HostTensor& t, DType dtype) {
  HostTensor out = *HostTensor::zeros(dtype, t.dims);
  for (int64_t i = 0; i < t.count(); ++i) {
    if (is_float(dtype))
      out.set_float(i, t.float_at(i));
    else if (is_unsigned_int(dtype))
      out.set_int(i, std::max<int64_t>(t.int_at(i), 0));
    else
      out.set_int(i, dtype == DType::kBool ? t.float_at(i) != 0 : t.int_at(i));
  }
  return out;
}

TEST(GpuKernels, ElementTypes) {
  GpuCases cases("kernel");
  constexpr DType types[] = {DType::kF32, DType::kF16, DType::kBF16, DType::kF64,  DType::kI64,
                             DType::kI32, DType::kU8,  DType::kI4,   DType::kBool, DType::kF8E5M2};
  constexpr DType outputs[] = {DType::kF32, DType::kI32, DType::kI64, DType::kF64};
  for (const DType a : types) {
    for (const DType b : {DType::kF32, DType::kF16, DType::kI64}) {
      for (const DType y : outputs) {
        ScaleData data(a, b, 3);
        const HostTensor want = converted(data.result, y);
        const KernelCall call = scale_call(a, b, y);
        const auto shader = make(kScale, call, std::vector{kRead, kWrite, kWrite});
        ASSERT_TRUE(shader) << shader.error().message;
        cases.add_shader(
            cat("scale_", name_of(a), "_", name_of(b), "_", name_of(y)), *shader,
            {{&data.a, nullptr, kRead}, {&data.b, nullptr, kWrite}, {nullptr, &want, kWrite}},
            call.params, {1, 1, 1}, {});
      }
    }
  }
  for (const DType a : types) {
    for (const DType y : types) {
      std::mt19937 random(5);
      const HostTensor in = random_tensor(a, {48}, random);
      const HostTensor want = converted(in, y);
      KernelCall call = {
          .kernel = "test", .bindings = {{"a", {}, a, 48}, {"y", {}, y, 48}}, .params = {12}};
      const std::vector<GpuCases::Binding> bindings = {{&in, nullptr, kRead},
                                                       {nullptr, &want, kWrite}};
      const std::string name = cat(name_of(a), "_", name_of(y));
      if (y != DType::kI4) {
        const auto shader = make(kCopy4, call, std::vector{kRead, kWrite});
        ASSERT_TRUE(shader) << shader.error().message;
        cases.add_shader(cat("copy4_", name), *shader, bindings, call.params, {1, 1, 1}, {});
      }
      call.params = {48};
      const auto shader = make(kCopyWords, call, std::vector{kRead, kWrite});
      ASSERT_TRUE(shader) << shader.error().message;
      cases.add_shader(cat("words_", name), *shader, bindings, call.params, {1, 1, 1}, {});
    }
  }
}

TEST(GpuKernels, MergedBindings) {
  GpuCases cases("kernel_merged");
  for (const auto& [a, b] : {std::pair{DType::kF32, DType::kF32},
                             {DType::kF16, DType::kF16},
                             {DType::kF32, DType::kI32},
                             {DType::kU32, DType::kU8}}) {
    ScaleData data(a, b, 9);
    // b is the first elements of a's range, in its own type.
    std::copy_n(data.a.bytes.begin(), data.b.bytes.size(), data.b.bytes.begin());
    data.update();
    const KernelCall call = scale_call(a, b, DType::kF32);
    const std::vector<BindingPlan> plans = {kWrite, {Access::kReadWrite, 0}, kWrite};
    const auto shader = make(kScale, call, plans);
    ASSERT_TRUE(shader) << shader.error().message;
    EXPECT_EQ(shader->bindings.size(), 3u);
    cases.add_shader(cat(name_of(a), "_", name_of(b)), *shader,
                     {{&data.a, nullptr, plans[0]},
                      {&data.b, nullptr, plans[1]},
                      {nullptr, &data.result, plans[2]}},
                     call.params, {1, 1, 1}, {1e-6, 1e-6});
  }
}

// relu(anchor + residual) * scale[channel] over [2, 3, last], with a parameter, and a cast.
struct Epilogue {
  ExprProgram program;
  std::vector<HostTensor> inputs;  // the anchor's is empty

  Epilogue(DType residual, DType output, bool dynamic, bool flat, int64_t last = 5) {
    program.domain = {{2, -1}, {3, -1}, {last, -1}};
    if (dynamic) {
      program.domain[2].param = 0;
      program.params.push_back(last);
    }
    ExprBuilder b(program);
    std::mt19937 random(11);
    program.inputs = {{DType::kF32, program.domain, true},
                      {residual, program.domain, false},
                      {DType::kF16, {{3, -1}, {1, -1}}, false}};
    inputs = {HostTensor{}, random_tensor(residual, {2, 3, last}, random),
              random_tensor(DType::kF16, {3, 1}, random)};
    const Expr at[] = {b.index(0), b.index(1), b.index(2)};
    const Expr channel[] = {b.index(1), b.i32(0)};
    Expr v = b.add(b.load(0, at), b.cast(b.load(1, at), Scalar::kF32));
    v = b.max(v, b.number(v, 0));
    if (!flat) v = b.mul(v, b.load(2, channel));
    v = b.add(v, b.param(Scalar::kF32, word_of(0.25f)));
    program.outputs = {{b.cast(v, compute_type(output)), output}};
  }
};

TEST(GpuKernels, Epilogues) {
  GpuCases cases("epilogue");
  for (const DType residual : {DType::kF32, DType::kF16, DType::kI64}) {
    for (const DType output : {DType::kF32, DType::kI32, DType::kI64}) {
      for (const int form : {0, 1, 2, 3}) {
        Epilogue e(residual, output, (form & 1) != 0, (form & 2) != 0);
        ScaleData data(DType::kF16, DType::kF32, 4);
        e.inputs[0] = data.result;
        e.inputs[0].dims = {2, 3, 5};
        std::vector<const HostTensor*> pointers;
        for (const HostTensor& t : e.inputs) pointers.push_back(&t);
        const auto want = evaluate(e.program, pointers);
        ASSERT_TRUE(want) << want.error().message;
        KernelCall call = scale_call(DType::kF16, DType::kF32, output);
        call.epilogue_at = "y";
        const std::vector<BindingPlan> extra = {kRead, kRead, kRead};
        const auto shader =
            make(kScale, call, std::vector{kRead, kRead, kWrite}, &e.program, extra);
        ASSERT_TRUE(shader) << shader.error().message;
        std::vector<uint32_t> params = call.params;
        const auto more = param_words(e.program);
        params.insert(params.end(), more.begin(), more.end());
        cases.add_shader(cat(name_of(residual), "_", name_of(output), "_", form), *shader,
                         {{&data.a, nullptr, kRead},
                          {&data.b, nullptr, kRead},
                          {nullptr, &(*want)[0], kWrite},
                          {&e.inputs[1], nullptr, kRead},
                          {&e.inputs[2], nullptr, kRead}},
                         params, {1, 1, 1}, {1e-6, 0});
      }
    }
  }
  {  // the residual lies where the result goes, and the kernel's a is the channels' scale
    Epilogue e(DType::kF32, DType::kF32, false, false);
    ScaleData data(DType::kF16, DType::kF32, 4);
    std::copy_n(data.a.bytes.begin(), e.inputs[2].bytes.size(), e.inputs[2].bytes.begin());
    e.inputs[0] = data.result;
    e.inputs[0].dims = {2, 3, 5};
    std::vector<const HostTensor*> pointers;
    for (const HostTensor& t : e.inputs) pointers.push_back(&t);
    const auto want = evaluate(e.program, pointers);
    ASSERT_TRUE(want) << want.error().message;
    KernelCall call = scale_call(DType::kF16, DType::kF32, DType::kF32);
    call.epilogue_at = "y";
    const std::vector<BindingPlan> extra = {kRead, {Access::kReadWrite, 2}, {Access::kRead, 0}};
    const auto shader = make(kScale, call, std::vector{kRead, kRead, kWrite}, &e.program, extra);
    ASSERT_TRUE(shader) << shader.error().message;
    EXPECT_EQ(shader->bindings.size(), 4u);
    std::vector<uint32_t> params = call.params;
    for (const uint32_t w : param_words(e.program)) params.push_back(w);
    cases.add_shader("in_place", *shader,
                     {{&data.a, nullptr, kRead},
                      {&data.b, nullptr, kRead},
                      {&e.inputs[1], &(*want)[0], kWrite},
                      {nullptr, nullptr, extra[1]},
                      {nullptr, nullptr, extra[2]}},
                     params, {1, 1, 1}, {1e-6, 0});
  }
  {  // four at a time
    Epilogue e(DType::kF32, DType::kF16, true, false, 4);
    std::mt19937 random(1);
    const HostTensor a = random_tensor(DType::kF16, {2, 3, 4}, random);
    e.inputs[0] = converted(a, DType::kF32);
    std::vector<const HostTensor*> pointers;
    for (const HostTensor& t : e.inputs) pointers.push_back(&t);
    const auto want = evaluate(e.program, pointers);
    ASSERT_TRUE(want) << want.error().message;
    KernelCall call = {.kernel = "test",
                       .bindings = {{"a", {}, DType::kF16, 24}, {"y", {}, DType::kF16, 24}},
                       .params = {6},
                       .epilogue_at = "y"};
    const std::vector<BindingPlan> extra = {kRead, kRead, kRead};
    const auto shader = make(kCopy4, call, std::vector{kRead, kWrite}, &e.program, extra);
    ASSERT_TRUE(shader) << shader.error().message;
    std::vector<uint32_t> params = call.params;
    for (const uint32_t w : param_words(e.program)) params.push_back(w);
    cases.add_shader("copy4", *shader,
                     {{&a, nullptr, kRead},
                      {nullptr, &(*want)[0], kWrite},
                      {&e.inputs[1], nullptr, kRead},
                      {&e.inputs[2], nullptr, kRead}},
                     params, {1, 1, 1}, {1e-6, 0});
  }
}

// Every kernel of the repository compiles, with its optional parts and without, for f32 tensors,
// and f16 inputs. (No workgroups: they are not run.)
TEST(GpuKernels, AllFilesCompile) {
  GpuCases cases("file");
  for (const WgslFile& file : wgsl_files()) {
    if (file.text.find("fn main(") == std::string_view::npos) continue;
    std::set<std::string> flags;
    for (size_t at = 0; (at = file.text.find("//#if ", at)) != std::string_view::npos;) {
      at += 6;
      if (file.text[at] == '!') ++at;
      flags.emplace(file.text.substr(at, file.text.find('\n', at) - at));
    }
    for (const bool optional : {true, false}) {
      if (!optional && flags.empty()) continue;
      for (const DType input : {DType::kF32, DType::kF16}) {
        KernelCall call{.kernel = file.name};
        for (const std::string& flag : flags) call.config.push_back({flag, optional ? "1" : "0"});
        // Its sums are of 64 bits: word pairs, of tensors of that type.
        const bool wide = optional && flags.contains("WIDE");
        if (wide) call.config.push_back({"Acc", "vec2<u32>"});
        const auto source = kernel_source(file.name, call.config);
        ASSERT_TRUE(source) << source.error().message;
        std::vector<BindingPlan> plans;
        for (const WgslDecl& decl : source->decls) {
          if (decl.kind == "struct" && decl.name == "Params") {
            call.params.resize(
                static_cast<size_t>(std::count(decl.text.begin(), decl.text.end(), ':')));
          }
          if (decl.kind != "var" || decl.text.find("<storage") == std::string::npos) continue;
          const bool output = decl.text.find("read_write") != std::string::npos;
          const bool words = decl.text.find("array<f32>") == std::string::npos;
          call.bindings.push_back({decl.name,
                                   {},
                                   wide     ? DType::kI64
                                   : words  ? DType::kU32
                                   : output ? DType::kF32
                                            : input,
                                   64});
          plans.push_back(output ? kWrite : kRead);
        }
        const auto shader = instantiate(call, plans, nullptr, {}, {.max_storage_buffers = 16});
        ASSERT_TRUE(shader) << file.name << ": " << shader.error().message;
        if (plans.size() > 10) continue;  // more than SwiftShader has
        std::vector<GpuCases::Binding> bindings;
        for (const BindingPlan& plan : plans) bindings.push_back({nullptr, nullptr, plan});
        cases.add_shader(cat(file.name, "_", name_of(input), optional ? "" : "_plain"), *shader,
                         bindings, call.params, {0, 1, 1}, {});
      }
    }
  }
}

}  // namespace
}  // namespace quern
