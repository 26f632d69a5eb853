// STFT: the discrete Fourier transforms of overlapping frames of a signal.
#include "ops/common/expansion.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"onesided", AttributeKind::kInt}};
enum Input : size_t { kSignal, kStep, kWindow, kLength };

Result<void> infer(InferContext& c) {
  c.set(0, c.dtype(kSignal), std::nullopt);
  const Shape* x = c.shape(kSignal);
  if (x == nullptr) return {};
  if (x->size() != 2 && x->size() != 3) {
    return c.error(cat("a signal of shape ", *x, ", expected [batch, length, 1 or 2]"));
  }
  // The expanded nodes say more.
  c.set(0, c.dtype(kSignal), Shape{(*x)[0], c.fresh_dim(0, 1), c.fresh_dim(0, 2), 2});
  return {};
}

Result<bool> expand(Graph& graph, Node& node) {
  Expansion e(graph, node);
  Value* signal = node.input(kSignal);
  if (!signal->type.shape) return unsupported(cat(node.describe(), ": a signal of unknown rank"));
  if (signal->type.shape->size() == 2) {  // real, without the axis of parts
    signal = e.add_in("", 13, "Unsqueeze", {signal, e.ints({2})});
  }
  Value* frames = e.add_in("quern", 1, "Frame",
                           {signal, node.input(kStep), node.input(kWindow), node.input(kLength)});
  e.replace(0, e.add_in("", 17, "DFT", {frames},
                        {{"axis", int64_t{2}}, {"onesided", node.int_or("onesided", 1)}}));
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_stft;
const OpDef op_stft = {
    .name = "STFT",
    .since = 17,
    .min_inputs = 2,
    .max_inputs = 4,
    .types = kFloats,
    .attributes = kAttributes,
    .host_inputs = 1 << kStep | 1 << kLength,
    .infer = infer,
    .expand = expand,
};

}  // namespace quern
