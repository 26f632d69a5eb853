// RegexFullMatch: does each string match a regular expression (RE2's syntax) from end to end?
#include "ops/common/infer.h"
#include "ops/common/regex.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"pattern", AttributeKind::kString}};

}  // namespace

extern const OpDef op_regex_full_match;
const OpDef op_regex_full_match = {
    .name = "RegexFullMatch",
    .since = 20,
    .types = type_bit(DType::kString),
    .attributes = kAttributes,
    .is_host = true,
    .infer = [](InferContext& c) -> Result<void> {
      // A pattern that is wrong is found when the model is loaded.
      auto regex = Regex::compile(c.node().string_or("pattern", ""));
      if (!regex) return std::unexpected(std::move(regex).error().in(c.node().describe()));
      c.set(0, DType::kBool, c.shape(0) != nullptr ? std::optional(*c.shape(0)) : std::nullopt);
      return {};
    },
    .eval = [](EvalContext& c) -> Result<void> {
      QUERN_ASSIGN(const Regex regex, Regex::compile(c.node().string_or("pattern", "")));
      const HostTensor& in = c.in(0);
      for (int64_t i = 0; i < in.count(); ++i) {
        c.out(0).set_int(i, regex.full_match(in.strings[static_cast<size_t>(i)]) ? 1 : 0);
      }
      return {};
    },
};

}  // namespace quern
