// TensorArrays and TensorLists: sequences. The state of a TensorArray is its flow; the handle is
// only passed along. Lists begin empty and are written in order, or written anew.
#include <algorithm>

#include "import/tensorflow/operators.h"

namespace quern::tensorflow {
namespace {

Tensor i64_scalar(Emitter& b, const Tensor& x) { return b.reshape_ints(b.as_i64(x), {}); }

/// The shape that an operand says elements have: [2, 3]; -1 where even the rank is unknown.
std::optional<Shape> element_shape(Emitter& b, const Tensor& list) {
  const auto known = b.known_ints(list);
  if (!known || list.rank != 1) return {};
  Shape out;
  for (const int64_t n : *known) out.push_back(n < 0 ? b.unknown() : Dim(n));
  return out;
}

std::optional<Shape> attribute_shape(Call& c, std::string_view name) {
  const Attribute* a = c.attribute(name);
  if (a == nullptr || !a->shape || !*a->shape) return {};
  Shape out;
  for (const int64_t n : **a->shape) out.push_back(n < 0 ? c.b.unknown() : Dim(n));
  return out;
}

/// What is known of elements: what either side knows.
std::optional<Shape> merged(Emitter& b, const std::optional<Shape>& x,
                            const std::optional<Shape>& y) {
  if (!x) return y;
  if (!y || y->size() != x->size()) return x;
  Shape out;
  for (size_t i = 0; i < x->size(); ++i) {
    out.push_back((*x)[i].is_const() ? (*x)[i] : (*y)[i].is_const() ? (*y)[i] : b.unknown());
  }
  return out;
}

Tensor empty(Emitter& b, DType dtype, std::optional<Shape> element) {
  const Tensor y = b.op("SequenceEmpty", {}, {{"dtype", static_cast<int64_t>(dtype)}}, dtype, 0);
  return b.list_of(y, dtype, std::move(element));
}

Tensor length(Emitter& b, const Tensor& list) {
  return b.shaped(b.op("SequenceLength", {list}, {}, DType::kI64, 0), {});
}

/// Element `index` set to x: appended, or in the place of the one that is there.
Tensor written(Emitter& b, const Tensor& list, const Tensor& index, const Tensor& x) {
  const Tensor at = i64_scalar(b, index);
  const Tensor is_new = b.op("GreaterOrEqual", {at, length(b, list)}, {}, DType::kBool, 0);
  const std::optional<Shape> element =
      x.rank == kUnknownRank ? std::nullopt : std::optional(b.shape(x));
  // The If has a body on either side: the list as it is, and without the element.
  auto keep = std::make_shared<Graph>(&b.graph());
  auto drop = std::make_shared<Graph>(&b.graph());
  Emitter keeper(*keep, b.shared), dropper(*drop, b.shared);
  const std::optional<Shape> held = merged(b, b.element_of(list), element);
  const auto finish = [&](Graph& graph, Emitter& e, const Tensor& y) {
    graph.outputs.push_back(e.list_of(y, list.dtype, held).value);
  };
  if (b.failed()) return list;
  finish(*keep, keeper, keeper.op("Identity", {list}));
  finish(*drop, dropper, dropper.op("SequenceErase", {list, at}));
  const Tensor base = b.list_of(
      b.op("If", {is_new}, {{"then_branch", std::move(keep)}, {"else_branch", std::move(drop)}},
           list.dtype, 0),
      list.dtype, held);
  return b.list_of(b.op("SequenceInsert", {base, x, at}), list.dtype, held);
}

Tensor read(Emitter& b, const Tensor& list, const Tensor& index,
            const std::optional<Shape>& wanted) {
  const auto element = merged(b, b.element_of(list), wanted);
  const Tensor y = b.op("SequenceAt", {list, i64_scalar(b, index)}, {}, list.dtype,
                        element ? element->size() : kUnknownRank);
  return element ? b.shaped(y, *element) : y;
}

Tensor stacked(Emitter& b, const Tensor& list, const std::optional<Shape>& wanted) {
  const auto element = merged(b, b.element_of(list), wanted);
  const Tensor y =
      b.op("ConcatFromSequence", {list}, {{"axis", int64_t{0}}, {"new_axis", int64_t{1}}},
           list.dtype, element ? element->size() + 1 : kUnknownRank);
  if (!element) return y;
  Shape dims = *element;
  dims.insert(dims.begin(), b.unknown());
  return b.shaped(y, dims);
}

Tensor unstacked(Emitter& b, const Tensor& x) {
  std::optional<Shape> element;
  if (x.rank != kUnknownRank && x.rank > 0) {
    element = b.shape(x);
    element->erase(element->begin());
  }
  const Tensor y = b.op("SplitToSequence", {x}, {{"axis", int64_t{0}}, {"keepdims", int64_t{0}}});
  return b.list_of(y, x.dtype, element);
}

/// All elements joined along their first axis, and how long each was.
void joined(Call& c, const Tensor& list, const std::optional<Shape>& wanted) {
  Emitter& b = c.b;
  const auto element = merged(b, b.element_of(list), wanted);
  const Tensor y = b.op("ConcatFromSequence", {list}, {{"axis", int64_t{0}}}, list.dtype,
                        element ? element->size() : kUnknownRank);
  if (!element) return c.set(y);
  Shape dims = *element;
  if (!dims.empty()) dims[0] = b.unknown();
  c.set(b.shaped(y, dims));
}

Tensor parts_of(Emitter& b, const Tensor& x, const Tensor& lengths) {
  std::optional<Shape> element;
  if (x.rank != kUnknownRank && x.rank > 0) {
    element = b.shape(x);
    (*element)[0] = b.unknown();
  }
  return b.list_of(b.op("SplitToSequence", {x, b.as_i64(lengths)}, {{"axis", int64_t{0}}}), x.dtype,
                   element);
}

// TensorArrays: handle and flow.

void array(Call& c, std::string_view) {
  const Tensor list = empty(c.b, c.type("dtype", DType::kF32), attribute_shape(c, "element_shape"));
  c.set(list, 0);
  c.set(list, 1);
}

void array_write(Call& c, std::string_view) { c.set(written(c.b, c.in(3), c.in(1), c.in(2))); }
void array_read(Call& c, std::string_view) { c.set(read(c.b, c.in(2), c.in(1), {})); }
void array_gather(Call& c, std::string_view) {
  c.set(stacked(c.b, c.in(2), attribute_shape(c, "element_shape")));
}
void array_scatter(Call& c, std::string_view) { c.set(unstacked(c.b, c.in(2))); }
void array_concat(Call& c, std::string_view) { joined(c, c.in(1), {}); }
void array_split(Call& c, std::string_view) { c.set(parts_of(c.b, c.in(1), c.in(2))); }
void array_size(Call& c, std::string_view) { c.set(c.b.cast(length(c.b, c.in(1)), DType::kI32)); }

// TensorLists: the handle is the list.

void list_empty(Call& c, std::string_view) {
  c.set(empty(c.b, c.type("element_dtype", DType::kF32), element_shape(c.b, c.in(0))));
}
void list_set(Call& c, std::string_view) { c.set(written(c.b, c.in(0), c.in(1), c.in(2))); }
void list_get(Call& c, std::string_view) {
  const auto wanted = c.count() > 2 ? element_shape(c.b, c.in(2)) : std::nullopt;
  c.set(read(c.b, c.in(0), c.in(1), wanted));
}
void list_stack(Call& c, std::string_view) {
  c.set(stacked(c.b, c.in(0), c.count() > 1 ? element_shape(c.b, c.in(1)) : std::nullopt));
}
void list_from(Call& c, std::string_view) { c.set(unstacked(c.b, c.in(0))); }
void list_push(Call& c, std::string_view) {
  const Tensor x = c.in(1);
  const auto element = x.rank == kUnknownRank ? std::nullopt : std::optional(c.b.shape(x));
  c.set(c.b.list_of(c.b.op("SequenceInsert", {c.in(0), x}), c.in(0).dtype,
                    merged(c.b, c.b.element_of(c.in(0)), element)));
}
void list_pop(Call& c, std::string_view) {
  Emitter& b = c.b;
  const Tensor list = c.in(0);
  const Tensor last = b.op("Sub", {length(b, list), b.integer(1)}, {}, DType::kI64, 0);
  c.set(b.list_of(b.op("SequenceErase", {list}), list.dtype, b.element_of(list)), 0);
  c.set(read(b, list, last, c.count() > 1 ? element_shape(b, c.in(1)) : std::nullopt), 1);
}
void list_length(Call& c, std::string_view) { c.set(c.b.cast(length(c.b, c.in(0)), DType::kI32)); }
void list_same(Call& c, std::string_view) { c.set(c.in(0)); }
void list_concat(Call& c, std::string_view) {
  joined(c, c.in(0), c.count() > 1 ? element_shape(c.b, c.in(1)) : std::nullopt);
}
void list_split(Call& c, std::string_view) { c.set(parts_of(c.b, c.in(0), c.in(2))); }
void list_gather(Call& c, std::string_view) {
  Emitter& b = c.b;
  const Tensor all = stacked(b, c.in(0), c.count() > 2 ? element_shape(b, c.in(2)) : std::nullopt);
  if (all.rank == kUnknownRank) return c.unsupported("elements whose rank is not known");
  c.set(b.op("Gather", {all, c.in(1)}, {{"axis", int64_t{0}}}, all.dtype, all.rank));
}

constexpr Operator kOperators[] = {
    {"TensorArrayV3", "SequenceEmpty", array, "handle flow"},
    {"TensorArrayWriteV3", "SequenceInsert", array_write},
    {"TensorArrayReadV3", "SequenceAt", array_read},
    {"TensorArrayGatherV3", "ConcatFromSequence", array_gather},
    {"TensorArrayScatterV3", "SplitToSequence", array_scatter},
    {"TensorArrayConcatV3", "ConcatFromSequence", array_concat, "value lengths"},
    {"TensorArraySplitV3", "SplitToSequence", array_split},
    {"TensorArraySizeV3", "SequenceLength", array_size},
    {"EmptyTensorList", "SequenceEmpty", list_empty},
    {"TensorListReserve", "SequenceEmpty", list_empty},
    {"TensorListSetItem", "SequenceInsert", list_set},
    {"TensorListGetItem", "SequenceAt", list_get},
    {"TensorListStack", "ConcatFromSequence", list_stack},
    {"TensorListFromTensor", "SplitToSequence", list_from},
    {"TensorListScatter", "SplitToSequence", list_from},
    {"TensorListScatterV2", "SplitToSequence", list_from},
    {"TensorListPushBack", "SequenceInsert", list_push},
    {"TensorListPopBack", "SequenceErase, SequenceAt", list_pop, "output_handle tensor"},
    {"TensorListLength", "SequenceLength", list_length},
    {"TensorListResize", "", list_same},
    {"TensorListConcat", "ConcatFromSequence", list_concat, "tensor lengths"},
    {"TensorListConcatV2", "ConcatFromSequence", list_concat, "tensor lengths"},
    {"TensorListSplit", "SplitToSequence", list_split},
    {"TensorListGather", "ConcatFromSequence, Gather", list_gather},
};

}  // namespace

std::span<const Operator> list_operators() { return kOperators; }

}  // namespace quern::tensorflow
