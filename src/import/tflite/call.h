// One operator of a TFLite graph: its tensors by position, its options by field number, and where
// its results go.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "import/emit/builder.h"
#include "import/tflite/schema.h"

namespace quern::tflite {

using emit::Attributes;
using emit::Builder;
using emit::extreme;
using emit::Ints;
using emit::Size;
using emit::Tensor;

/// Something that outlives a run: a variable tensor, or what a resource handle names.
struct Variable {
  Tensor now;
  Value* initial = nullptr;  ///< a constant
  bool changed = false;
};

/// What names of resources' handles and variables begin with.
inline constexpr std::string_view kResource = "variable ";

/// What all subgraphs of a model share.
struct Context {
  const FileModel& file;
  FileParts& parts;
  const ConvertOptions& options;
  std::vector<WeightInfo>& weights;
  bool is_static = true;  ///< no input has a dim that is not known: shapes in the file hold
  std::map<std::string, Variable, std::less<>> variables;  // by name
  std::set<const Value*> complex;  // pairs of real and imaginary part in a last axis of 2
  size_t translated = 0;           ///< operators, those of subgraphs at each use
  int depth = 0;                   ///< of subgraphs
  bool is_initialising = false;    ///< in CALL_ONCE: variables get their first values
};

/// The tensors of a subgraph that is being translated.
class Scope {
 public:
  Scope(Context& context, Builder& builder, const SubgraphInfo& info)
      : context(context), b(builder), info(info), values_(info.tensors.size()) {}

  Context& context;
  Builder& b;
  const SubgraphInfo& info;

  /// The tensor as it is stored: constants are made here. A failure where it has no value yet.
  Tensor get(int32_t index);
  void set(int32_t index, const Tensor& value);
  /// Dequantised, where it is quantised.
  Tensor real(int32_t index);
  [[nodiscard]] const TensorInfo* find(int32_t index) const;
  /// The variable that a tensor is, by its own name.
  Variable& variable(int32_t index);

 private:
  Tensor constant(const TensorInfo& tensor);
  Tensor failed(std::string_view name, std::string_view why, bool is_known = false);

  std::vector<Tensor> values_;
  std::map<int32_t, Tensor> real_;
};

/// stored -> real, and back; axes as `perm` turns them.
Tensor dequantize(Builder& b, const Tensor& x, const Quantization& q, const Ints& perm = {});
Tensor quantize(Builder& b, const Tensor& x, const Quantization& q, DType dtype);

/// The dense contents of a sparse tensor.
Result<std::vector<uint8_t>> densify(const TensorInfo& tensor, const std::vector<uint8_t>& values,
                                     size_t width, uint64_t limit);

class Call {
 public:
  Call(Scope& scope, const OperatorInfo& op, size_t number);

  Scope& scope;
  Builder& b;
  const OperatorInfo& op;

  [[nodiscard]] bool failed() const { return b.failed(); }
  /// "node 'conv' (CONV_2D)": by the first result's name.
  [[nodiscard]] std::string describe() const;
  [[nodiscard]] std::string name() const;
  void unsupported(std::string_view what);
  void invalid(std::string_view what);

  [[nodiscard]] size_t inputs() const { return op.inputs.size(); }
  [[nodiscard]] size_t outputs() const { return op.outputs.size(); }
  /// Is it given? Absent optional ones have the index -1.
  [[nodiscard]] bool has(size_t i) const;
  /// As it is stored.
  Tensor raw(size_t i);
  /// Dequantised, where it is quantised.
  Tensor input(size_t i);
  /// Without value where it is absent.
  Tensor optional(size_t i);
  /// As it is stored where result 0 is quantised alike, else dequantised: for what moves elements.
  Tensor moved(size_t i);
  /// Transposed, and dequantised after that, so that weights stay small.
  Tensor transposed(size_t i, const Ints& perm);
  /// The numbers of a constant of integers.
  std::optional<Ints> numbers(size_t i);
  /// The same where anything else is an error.
  Ints known(size_t i, std::string_view what);
  /// A list of integers, i64.
  Tensor list(size_t i);
  /// Its elements: numbers where it is constant.
  std::vector<Size> sizes(size_t i);
  /// A number in a tensor of one element.
  Size size(size_t i);
  /// An axis given as a constant, from 0.
  size_t axis(size_t i, size_t rank);
  size_t axis_of(int64_t axis, size_t rank);

  [[nodiscard]] int32_t option(unsigned field, int32_t fallback = 0) const {
    return op.options.number<int32_t>(field, fallback);
  }
  [[nodiscard]] int code(unsigned field) const { return op.options.number<uint8_t>(field, 0); }
  [[nodiscard]] bool flag(unsigned field, bool fallback = false) const {
    return op.options.flag(field, fallback);
  }
  [[nodiscard]] float real(unsigned field, float fallback = 0) const {
    return op.options.number<float>(field, fallback);
  }

  [[nodiscard]] const TensorInfo* in_info(size_t i) const;
  [[nodiscard]] const TensorInfo* out_info(size_t i = 0) const;
  [[nodiscard]] DType out_dtype(size_t i = 0) const;
  [[nodiscard]] bool is_complex(const Tensor& x) const;

  /// Applies a fused activation (ActivationFunctionType).
  Tensor activate(const Tensor& x, int activation);
  /// Result `i`: quantised or cast to the type that the file says.
  void set(const Tensor& y, size_t i = 0);
  /// The same for pairs of real and imaginary parts.
  void set_complex(const Tensor& y, size_t i = 0);
  /// Input `i`, a variable tensor, becomes y.
  void update(size_t i, const Tensor& y);

 private:
  void publish(Tensor y, size_t i);

  size_t number_;
};

}  // namespace quern::tflite
