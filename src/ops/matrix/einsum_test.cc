#include "ops/common/einsum.h"

#include "ops/expand_testing.h"

namespace quern::optest {
namespace {

TEST(EinsumEquation, Reads) {
  const auto equation = parse_einsum(" b...i, ij -> b...j ", {4, 2});
  ASSERT_TRUE(equation) << equation.error().message;
  EXPECT_EQ(equation->operands[0], (std::vector<int64_t>{'b', 999, 1000, 'i'}));
  EXPECT_EQ(equation->output, (std::vector<int64_t>{'b', 999, 1000, 'j'}));
  const auto implicit = parse_einsum("ba,Bc", {2, 2});
  ASSERT_TRUE(implicit) << implicit.error().message;
  EXPECT_EQ(implicit->output, (std::vector<int64_t>{'B', 'a', 'b', 'c'}));
  const auto again = decode_einsum(encode_einsum(*equation));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->operands, equation->operands);
  EXPECT_EQ(again->output, equation->output);
}

TEST(EinsumEquation, Refuses) {
  const std::vector<std::pair<const char*, std::vector<size_t>>> wrong = {
      {"ij", {2, 2}}, {"ij,jk", {2}}, {"ij->k", {2}},    {"ij->ii", {2}}, {"i1", {2}},
      {"ij", {3}},    {"...ij", {1}}, {"i...j...", {3}}, {"ij,", {2}},    {"ij->i.j", {2}}};
  for (const auto& [text, ranks] : wrong) {
    EXPECT_FALSE(parse_einsum(text, ranks).has_value()) << text;
  }
}

std::string einsum(std::string equation, const std::vector<std::optional<HostTensor>>& inputs) {
  return expanded_text(
      {.op = "Einsum", .version = 12, .attributes = {{"equation", std::move(equation)}}}, inputs);
}

TEST(Einsum, Products) {
  const HostTensor a = f32({2, 2}, {1, 2, 3, 4});
  const HostTensor b = f32({2, 2}, {5, 6, 7, 8});
  EXPECT_EQ(einsum("ij,jk->ik", {a, b}), "f32[2, 2] {19, 22, 43, 50}");
  EXPECT_EQ(einsum("ij,jk", {a, b}), "f32[2, 2] {19, 22, 43, 50}");
  EXPECT_EQ(einsum("ij,kj->ki", {a, b}), "f32[2, 2] {17, 39, 23, 53}");
  EXPECT_EQ(einsum("ij,ij->", {a, b}), "f32[] {70}");
  EXPECT_EQ(einsum("ij,jk,kl->il", {a, b, a}), "f32[2, 2] {85, 126, 193, 286}");
  EXPECT_EQ(einsum("i,j->ij", {f32({1, 2}), f32({3, 4})}), "f32[2, 2] {3, 4, 6, 8}");
}

TEST(Einsum, DiagonalsAndEllipses) {
  const HostTensor a = f32({2, 2}, {1, 2, 3, 4});
  EXPECT_EQ(einsum("ii->i", {a}), "f32[2] {1, 4}");
  EXPECT_EQ(einsum("ii", {a}), "f32[] {5}");
  EXPECT_EQ(einsum("ij->ji", {a}), "f32[2, 2] {1, 3, 2, 4}");
  EXPECT_EQ(einsum("...j->...", {a}), "f32[2] {3, 7}");
  EXPECT_EQ(einsum("ij->ij", {a}), "f32[2, 2] {1, 2, 3, 4}");
  EXPECT_EQ(einsum("...i,...ij->...j", {f32({1, 2}, {1, 1}), f32({2, 2, 1}, {1, 2, 3, 4})}),
            "f32[2, 1] {3, 7}");
}

}  // namespace
}  // namespace quern::optest
