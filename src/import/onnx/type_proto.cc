#include "import/onnx/type_proto.h"

#include "import/onnx/tensor_proto.h"

namespace quern {
namespace {

constexpr int kMaxTypeDepth = 8;

/// A TypeProto taken apart: the one field that says the kind, and what is inside it.
struct TypeFields {
  uint32_t kind = 0;         // TypeProto's field number; 0 where none is set
  int64_t element_type = 0;  // a map's: of its keys
  Bytes element;             // a sequence's or optional's
  bool has_shape = false;
  Bytes shape;  // a map's: the type of its values, which has the same number
};

Result<TypeFields> read_fields(Bytes type_proto) {
  TypeFields fields;
  FieldReader in(type_proto);
  while (in.next()) {
    switch (in.key()) {
      case bytes_field(1):  // tensor
      case bytes_field(4):  // sequence
      case bytes_field(5):  // map
      case bytes_field(7):  // opaque
      case bytes_field(8):  // sparse tensor
      case bytes_field(9):
        break;  // optional
      default:
        continue;
    }
    fields = {.kind = in.number()};
    FieldReader inner(in.bytes());
    while (inner.next()) {
      switch (inner.key()) {
        case varint_field(1):
          fields.element_type = inner.integer();
          break;
        case bytes_field(1):
          fields.element = inner.bytes();
          break;
        case bytes_field(2):
          fields.has_shape = true;
          fields.shape = inner.bytes();
          break;
        default:
          break;
      }
    }
    QUERN_TRY(inner.status());
  }
  QUERN_TRY(in.status());
  return fields;
}

struct DimFields {
  int64_t value = -1;      // negative: unknown
  std::string_view param;  // empty: none
};

Result<DimFields> read_dim(Bytes dimension) {
  DimFields dim;
  FieldReader in(dimension);
  while (in.next()) {
    if (in.key() == varint_field(1)) dim = {.value = in.integer()};
    if (in.key() == bytes_field(2)) dim = {.param = in.text()};
  }
  QUERN_TRY(in.status());
  if (dim.param == "?") dim.param = {};
  return dim;
}

/// Calls `add` with each dim of a TensorShapeProto.
template <class Add>
Result<void> for_each_dim(Bytes shape, Add add) {
  size_t rank = 0;
  FieldReader in(shape);
  while (in.next()) {
    if (in.key() != bytes_field(1)) continue;
    if (++rank > kMaxRank) return unsupported(cat("more than ", kMaxRank, " dims"));
    QUERN_ASSIGN(const DimFields dim, read_dim(in.bytes()));
    add(dim);
  }
  return in.status();
}

}  // namespace

Result<Type> TypeReader::read(Bytes type_proto, int depth) const {
  if (depth > kMaxTypeDepth) return limit_exceeded("a type is nested too deep");
  QUERN_ASSIGN(const TypeFields fields, read_fields(type_proto));
  Type type;
  switch (fields.kind) {
    case 0:
      return type;
    case 1: {
      QUERN_ASSIGN(type.dtype, dtype_of_onnx(fields.element_type));
      if (!fields.has_shape) return type;
      Shape shape;
      bool known = true;
      QUERN_TRY(for_each_dim(fields.shape, [&](const DimFields& dim) {
        if (dim.value >= 0) {
          shape.push_back(dim.value);
        } else if (depth > 0) {
          shape.push_back(Dim::symbol("_any"));  // elements may differ
        } else if (symbols_.contains(dim.param)) {
          shape.push_back(Dim::symbol(std::string(dim.param)));
        } else {
          known = false;
        }
      }));
      if (known) type.shape = std::move(shape);
      return type;
    }
    case 4:
    case 9: {
      QUERN_ASSIGN(Type element, read(fields.element, depth + 1));
      return Type::container(fields.kind == 4 ? Type::Kind::kSequence : Type::Kind::kOptional,
                             std::move(element));
    }
    case 5: {
      QUERN_ASSIGN(const DType key, dtype_of_onnx(fields.element_type));
      QUERN_ASSIGN(Type element, read(fields.shape, depth + 1));
      return Type::container(Type::Kind::kMap, std::move(element), key);
    }
    case 8:
      return unsupported("sparse tensors");
    default:
      return unsupported("opaque types");
  }
}

Result<Type> TypeReader::declared(Bytes type_proto) const { return read(type_proto, 0); }

Result<Type> TypeReader::input(std::string_view name, Bytes type_proto) {
  QUERN_ASSIGN(const TypeFields fields, read_fields(type_proto));
  if (fields.kind == 0) return invalid_model("it has no type");
  if (fields.kind != 1) return read(type_proto, 0);
  Type type;
  QUERN_ASSIGN(type.dtype, dtype_of_onnx(fields.element_type));
  if (!fields.has_shape) return type;
  Shape shape;
  QUERN_TRY(for_each_dim(fields.shape, [&](const DimFields& dim) {
    if (dim.value >= 0) {
      shape.push_back(dim.value);
      return;
    }
    std::string symbol(dim.param);
    if (symbol.empty()) symbol = cat(name, "_d", shape.size());
    symbols_.insert(symbol);
    shape.push_back(Dim::symbol(std::move(symbol)));
  }));
  type.shape = std::move(shape);
  return type;
}

}  // namespace quern
