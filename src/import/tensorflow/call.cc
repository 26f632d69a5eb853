#include "import/tensorflow/call.h"

#include <algorithm>

namespace quern::tensorflow {

Tensor Call::in(size_t i) {
  if (i < inputs_.size() && inputs_[i]) return inputs_[i];
  invalid(cat("it has no input ", i));
  return b.scalar(DType::kF32, 0);
}

std::vector<Tensor> Call::inputs_from(size_t from, size_t end) {
  std::vector<Tensor> out;
  for (size_t i = from; i < std::min(end, inputs_.size()); ++i) out.push_back(in(i));
  return out;
}

Ints Call::ints_in(size_t i) {
  const auto known = b.known_ints(in(i));
  if (known) return *known;
  if (!failed()) unsupported(cat("input ", i, " is no constant"));
  return {};
}

int64_t Call::int_in(size_t i) {
  const Ints values = ints_in(i);
  if (values.size() == 1) return values[0];
  if (!failed()) invalid(cat("input ", i, " has ", values.size(), " elements, one was expected"));
  return 0;
}

size_t Call::axis(int64_t value, size_t rank) {
  if (rank == kUnknownRank) {
    unsupported("an operand whose rank is not known");
    return 0;
  }
  const auto limit = static_cast<int64_t>(rank);
  if (value < 0) value += limit;
  if (value >= 0 && value < limit) return static_cast<size_t>(value);
  invalid(cat("axis ", value, " of a tensor of rank ", rank));
  return 0;
}

size_t Call::axis_in(size_t i, size_t rank) { return axis(int_in(i), rank); }

Ints Call::axes(const Ints& values, size_t rank) {
  Ints out;
  for (const int64_t value : values) out.push_back(static_cast<int64_t>(axis(value, rank)));
  std::ranges::sort(out);
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

std::pair<Tensor, Tensor> Call::pair(size_t first) {
  const Tensor x = in(first);
  const Tensor y = in(first + 1);
  const auto order = [](DType dtype) {
    return dtype == DType::kBool ? 0
           : is_integer(dtype)   ? 1 + bit_width(dtype)
                                 : 1000 + bit_width(dtype);
  };
  const DType dtype = order(x.dtype) >= order(y.dtype) ? x.dtype : y.dtype;
  return {b.cast(x, dtype), b.cast(y, dtype)};
}

const Attribute* Call::attribute(std::string_view name) const {
  const auto found = node_.attributes.find(name);
  return found == node_.attributes.end() ? nullptr : &found->second;
}

int64_t Call::integer(std::string_view name, int64_t fallback) const {
  const Attribute* a = attribute(name);
  return a != nullptr && a->i ? *a->i : fallback;
}

double Call::number(std::string_view name, double fallback) const {
  const Attribute* a = attribute(name);
  return a != nullptr && a->f ? *a->f : fallback;
}

bool Call::flag(std::string_view name, bool fallback) const {
  const Attribute* a = attribute(name);
  return a != nullptr && a->b ? *a->b : fallback;
}

std::string Call::text(std::string_view name, std::string_view fallback) const {
  const Attribute* a = attribute(name);
  return a != nullptr && a->s ? *a->s : std::string(fallback);
}

DType Call::type(std::string_view name, DType fallback) const {
  const Attribute* a = attribute(name);
  return a != nullptr && a->type != DType::kUndefined ? a->type : fallback;
}

Ints Call::ints(std::string_view name) const {
  const Attribute* a = attribute(name);
  return a == nullptr ? Ints{} : a->ints;
}

std::vector<std::string> Call::texts(std::string_view name) const {
  const Attribute* a = attribute(name);
  return a == nullptr ? std::vector<std::string>{} : a->strings;
}

void Call::set(const Tensor& x, size_t output) {
  if (outputs.size() <= output) outputs.resize(output + 1);
  outputs[output] = x;
}

}  // namespace quern::tensorflow
