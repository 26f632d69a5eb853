// Prints docs/operators.md: the table of operators, from the registry.

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "base/text.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr TypeSet kFloat8 =
    types_of(DType::kF8E4M3FN, DType::kF8E4M3FNUZ, DType::kF8E5M2, DType::kF8E5M2FNUZ);
constexpr TypeSet kTiny =
    types_of(DType::kI2, DType::kU2, DType::kI4, DType::kU4, DType::kF4E2M1, DType::kF8E8M0);
constexpr TypeSet kComplex = types_of(DType::kC64, DType::kC128);

/// The types that a set has, kinds with all their members by one word.
std::string types_text(TypeSet types) {
  if ((types & kAllTypes) == kAllTypes) return "all";
  std::vector<std::string> parts;
  const auto take = [&](TypeSet set, std::string_view word) {
    if ((types & set) != set) return;
    parts.emplace_back(word);
    types &= ~set;
  };
  take(kFloats, "float");
  take(kInts, "integer");
  take(kFloat8, "float8");
  take(kTiny, "2 to 4 bits");
  take(kComplex, "complex");
  for (int i = 1; i < 32; ++i) {
    const auto type = static_cast<DType>(i);
    if ((types >> i & 1) == 0 || name_of(type).empty()) continue;
    parts.emplace_back(name_of(type));
  }
  return join(parts, ", ");
}

/// How it comes to run.
std::string how(const OpDef& def) {
  if (def.is_control) return "control flow of the planner";
  if (def.is_sequence) return "references, in the planner";
  if (def.is_host) return def.domain == "quern" ? "table made on the host from shapes" : "host";
  std::vector<std::string> parts;
  if (def.is_view) parts.emplace_back("view");
  if (def.expand != nullptr) parts.emplace_back("expansion");
  if (def.lower != nullptr) parts.emplace_back("kernel");
  if (def.expr != nullptr && !def.is_view) parts.emplace_back("expression");
  if (def.name == "Fused" && parts.empty()) parts.emplace_back("what it is made of");
  if (def.name == "Constant") return "folded";
  if (parts.empty() && def.eval != nullptr) parts.emplace_back("shape arithmetic");
  return join(parts, ", ");
}

std::string_view device(const OpDef& def) {
  if (def.is_host && def.domain != "quern") return "host";
  return "GPU, CPU";
}

void print_domain(std::string_view domain, std::string_view title) {
  std::vector<const OpDef*> defs;
  for (const OpDef* def : all_ops()) {
    if (def->domain == domain) defs.push_back(def);
  }
  std::ranges::sort(defs, [](const OpDef* a, const OpDef* b) {
    return a->name != b->name ? a->name < b->name : a->since < b->since;
  });
  if (defs.empty()) return;
  std::printf(
      "\n## %s\n\n| operator | versions | types of the first input | runs on | as |\n"
      "|---|---|---|---|---|\n",
      std::string(title).c_str());
  for (const OpDef* def : defs) {
    std::string versions = cat(std::max(def->since, 1));
    versions += def->until == INT_MAX ? cat(" on") : cat(" to ", def->until);
    std::printf("| %s | %s | %s | %s | %s |\n", std::string(def->name).c_str(), versions.c_str(),
                types_text(def->types).c_str(), std::string(device(*def)).c_str(),
                how(*def).c_str());
  }
}

constexpr std::string_view kHead = R"(# Operators

Made by `./dev golden` from the registry (tools/cli/quern_operators.cc); a test compares.

Versions are those of the operator set that the definition knows; older forms map onto it. An
*expression* is one formula for both devices, fused with its neighbours. A *kernel* is written by
hand for the GPU and the CPU. An *expansion* becomes simpler operators. *float* is f16, bf16, f32 and
f64, *integer* 8 to 64 bits with and without sign.

Element types that WebGPU lacks, and what stands for them there:

| type | on the GPU | accuracy |
|---|---|---|
| i64, u64 | pairs of 32-bit words | exact |
| f64 | computed as f32 | that of f32 |
| f16, bf16 | stored as such, computed as f32, rounded to nearest even | one rounding a node |
| float8, float4 | stored as such, computed as f32, rounded or saturated as the node says | one rounding |
| integers of 2 to 16 bits, bool | packed in 32-bit words, computed with 32 bits | exact |
| strings, sequences, optionals | on the host, or as references | exact |

sin, cos, exp, log, pow, tanh and erf of f32 have their own range reduction and guards; they stay
within 2 units in the last place of f32 where the device's arithmetic is IEEE's.
)";

}  // namespace
}  // namespace quern

int main() {
  using namespace quern;  // NOLINT
  std::printf("%s", std::string(kHead).c_str());
  print_domain("", "ONNX");
  print_domain("ai.onnx.ml", "ai.onnx.ml");
  print_domain("ai.onnx.preview", "ai.onnx.preview");
  print_domain("ai.onnx.preview.training", "ai.onnx.preview.training");
  print_domain("com.microsoft", "com.microsoft");
  print_domain("quern", "Quern's own, made by passes and expansions");
  return 0;
}
