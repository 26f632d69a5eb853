// StringSplit: each string in parts at a delimiter, or at white space, at most `maxsplit` times.
// Output 0 has a new last axis, as long as the longest list, filled up with empty strings; output 1
// the number of parts.
#include <algorithm>

#include "ops/common/infer.h"
#include "ops/common/unicode.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"delimiter", AttributeKind::kString},
                                          {"maxsplit", AttributeKind::kInt}};

std::string_view without_leading_space(std::string_view text) {
  while (!text.empty()) {
    std::string_view rest = text;
    if (!is_space(take_code_point(rest))) break;
    text = rest;
  }
  return text;
}

/// Runs of white space are one delimiter, and there is none at either end.
std::vector<std::string_view> split_at_space(std::string_view text, int64_t most) {
  std::vector<std::string_view> parts;
  text = without_leading_space(text);
  while (!text.empty()) {
    if (std::ssize(parts) == most) {  // the rest as it is
      parts.push_back(text);
      break;
    }
    std::string_view rest = text;
    std::string_view after = rest;
    while (!rest.empty() && !is_space(take_code_point(after))) rest = after;
    parts.push_back(text.substr(0, text.size() - rest.size()));
    text = without_leading_space(rest);
  }
  return parts;
}

std::vector<std::string_view> split_at(std::string_view text, std::string_view delimiter,
                                       int64_t most) {
  std::vector<std::string_view> parts;
  while (std::ssize(parts) < most) {
    const size_t at = text.find(delimiter);
    if (at == text.npos) break;
    parts.push_back(text.substr(0, at));
    text.remove_prefix(at + delimiter.size());
  }
  parts.push_back(text);
  return parts;
}

Result<void> infer(InferContext& c) {
  std::optional<Shape> parts;
  std::optional<Shape> counts;
  if (const Shape* shape = c.shape(0)) {
    counts = *shape;
    parts = *shape;
    parts->push_back(c.fresh_dim(0, shape->size()));
  }
  c.set(0, DType::kString, std::move(parts));
  c.set(1, DType::kI64, std::move(counts));
  return {};
}

Result<void> eval(EvalContext& c) {
  const HostTensor& in = c.in(0);
  const std::string_view delimiter = c.node().string_or("delimiter", "");
  int64_t most = c.node().int_or("maxsplit", -1);
  if (most < 0) most = INT64_MAX;
  std::vector<std::vector<std::string_view>> lists;
  size_t longest = 0;
  for (const std::string& s : in.strings) {
    lists.push_back(delimiter.empty() ? split_at_space(s, most) : split_at(s, delimiter, most));
    longest = std::max(longest, lists.back().size());
  }
  Dims dims = in.dims;
  dims.push_back(static_cast<int64_t>(longest));
  QUERN_ASSIGN(HostTensor parts, HostTensor::zeros(DType::kString, std::move(dims)));
  std::vector<int64_t> counts;
  for (size_t i = 0; i < lists.size(); ++i) {
    counts.push_back(std::ssize(lists[i]));
    std::ranges::copy(lists[i], parts.strings.begin() + static_cast<std::ptrdiff_t>(i * longest));
  }
  c.out(0) = std::move(parts);
  if (c.output_count() > 1) c.out(1) = HostTensor::of_ints(DType::kI64, in.dims, counts);
  return {};
}

}  // namespace

extern const OpDef op_string_split;
const OpDef op_string_split = {
    .name = "StringSplit",
    .since = 20,
    .max_outputs = 2,
    .types = type_bit(DType::kString),
    .attributes = kAttributes,
    .is_host = true,
    .infer = infer,
    .eval = eval,
};

}  // namespace quern
