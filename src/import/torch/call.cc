#include "import/torch/call.h"

#include <algorithm>

namespace quern::torch {
namespace {

/// The kinds that an argument may have: {"as_int": 3}. Gives the first member.
const Json& content(const Json& argument, std::string_view kind) { return member(argument, kind); }

bool is_none(const Json& argument) { return argument.is_null() || argument.contains("as_none"); }

/// Of an output, the names of its tensors and symbols.
void output_names(const Json& output, std::vector<std::string>& names) {
  const auto take = [&](const Json& one) { names.emplace_back(text_of(member(one, "name"))); };
  for (const std::string_view kind : {"as_tensor", "as_optional_tensor"}) {
    const Json& one = content(output, kind);
    if (one.is_object()) take(one.contains("as_tensor") ? one["as_tensor"] : one);
  }
  for (const Json& one : items_of(content(output, "as_tensors"))) take(one);
  for (const Json& one : items_of(content(output, "as_optional_tensors"))) {
    take(content(one, "as_tensor"));
  }
  for (const std::string_view kind : {"as_sym_int", "as_sym_float", "as_sym_bool"}) {
    const std::string_view name = text_of(member(content(output, kind), "as_name"));
    if (!name.empty()) names.emplace_back(name);
  }
  if (output.contains("as_none")) names.emplace_back();
}

enum class Category : uint8_t { kBool, kInt, kFloat };

Category category_of(DType dtype) {
  if (dtype == DType::kBool) return Category::kBool;
  return is_float(dtype) ? Category::kFloat : Category::kInt;
}

/// torch.promote_types.
DType promote(DType a, DType b) {
  if (a == b || b == DType::kUndefined) return a;
  if (a == DType::kUndefined) return b;
  if (category_of(a) != category_of(b)) return category_of(a) > category_of(b) ? a : b;
  if (is_float(a)) {
    // f16 and bf16 meet in f32.
    if (bit_width(a) == bit_width(b)) return bit_width(a) == 16 ? DType::kF32 : a;
    return bit_width(a) > bit_width(b) ? a : b;
  }
  const bool a_signed = is_signed_int(a);
  const bool b_signed = is_signed_int(b);
  if (a_signed == b_signed) return bit_width(a) > bit_width(b) ? a : b;
  const DType with_sign = a_signed ? a : b;
  const int other = bit_width(a_signed ? b : a);
  if (bit_width(with_sign) > other) return with_sign;
  if (other == 8) return DType::kI16;
  return other == 16 ? DType::kI32 : DType::kI64;
}

}  // namespace

Call::Call(Builder& builder, Values& values, const Json& node,
           const std::map<std::string, TensorMeta, std::less<>>& metas)
    : b(builder),
      values_(values),
      node_(node),
      metas_(metas),
      target_(short_target(text_of(member(node, "target")))) {
  for (const Json& output : items_of(member(node, "outputs"))) output_names(output, outputs_);
}

std::string Call::describe() const {
  std::string_view name = text_of(member(node_, "name"));
  if (name.empty() && !outputs_.empty()) name = outputs_[0];
  return cat("node '", name, "' (", target_, ")");
}

void Call::unsupported(std::string_view what) { b.unsupported(cat(describe(), ": ", what)); }
void Call::invalid(std::string_view what) { b.invalid(cat(describe(), ": ", what)); }

const Json& Call::argument(std::string_view name) const {
  for (const Json& input : items_of(member(node_, "inputs"))) {
    if (text_of(member(input, "name")) == name) {
      const Json& value = member(input, "arg");
      // Optional tensors have one more wrapping.
      const Json& inner = content(value, "as_optional_tensor");
      return inner.is_object() ? inner : value;
    }
  }
  return member(Json(), "");
}

bool Call::has(std::string_view name) const { return !is_none(argument(name)); }
bool Call::is_tensor(std::string_view name) const { return !tensor_name(name).empty(); }

std::string_view Call::tensor_name(std::string_view name) const {
  return text_of(member(content(argument(name), "as_tensor"), "name"));
}

Tensor Call::wrong(std::string_view name, std::string_view expected) {
  const Json& value = argument(name);
  std::string found = "missing";
  if (value.is_object() && !value.empty()) found = value.begin().key();
  invalid(cat("argument '", name, "' is ", found, ", expected ", expected));
  return b.scalar(DType::kF32, 0);
}

Tensor Call::named(std::string_view name) {
  if (const auto found = values_.get(name)) return *found;
  invalid(cat("there is no tensor '", name, "' before it"));
  return b.scalar(DType::kF32, 0);
}

Tensor Call::tensor(std::string_view name) {
  const std::string_view value = tensor_name(name);
  return value.empty() ? wrong(name, "a tensor") : named(value);
}

Tensor Call::optional(std::string_view name) { return has(name) ? tensor(name) : Tensor(); }

std::vector<Tensor> Call::tensors(std::string_view name) {
  std::vector<Tensor> out;
  const Json& value = argument(name);
  for (const Json& one : items_of(content(value, "as_tensors"))) {
    out.push_back(named(text_of(member(one, "name"))));
  }
  for (const Json& one : items_of(content(value, "as_optional_tensors"))) {
    const std::string_view tensor = text_of(member(content(one, "as_tensor"), "name"));
    out.push_back(tensor.empty() ? Tensor() : named(tensor));
  }
  if (out.empty()) wrong(name, "a list of tensors");
  return out;
}

Size Call::size_of(const Json& value, std::string_view name) {
  if (const auto number = integer_of(value)) return {.number = *number};
  for (const std::string_view kind : {"as_int", "as_sym_int"}) {
    if (value.contains(kind)) return size_of(value[kind], name);
  }
  const std::string_view symbol = text_of(member(value, "as_name"));
  if (const Size* found = values_.find_size(symbol)) return *found;
  invalid(cat("argument '", name, "' has no size '", symbol, "'"));
  return {};
}

int64_t Call::integer(std::string_view name, std::optional<int64_t> fallback) {
  if (!has(name) && fallback) return *fallback;
  const Json& value = argument(name);
  if (const auto found = integer_of(content(value, "as_int"))) return *found;
  if (content(value, "as_sym_int").is_object()) {
    const Size found = size_of(value, name);
    if (found.value == nullptr) return found.number;
    unsupported(cat("argument '", name, "' depends on a dim"));
    return fallback.value_or(0);
  }
  if (content(value, "as_bool").is_boolean()) return content(value, "as_bool") == true;
  wrong(name, "an integer");
  return fallback.value_or(0);
}

double Call::number(std::string_view name, std::optional<double> fallback) {
  if (!has(name) && fallback) return *fallback;
  const Json& value = argument(name);
  for (const std::string_view kind : {"as_float", "as_int"}) {
    if (const auto found = number_of(content(value, kind))) return *found;
  }
  if (const auto found = number_of(member(content(value, "as_sym_float"), "as_float"))) {
    return *found;
  }
  if (content(value, "as_bool").is_boolean()) return content(value, "as_bool") == true ? 1 : 0;
  wrong(name, "a number");
  return fallback.value_or(0);
}

bool Call::flag(std::string_view name, bool fallback) {
  if (!has(name)) return fallback;
  const Json& value = content(argument(name), "as_bool");
  if (value.is_boolean()) return value == true;
  return integer(name, fallback ? 1 : 0) != 0;
}

std::string_view Call::text(std::string_view name, std::string_view fallback) {
  if (!has(name)) return fallback;
  const Json& value = content(argument(name), "as_string");
  if (!value.is_string()) wrong(name, "a string");
  return text_of(value);
}

Ints Call::ints(std::string_view name, std::optional<Ints> fallback) {
  if (!has(name) && fallback) return *fallback;
  Ints out;
  const Json& value = argument(name);
  if (value.contains("as_int") || value.contains("as_sym_int")) return {integer(name)};
  for (const Size& size : sizes(name)) {
    if (size.value != nullptr) unsupported(cat("argument '", name, "' depends on a dim"));
    out.push_back(size.number);
  }
  return out;
}

Ints Call::ints_for(std::string_view name, size_t count, int64_t fallback) {
  Ints out = ints(name, Ints{});
  if (out.empty()) out = {fallback};
  if (out.size() == 1) out.resize(count, out[0]);
  if (out.size() != count) {
    invalid(cat("argument '", name, "' has ", out.size(), " numbers, expected ", count));
    out.resize(count, fallback);
  }
  return out;
}

std::vector<double> Call::numbers(std::string_view name) {
  std::vector<double> out;
  const Json& value = argument(name);
  for (const std::string_view kind : {"as_floats", "as_ints"}) {
    for (const Json& one : items_of(content(value, kind)))
      out.push_back(number_of(one).value_or(0));
  }
  if (out.empty()) wrong(name, "a list of numbers");
  return out;
}

Size Call::size(std::string_view name, std::optional<int64_t> fallback) {
  if (!has(name) && fallback) return {.number = *fallback};
  return size_of(argument(name), name);
}

std::vector<Size> Call::sizes(std::string_view name) {
  std::vector<Size> out;
  const Json& value = argument(name);
  bool found = false;
  for (const std::string_view kind : {"as_ints", "as_sym_ints"}) {
    found = found || content(value, kind).is_array();
    for (const Json& one : items_of(content(value, kind))) out.push_back(size_of(one, name));
  }
  if (!found) wrong(name, "a list of integers");
  return out;
}

size_t Call::axis(std::string_view name, size_t rank, std::optional<int64_t> fallback) {
  const int64_t value = integer(name, fallback);
  const auto count = static_cast<int64_t>(std::max<size_t>(rank, 1));
  if (value >= -count && value < count)
    return static_cast<size_t>(value < 0 ? value + count : value);
  invalid(cat("axis ", value, " of a tensor of rank ", rank));
  return 0;
}

Ints Call::axes(std::string_view name, size_t rank) {
  Ints out;
  const auto count = static_cast<int64_t>(std::max<size_t>(rank, 1));
  for (const int64_t value : ints(name, Ints{})) {
    if (value < -count || value >= count)
      invalid(cat("axis ", value, " of a tensor of rank ", rank));
    out.push_back(value < 0 ? value + count : value);
  }
  if (rank == 0) return {};
  if (out.empty()) {
    for (size_t i = 0; i < rank; ++i) out.push_back(static_cast<int64_t>(i));
  }
  return out;
}

std::optional<DType> Call::dtype(std::string_view name) {
  if (!has(name)) return std::nullopt;
  const auto number = integer_of(content(argument(name), "as_scalar_type"));
  if (!number) {
    wrong(name, "an element type");
    return std::nullopt;
  }
  auto found = dtype_of_scalar_type(*number);
  if (!found) {
    b.fail(found.error().code, cat(describe(), ": ", found.error().message));
    return std::nullopt;
  }
  return *found;
}

Tensor Call::operand(std::string_view name, DType dtype) {
  if (is_tensor(name)) return b.cast(tensor(name), dtype);
  const Json& value = argument(name);
  if (content(value, "as_sym_int").is_object()) return b.scalar_of(size(name), dtype);
  for (const std::string_view kind : {"as_sym_float", "as_sym_bool"}) {
    const std::string_view symbol = text_of(member(content(value, kind), "as_name"));
    if (const Tensor* found = values_.find_number(symbol)) return b.cast(*found, dtype);
  }
  if (const auto exact = integer_of(content(value, "as_int"))) return b.integer(*exact, dtype);
  return b.scalar(dtype, number(name));
}

DType Call::promoted(std::initializer_list<std::string_view> names) {
  // By priority: tensors with dims, tensors without, numbers.
  DType results[3] = {DType::kUndefined, DType::kUndefined, DType::kUndefined};
  for (const std::string_view name : names) {
    if (!has(name)) continue;
    DType dtype = DType::kF32;
    size_t priority = 2;
    const Json& value = argument(name);
    if (is_tensor(name)) {
      const Tensor x = tensor(name);
      dtype = x.dtype;
      priority = x.rank > 0 ? 0 : 1;
    } else if (value.contains("as_bool") || value.contains("as_sym_bool")) {
      dtype = DType::kBool;
    } else if (value.contains("as_int") || value.contains("as_sym_int")) {
      dtype = DType::kI64;
    }
    results[priority] = promote(results[priority], dtype);
  }
  DType result = results[0];
  for (const DType lower : {results[1], results[2]}) {
    if (lower == DType::kUndefined) continue;
    if (result == DType::kUndefined || category_of(lower) > category_of(result)) {
      // A number's own type is the default one of its category.
      result = promote(result == DType::kUndefined ? lower : DType::kUndefined, lower);
    }
  }
  return result == DType::kUndefined ? DType::kF32 : result;
}

const TensorMeta* Call::meta_of(std::string_view tensor) const {
  const auto found = metas_.find(tensor);
  return found == metas_.end() ? nullptr : &found->second;
}

const TensorMeta* Call::meta(size_t i) const {
  return i < outputs_.size() ? meta_of(outputs_[i]) : nullptr;
}

DType Call::out_dtype(size_t i) const {
  const TensorMeta* found = meta(i);
  return found == nullptr ? DType::kF32 : found->dtype;
}

size_t Call::out_rank(size_t i) const {
  const TensorMeta* found = meta(i);
  return found == nullptr ? 0 : found->sizes.size();
}

Tensor Call::typed(const Tensor& result, size_t i) {
  const TensorMeta* known = meta(i);
  if (known == nullptr) return result;
  Tensor out = b.cast(result, known->dtype);
  // What torch.export notes of the states of recurrent layers is wrong in both directions.
  const bool is_known = !target_.starts_with("aten.lstm.") && !target_.starts_with("aten.gru.") &&
                        !target_.starts_with("aten.rnn_");
  if (!is_known && out.rank != known->sizes.size()) return out;
  if (out.rank != known->sizes.size()) {
    invalid(
        cat("a result of rank ", out.rank, ", '", outputs_[i], "' has rank ", known->sizes.size()));
  }
  if (out.value != nullptr && !out.value->is_constant() && !out.value->type.shape) {
    out.value->type.shape = known->sizes;
  }
  return out;
}

void Call::set(const Tensor& result, size_t i) {
  if (failed() || i >= outputs_.size()) return;
  if (in_place_ && i == 0) {
    const std::string_view self = tensor_name("self");
    const Tensor before = tensor("self");
    Tensor updated = b.cast(result, before.dtype);
    if (updated.rank < before.rank) updated = b.expand_like(updated, before);
    values_.mutate(self, updated);
    values_.alias(outputs_[0], self);
    return;
  }
  if (!outputs_[i].empty()) values_.define(outputs_[i], typed(result, i));
}

void Call::set_view(std::string_view base, View view, size_t i) {
  if (failed() || i >= outputs_.size()) return;
  const Tensor now = typed(view.forward(tensor(base)), i);
  values_.define_view(outputs_[i], tensor_name(base), now, std::move(view));
}

void Call::set_alias(std::string_view base) {
  if (failed() || outputs_.empty()) return;
  values_.alias(outputs_[0], tensor_name(base));
}

void Call::set_size(const Size& size) {
  if (!failed() && !outputs_.empty()) values_.define_size(outputs_[0], size);
}

void Call::set_number(const Tensor& x) {
  if (!failed() && !outputs_.empty()) values_.define_number(outputs_[0], x);
}

void Call::mutate(std::string_view name, const Tensor& updated) {
  if (!failed()) values_.mutate(tensor_name(name), updated);
}

}  // namespace quern::torch
