// The tensors of a torch.export graph by name, as views of storages: what PyTorch changes in place
// changes in every view of it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "import/torch/names.h"

namespace quern::torch {

/// One step from a tensor to a view of it.
struct View {
  std::function<Tensor(const Tensor& base)> forward;
  /// The base once the view has become `updated`; empty where that cannot be told.
  std::function<Tensor(const Tensor& base, const Tensor& updated)> backward;
};

class Values {
 public:
  explicit Values(Builder& builder) : b_(builder) {}

  /// A tensor of its own storage. `source` names what outlives a run: an input, a buffer.
  void define(std::string_view name, const Tensor& tensor, std::string_view source = {});
  /// `name` is a view of `base`; `now` is what it holds at present.
  void define_view(std::string_view name, std::string_view base, const Tensor& now, View view);
  /// `name` is `base` itself.
  void alias(std::string_view name, std::string_view base);
  /// The present contents; nothing where there is no such tensor.
  std::optional<Tensor> get(std::string_view name);
  /// Sets the contents of `name` and of all that shares its storage.
  void mutate(std::string_view name, const Tensor& updated);

  void define_size(std::string_view name, Size size) { sizes_[std::string(name)] = size; }
  [[nodiscard]] const Size* find_size(std::string_view name) const;
  void define_number(std::string_view name, Tensor x) { numbers_[std::string(name)] = x; }
  [[nodiscard]] const Tensor* find_number(std::string_view name) const;

  /// The names of a graph: those of a nested one must not hide them.
  class Names;
  [[nodiscard]] std::shared_ptr<const Names> names() const;
  void set_names(const Names& names);
  /// `name` is what `other` is in `names`.
  void adopt(std::string_view name, const Names& names, std::string_view other);

  /// Inputs and buffers whose contents changed, with what they became, by their sources.
  [[nodiscard]] std::vector<std::pair<std::string, Tensor>> changed() const;

 private:
  struct Storage {
    Tensor base;
    uint64_t version = 0;
    std::string source;
  };
  struct Named {
    std::shared_ptr<Storage> storage;
    std::vector<std::shared_ptr<const View>> path;
    Tensor now;
    uint64_t version = 0;
  };

  Builder& b_;
  std::map<std::string, Named, std::less<>> named_;
  std::map<std::string, Size, std::less<>> sizes_;
  std::map<std::string, Tensor, std::less<>> numbers_;  // symbolic floats and bools
  std::vector<std::shared_ptr<Storage>> sources_;
};

class Values::Names {
 private:
  friend class Values;
  std::map<std::string, Named, std::less<>> named;
  std::map<std::string, Size, std::less<>> sizes;
  std::map<std::string, Tensor, std::less<>> numbers;
};

}  // namespace quern::torch
