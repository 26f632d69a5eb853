#include "shader/wgsl_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "generated/wgsl_files.h"
#include "shader/gpu_cases_testing.h"

namespace quern {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(ParseWgsl, SplitsDeclarations) {
  const auto decls = parse_wgsl(R"(enable f16;
// about TM
const TM = 8u; //@config
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>; // a comment
alias T = f32;
//@load a
fn load_a(i: u32) -> T { /* x */ return a[i].x; }
struct P { m: u32, n: array<u32, 4>, }
@compute @workgroup_size(8, 8)
fn main(@builtin(workgroup_id) wid: vec3<u32>) { if (true) { } }
var<private> p = 0xffu;
const_assert true;
)");
  ASSERT_TRUE(decls) << decls.error().message;
  std::vector<std::string> names;
  for (const WgslDecl& d : *decls) names.push_back(cat(d.kind, " ", d.name));
  EXPECT_THAT(names, ElementsAre("enable ", "const TM", "var a", "alias T", "fn load_a", "struct P",
                                 "fn main", "var p", "const_assert "));
  EXPECT_THAT((*decls)[1].directives, ElementsAre("config"));
  EXPECT_NE((*decls)[4].directive("load"), nullptr);
  EXPECT_EQ((*decls)[4].directive("loa"), nullptr);
  EXPECT_EQ((*decls)[4].text, "fn load_a(i: u32) -> T {  return a[i].x; }");
}

TEST(ParseWgsl, RefusesUnbalanced) {
  EXPECT_FALSE(parse_wgsl("fn f() { "));
  EXPECT_FALSE(parse_wgsl("fn f() }"));
}

TEST(LinkSnippets, AddsWhatIsReferredTo) {
  std::string program = "fn main() { let a = tanh_f32(1f); let add_64 = a.min_f32; }\n";
  ASSERT_TRUE(link_snippets(program));
  EXPECT_THAT(program, HasSubstr("fn tanh_f32(x: f32)"));
  EXPECT_THAT(program, HasSubstr("fn is_nan("));
  EXPECT_THAT(program, Not(HasSubstr("fn min_f32(")));
  EXPECT_THAT(program, Not(HasSubstr("fn sinh_f32(")));
}

TEST(LinkSnippets, KeepsTheProgramsOwn) {
  std::string program = "fn is_nan(x: f32) -> bool { return false; }\nfn f() { sign_f32(1f); }\n";
  ASSERT_TRUE(link_snippets(program));
  EXPECT_EQ(program.find("fn is_nan"), program.rfind("fn is_nan"));
}

// Snippets of the library repeat small functions, so that each is complete alone: the copies must
// be equal. Each also compiles alone.
TEST(Snippets, AreCompleteAndAgree) {
  GpuCases cases("snippet");
  std::map<std::string, std::string> texts;
  for (const std::string_view name : {"floats", "math", "pow", "trig", "arc", "ints", "i64",
                                      "i64_math", "i64_floats", "half", "float8"}) {
    const auto text = wgsl_file(name);
    ASSERT_TRUE(text) << name;
    const auto decls = parse_wgsl(*text);
    ASSERT_TRUE(decls) << name;
    for (const WgslDecl& decl : *decls) {
      const auto [it, is_new] = texts.emplace(decl.name, decl.text);
      EXPECT_EQ(it->second, decl.text) << "in " << name;
    }
    ShaderText alone;
    alone.wgsl = cat(*text, "@compute @workgroup_size(1) fn main() {}\n");
    cases.add_shader(name, alone, {}, {}, {0, 1, 1}, {});
  }
}

}  // namespace
}  // namespace quern
