#include "ir/complex.h"

#include <algorithm>

namespace quern {
namespace {

bool is_complex(const Value* value) {
  return value != nullptr && value->type.is_tensor() &&
         (value->type.dtype == DType::kC64 || value->type.dtype == DType::kC128);
}

}  // namespace

bool has_complex(const Node& node) {
  return std::ranges::any_of(node.inputs, is_complex) ||
         std::ranges::any_of(node.outputs, is_complex);
}

}  // namespace quern
