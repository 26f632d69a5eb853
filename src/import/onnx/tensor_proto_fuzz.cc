// Any bytes are a tensor, a container or a sparse tensor, or an error. The first byte says which.
#include <cstdlib>

#include "import/onnx/tensor_proto.h"

namespace {

bool fits(const quern::HostValue& value) {
  const quern::HostTensor& t = value.tensor;
  if (value.kind == quern::Type::Kind::kTensor) {
    return t.dtype == quern::DType::kString
               ? t.strings.size() == static_cast<size_t>(t.count())
               : t.bytes.size() == quern::byte_size(t.dtype, static_cast<uint64_t>(t.count()));
  }
  for (const quern::HostValue& element : value.elements) {
    if (!fits(element)) return false;
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using Kind = quern::Type::Kind;
  if (size == 0) return 0;
  const quern::Bytes message(data + 1, size - 1);
  if (data[0] % 5 == 4) {
    (void)quern::parse_sparse_tensor_proto(message, 1 << 20);
    return 0;
  }
  const auto value = quern::parse_value_proto(message, static_cast<Kind>(data[0] % 5));
  static_assert(static_cast<int>(Kind::kMap) == 3);
  if (value && !fits(*value)) std::abort();
  return 0;
}
