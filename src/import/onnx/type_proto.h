// ONNX TypeProto: types of values, and the names of symbolic dims.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>

#include "base/result.h"
#include "import/scan/protobuf.h"
#include "ir/graph.h"

namespace quern {

/// Reads types; knows which symbols the inputs bind.
class TypeReader {
 public:
  /// The type of an input of the main graph. Named dims are symbols, shared by name; unknown ones
  /// become symbols of their own, "x_d0" for dim 0 of input x.
  Result<Type> input(std::string_view name, Bytes type_proto);
  /// The declared type of any other value. Its shape is kept where every dim is a number or a
  /// symbol of an input: what else a model claims is for shape inference to find.
  Result<Type> declared(Bytes type_proto) const;

 private:
  Result<Type> read(Bytes type_proto, int depth) const;

  std::set<std::string, std::less<>> symbols_;
};

}  // namespace quern
