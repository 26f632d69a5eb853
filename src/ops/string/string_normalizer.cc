// StringNormalizer: a list of strings without stop words, in lower or upper case. Where none is
// left there is one empty string.
#include <algorithm>

#include "ops/common/infer.h"
#include "ops/common/unicode.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"case_change_action", AttributeKind::kString},
                                          {"is_case_sensitive", AttributeKind::kInt},
                                          {"locale", AttributeKind::kString},
                                          {"stopwords", AttributeKind::kStrings}};

Result<void> infer(InferContext& c) {
  const std::string_view action = c.node().string_or("case_change_action", "NONE");
  if (action != "NONE" && action != "LOWER" && action != "UPPER") {
    return c.error(cat("case_change_action is '", action, "', expected LOWER, UPPER or NONE"));
  }
  c.set(0, DType::kString, std::nullopt);
  const Shape* shape = c.shape(0);
  if (shape == nullptr) return {};
  if (shape->empty() || shape->size() > 2 ||
      (shape->size() == 2 && proven_equal((*shape)[0], 1) == false)) {
    return c.error(cat("its input is ", *shape, ", expected [C] or [1, C]"));
  }
  Shape result = *shape;
  result.back() = c.fresh_dim(0, shape->size() - 1);
  c.set(0, DType::kString, std::move(result));
  return {};
}

Result<void> eval(EvalContext& c) {
  const HostTensor& in = c.in(0);
  const bool exact = c.node().int_or("is_case_sensitive", 0) != 0;
  std::vector<std::string> stop_words;
  if (const AttributeValue* value = c.node().attribute("stopwords")) {
    if (const auto* given = std::get_if<std::vector<std::string>>(value)) stop_words = *given;
  }
  if (!exact) {
    for (std::string& word : stop_words) word = to_lower(word);
  }
  std::ranges::sort(stop_words);
  const std::string_view action = c.node().string_or("case_change_action", "NONE");
  HostTensor& out = c.out(0);
  out = {};
  out.dtype = DType::kString;
  for (const std::string& s : in.strings) {
    if (std::ranges::binary_search(stop_words, exact ? s : to_lower(s))) continue;
    out.strings.push_back(action == "LOWER" ? to_lower(s) : action == "UPPER" ? to_upper(s) : s);
  }
  if (out.strings.empty()) out.strings.emplace_back();
  out.dims = in.dims;
  out.dims.back() = std::ssize(out.strings);
  return {};
}

}  // namespace

extern const OpDef op_string_normalizer;
const OpDef op_string_normalizer = {
    .name = "StringNormalizer",
    .since = 10,
    .types = type_bit(DType::kString),
    .attributes = kAttributes,
    .is_host = true,
    .infer = infer,
    .eval = eval,
};

}  // namespace quern
