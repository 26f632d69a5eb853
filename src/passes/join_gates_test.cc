// Gated products, from text to text.

#include <gtest/gtest.h>

#include "ir/print.h"
#include "passes/passes.h"

namespace quern {
namespace {

/// The operators after the pass, what is dead removed; `graph`: after its inputs.
std::string joined(std::string_view text, std::string_view dtype = "f16") {
  auto graph = parse_graph(cat("graph main(%x: ", dtype, "[b, n, 64], %z: ", dtype,
                               "[b, n, 64]) {\n", "%g_w = weight 0 ", dtype,
                               "[64, 32]\n%u_w = weight 1 ", dtype, "[64, 32]\n", text, "}"));
  EXPECT_TRUE(graph) << graph.error().message;
  if (!graph) return "";
  const auto inferred = infer_shapes(**graph);
  EXPECT_TRUE(inferred) << inferred.error().message;
  PassReport report;
  EXPECT_TRUE(join_gates(**graph, report));
  EXPECT_TRUE(remove_dead_code(**graph, report));
  const auto again = infer_shapes(**graph);
  EXPECT_TRUE(again) << again.error().message;
  std::string out;
  for (const auto& node : (*graph)->nodes()) {
    out += cat(out.empty() ? "" : " ", node->op, "(", node->inputs.size(), ")");
  }
  return out;
}

constexpr std::string_view kProducts = "%g = MatMul@13(%x, %g_w)\n%u = MatMul@13(%x, %u_w)\n";
constexpr std::string_view kApart = "MatMul(2) MatMul(2) Swish(1) Mul(2)";

TEST(JoinGates, InEitherOrder) {
  for (const std::string_view product : {"%s, %u", "%u, %s"}) {
    EXPECT_EQ(joined(cat(kProducts, "%s = Swish@24(%g)\n%y = Mul@14(", product, ")\nreturn %y\n")),
              "GatedMatMul(3)");
  }
}

TEST(JoinGates, OfBits) {
  const auto product = [](std::string_view name, std::string_view zeros) {
    return cat("%", name, "_b = weight 2 u8[32, 4, 8]\n%", name, "_s = weight 3 f16[32, 4]\n%",
               name, "_z = weight 4 u8[32, 2]\n%", name, " = com.microsoft.MatMulNBits@1(%x, %",
               name, "_b, %", name, "_s", zeros, ") {K = 64, N = 32, bits = 4, block_size = 16}\n");
  };
  constexpr std::string_view kRest = "%s = Swish@24(%g)\n%y = Mul@14(%s, %u)\nreturn %y\n";
  EXPECT_EQ(joined(cat(product("g", ", %g_z"), product("u", ", %u_z"), kRest)),
            "GatedMatMulNBits(7)");
  EXPECT_EQ(joined(cat(product("g", ""), product("u", ""), kRest)), "GatedMatMulNBits(6)");
  EXPECT_EQ(joined(cat(product("g", ", %g_z"), product("u", ""), kRest)),
            "MatMulNBits(4) MatMulNBits(3) Swish(1) Mul(2)");
}

TEST(JoinGates, OthersStay) {
  const auto rest = [](std::string_view swish, std::string_view outputs = "%y") {
    return cat("%s = ", swish, "\n%y = Mul@14(%s, %u)\nreturn ", outputs, "\n");
  };
  EXPECT_EQ(joined(cat(kProducts, rest("Swish@24(%g) {alpha = 1.702}"))), kApart);
  EXPECT_EQ(joined(cat(kProducts, rest("Swish@24(%g)", "%y, %u"))), kApart);
  EXPECT_EQ(joined(cat(kProducts, rest("Swish@24(%g)")), "f64"), kApart);
  EXPECT_EQ(
      joined(cat("%g = MatMul@13(%x, %g_w)\n%u = MatMul@13(%z, %u_w)\n", rest("Swish@24(%g)"))),
      kApart);
}

}  // namespace
}  // namespace quern
