#include "ops/common/movement.h"

#include <cstring>
#include <vector>

#include "ops/common/types.h"
#include "ops/compose.h"

namespace quern {
namespace {

/// The elements of the inputs in the bit set `data`, numbered from 1 in order; 0 is none of them
/// (a padding of zeros).
struct Numbering {
  std::vector<HostTensor> numbers;  // by input
  std::vector<int64_t> first;       // by input: the number of its first element

  Numbering(const std::vector<TensorInfo>& inputs, uint64_t data)
      : numbers(inputs.size()), first(inputs.size(), 0) {
    int64_t next = 1;
    for (size_t i = 0; i < inputs.size() && i < 64; ++i) {
      if ((data >> i & 1) == 0 || !inputs[i].present) continue;
      first[i] = next;
      std::vector<int64_t> values(static_cast<size_t>(inputs[i].count()));
      for (int64_t& value : values) value = next++;
      numbers[i] = HostTensor::of_ints(DType::kI64, inputs[i].dims, values);
    }
  }
};

/// The data inputs' types and contents become those of their numbers.
void put_numbers(OpFrame& frame, const Numbering& numbering) {
  for (size_t i = 0; i < frame.inputs.size(); ++i) {
    if (numbering.first[i] == 0) continue;
    frame.inputs[i].dtype = DType::kI64;
    frame.host[i] = &numbering.numbers[i];
  }
}

/// A tensor's place in the binding at hand, where its dims are numbers.
std::optional<TensorInfo> info_of(const Type& type) {
  if (!type.shape) return std::nullopt;
  std::optional<Dims> dims = constant_dims(*type.shape);
  if (!dims) return std::nullopt;
  Result<int64_t> count = element_count(*dims);
  if (!count || *count > kMaxContents) return std::nullopt;
  return TensorInfo{
      .dtype = type.dtype, .dims = *std::move(dims), .baked = UINT32_MAX, .present = true};
}

}  // namespace

Result<HostTensor> evaluate_output(const OpFrame& frame, uint32_t output) {
  const TensorInfo& info = frame.outputs[output];
  if (info.count() == 0) return HostTensor::zeros(info.dtype, info.dims);
  const uint32_t group[] = {output};
  QUERN_ASSIGN(Composed composed, compose(frame, {}, group));
  std::vector<const HostTensor*> inputs;
  for (uint32_t input : composed.inputs) inputs.push_back(frame.host[input]);
  QUERN_ASSIGN(std::vector<HostTensor> result, evaluate(composed.program, inputs));
  return std::move(result[0]);
}

Result<void> infer_moved_contents(InferContext& c, uint64_t data) {
  OpFrame frame;
  frame.node = &c.node();
  frame.def = find_op(c.node());
  frame.host_baked = UINT64_MAX;
  if (frame.def == nullptr) return {};
  std::vector<std::vector<Dim>> elements(c.input_count());
  std::vector<HostTensor> controls(c.input_count());
  frame.host.assign(c.input_count(), nullptr);
  for (size_t i = 0; i < c.input_count(); ++i) {
    frame.inputs.emplace_back();
    if (!c.has_input(i)) continue;
    std::optional<TensorInfo> info = info_of(c.type(i));
    std::optional<std::vector<Dim>> contents = c.contents(i);
    if (!info || !contents || info->count() != static_cast<int64_t>(contents->size())) return {};
    if ((data >> i & 1) == 0) {
      const std::optional<std::vector<int64_t>> numbers = c.numbers(i);
      if (!numbers) return {};
      controls[i] = HostTensor::of_ints(info->dtype, info->dims, *numbers);
      frame.host[i] = &controls[i];
    }
    elements[i] = *std::move(contents);
    frame.inputs[i] = *std::move(info);
  }
  for (const InferContext::Output& output : c.outputs()) {
    std::optional<TensorInfo> info = info_of(output.type);
    if (!info || (!is_integer(info->dtype) && info->dtype != DType::kBool)) return {};
    frame.outputs.push_back(*std::move(info));
  }
  const Numbering numbering(frame.inputs, data);
  put_numbers(frame, numbering);

  for (uint32_t k = 0; k < frame.outputs.size(); ++k) {
    frame.outputs[k].dtype = DType::kI64;
    QUERN_ASSIGN(HostTensor from, evaluate_output(frame, k));
    std::vector<Dim> contents;
    for (int64_t n = 0; n < from.count(); ++n) {
      const int64_t number = from.int_at(n);
      Dim element;
      for (size_t i = 0; i < elements.size(); ++i) {
        const int64_t at = number - numbering.first[i];
        if (numbering.first[i] != 0 && at >= 0 && at < std::ssize(elements[i])) {
          element = elements[i][static_cast<size_t>(at)];
        }
      }
      contents.push_back(std::move(element));
    }
    c.set_contents(k, std::move(contents));
  }
  return {};
}

Result<void> eval_by_expr(EvalContext& c) {
  for (uint32_t k = 0; k < c.output_count(); ++k) {
    if (!c.output(k).present) continue;
    QUERN_ASSIGN(c.out(k), evaluate_output(c.frame(), k));
  }
  return {};
}

Result<void> eval_moved(EvalContext& c) {
  OpFrame frame = c.frame();
  const DType moved = frame.outputs[0].dtype;
  if ((type_bit(moved) & kScalarTypes) != 0) return eval_by_expr(c);
  uint64_t data = 0;
  for (size_t i = 0; i < frame.inputs.size() && i < 64; ++i) {
    if (frame.inputs[i].present && frame.inputs[i].dtype == moved) data |= uint64_t{1} << i;
  }
  const Numbering numbering(frame.inputs, data);
  put_numbers(frame, numbering);

  const size_t width = static_cast<size_t>(bit_width(moved)) / 8;
  for (uint32_t k = 0; k < frame.outputs.size(); ++k) {
    if (!frame.outputs[k].present) continue;
    frame.outputs[k].dtype = DType::kI64;
    QUERN_ASSIGN(HostTensor from, evaluate_output(frame, k));
    HostTensor& out = c.out(k);
    for (int64_t n = 0; n < from.count(); ++n) {
      for (size_t i = 0; i < frame.inputs.size(); ++i) {
        const int64_t at = from.int_at(n) - numbering.first[i];
        if (numbering.first[i] == 0 || at < 0 || at >= numbering.numbers[i].count()) continue;
        const auto to = static_cast<size_t>(n);
        if (moved == DType::kString) {
          out.strings[to] = c.in(i).strings[static_cast<size_t>(at)];
        } else {
          std::memcpy(out.bytes.data() + to * width,
                      c.in(i).bytes.data() + static_cast<size_t>(at) * width, width);
        }
      }
    }
  }
  return {};
}

}  // namespace quern
