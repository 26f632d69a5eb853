// StringConcat: two tensors of strings joined element by element, broadcast.
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {
namespace {

/// The element of a tensor that broadcasts to an element of `to`.
int64_t broadcast_index(int64_t element, const Dims& to, const Dims& from) {
  int64_t index = 0;
  int64_t stride = 1;
  for (size_t k = 0; k < from.size(); ++k) {
    const int64_t extent = to[to.size() - 1 - k];
    const int64_t own = from[from.size() - 1 - k];
    if (own != 1) index += element % extent * stride;
    element /= extent;
    stride *= own;
  }
  return index;
}

}  // namespace

extern const OpDef op_string_concat;
const OpDef op_string_concat = {
    .name = "StringConcat",
    .since = 20,
    .min_inputs = 2,
    .max_inputs = 2,
    .types = type_bit(DType::kString),
    .is_host = true,
    .infer = [](InferContext& c) { return infer_broadcast(c); },
    .eval = [](EvalContext& c) -> Result<void> {
      HostTensor& out = c.out(0);
      uint64_t bytes = 0;
      for (int64_t i = 0; i < out.count(); ++i) {
        std::string& joined = out.strings[static_cast<size_t>(i)];
        for (size_t k = 0; k < 2; ++k) {
          const HostTensor& in = c.in(k);
          joined += in.strings[static_cast<size_t>(broadcast_index(i, out.dims, in.dims))];
        }
        bytes += joined.size();
        // Broadcasting a few long strings may make many.
        if (bytes > (uint64_t{1} << 30))
          return limit_exceeded("joined strings take more than 1 GB");
      }
      return {};
    },
};

}  // namespace quern
