// One node of a torch.export graph: its arguments by name, and where its results go.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "import/torch/names.h"
#include "import/torch/schema.h"
#include "import/torch/values.h"

namespace quern::torch {

/// Translators ask for arguments by their names in ATen's schema (native_functions.yaml). A
/// required one that is missing or of another kind is a failure of the builder, which gives
/// harmless values from then on; check `failed()` before indexing by what was read.
class Call {
 public:
  Call(Builder& builder, Values& values, const Json& node,
       const std::map<std::string, TensorMeta, std::less<>>& metas);

  Builder& b;

  [[nodiscard]] bool failed() const { return b.failed(); }
  [[nodiscard]] std::string_view target() const { return target_; }
  /// "node 'add_2' (aten.add.Tensor)".
  [[nodiscard]] std::string describe() const;
  void unsupported(std::string_view what);
  void invalid(std::string_view what);

  /// Is it given, and not None?
  [[nodiscard]] bool has(std::string_view name) const;
  [[nodiscard]] bool is_tensor(std::string_view name) const;
  Tensor tensor(std::string_view name);
  /// Without value where it is not given.
  Tensor optional(std::string_view name);
  /// A list of tensors; those that are None have no value.
  std::vector<Tensor> tensors(std::string_view name);
  int64_t integer(std::string_view name, std::optional<int64_t> fallback = {});
  double number(std::string_view name, std::optional<double> fallback = {});
  bool flag(std::string_view name, bool fallback);
  std::string_view text(std::string_view name, std::string_view fallback);
  Ints ints(std::string_view name, std::optional<Ints> fallback = {});
  /// One number for each of `count` axes: a single one stands for all.
  Ints ints_for(std::string_view name, size_t count, int64_t fallback);
  std::vector<double> numbers(std::string_view name);
  Size size(std::string_view name, std::optional<int64_t> fallback = {});
  std::vector<Size> sizes(std::string_view name);
  /// An axis of a tensor of that rank, from 0; a rank of 0 counts as 1.
  size_t axis(std::string_view name, size_t rank, std::optional<int64_t> fallback = {});
  /// Several; all where the list is empty or not given.
  Ints axes(std::string_view name, size_t rank);
  std::optional<DType> dtype(std::string_view name);
  /// A tensor, or a number as one of rank 0, of that type.
  Tensor operand(std::string_view name, DType dtype);
  /// The type that PyTorch computes in, of operands of these names (torch.result_type).
  DType promoted(std::initializer_list<std::string_view> names);

  /// What the file says of result `i`: none where it is no tensor.
  [[nodiscard]] const TensorMeta* meta(size_t i = 0) const;
  [[nodiscard]] DType out_dtype(size_t i = 0) const;
  [[nodiscard]] size_t out_rank(size_t i = 0) const;
  /// The number of results, those of lists counted one by one.
  [[nodiscard]] size_t outputs() const { return outputs_.size(); }
  [[nodiscard]] const std::string& output_name(size_t i) const { return outputs_[i]; }
  [[nodiscard]] const TensorMeta* meta_of(std::string_view tensor) const;
  /// The name of the tensor given as an argument; empty for others.
  [[nodiscard]] std::string_view tensor_name(std::string_view argument) const;
  [[nodiscard]] const Json& argument(std::string_view name) const;

  /// Result `i`, cast to the type that the file says.
  void set(const Tensor& result, size_t i = 0);
  /// Result `i` is a view of the tensor argument `base`.
  void set_view(std::string_view base, View view, size_t i = 0);
  /// Result 0 is the argument itself.
  void set_alias(std::string_view base);
  /// A symbolic integer.
  void set_size(const Size& size);
  /// A symbolic float or bool, rank 0.
  void set_number(const Tensor& x);
  /// The tensor argument changes in place.
  void mutate(std::string_view name, const Tensor& updated);
  /// While this is on, `set` changes `name` and result 0 is that.
  void set_in_place(bool on) { in_place_ = on; }

 private:
  Tensor named(std::string_view name);
  Tensor wrong(std::string_view name, std::string_view expected);
  Size size_of(const Json& value, std::string_view name);
  Tensor typed(const Tensor& result, size_t i);

  Values& values_;
  const Json& node_;
  const std::map<std::string, TensorMeta, std::less<>>& metas_;
  std::string_view target_;
  std::vector<std::string> outputs_;
  bool in_place_ = false;
};

}  // namespace quern::torch
