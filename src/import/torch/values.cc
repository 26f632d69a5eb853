#include "import/torch/values.h"

namespace quern::torch {
namespace {

/// Views of views; more than any model has.
constexpr size_t kMostViews = 256;

}  // namespace

void Values::define(std::string_view name, const Tensor& tensor, std::string_view source) {
  auto storage = std::make_shared<Storage>(Storage{tensor, 0, std::string(source)});
  if (!source.empty()) sources_.push_back(storage);
  named_[std::string(name)] = {std::move(storage), {}, tensor, 0};
}

void Values::define_view(std::string_view name, std::string_view base, const Tensor& now,
                         View view) {
  const auto found = named_.find(base);
  if (found == named_.end()) return define(name, now);
  Named named = found->second;
  named.path.push_back(std::make_shared<const View>(std::move(view)));
  if (named.path.size() > kMostViews) b_.fail(ErrorCode::kLimit, "views are nested too deep");
  named.now = now;
  named.version = named.storage->version;
  named_[std::string(name)] = std::move(named);
}

void Values::alias(std::string_view name, std::string_view base) {
  const auto found = named_.find(base);
  if (found == named_.end() || name == base) return;
  const Named named = found->second;
  named_[std::string(name)] = named;
}

std::optional<Tensor> Values::get(std::string_view name) {
  const auto found = named_.find(name);
  if (found == named_.end()) return std::nullopt;
  Named& named = found->second;
  if (named.version != named.storage->version) {
    named.now = named.storage->base;
    for (const auto& view : named.path) named.now = view->forward(named.now);
    named.version = named.storage->version;
  }
  return named.now;
}

void Values::mutate(std::string_view name, const Tensor& updated) {
  const auto found = named_.find(name);
  if (found == named_.end()) return;
  Named& named = found->second;
  std::vector<Tensor> bases = {named.storage->base};
  for (const auto& view : named.path) bases.push_back(view->forward(bases.back()));
  Tensor value = updated;
  for (size_t i = named.path.size(); i-- > 0;) {
    if (!named.path[i]->backward) {
      return b_.unsupported("a change in place through such a view");
    }
    value = named.path[i]->backward(bases[i], value);
  }
  named.storage->base = value;
  ++named.storage->version;
  named.now = updated;
  named.version = named.storage->version;
}

const Size* Values::find_size(std::string_view name) const {
  const auto found = sizes_.find(name);
  return found == sizes_.end() ? nullptr : &found->second;
}

const Tensor* Values::find_number(std::string_view name) const {
  const auto found = numbers_.find(name);
  return found == numbers_.end() ? nullptr : &found->second;
}

std::shared_ptr<const Values::Names> Values::names() const {
  auto out = std::make_shared<Names>();
  out->named = named_;
  out->sizes = sizes_;
  out->numbers = numbers_;
  return out;
}

void Values::set_names(const Names& names) {
  named_ = names.named;
  sizes_ = names.sizes;
  numbers_ = names.numbers;
}

void Values::adopt(std::string_view name, const Names& names, std::string_view other) {
  const auto tensor = names.named.find(other);
  if (tensor != names.named.end()) named_[std::string(name)] = tensor->second;
  const auto size = names.sizes.find(other);
  if (size != names.sizes.end()) sizes_[std::string(name)] = size->second;
}

std::vector<std::pair<std::string, Tensor>> Values::changed() const {
  std::vector<std::pair<std::string, Tensor>> out;
  for (const auto& storage : sources_) {
    if (storage->version > 0) out.emplace_back(storage->source, storage->base);
  }
  return out;
}

}  // namespace quern::torch
