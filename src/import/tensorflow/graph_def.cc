#include "import/tensorflow/graph_def.h"

#include <bit>
#include <cstring>

namespace quern::tensorflow {
namespace {

constexpr size_t kMostNodes = 1'000'000;
/// Elements that a value given once stands for.
constexpr int64_t kMostRepeated = int64_t{1} << 26;

class Reader {
 public:
  Reader(Bytes file, uint64_t stay_from) : file_(file), stay_from_(stay_from) {}

  Result<GraphDef> graph(Bytes message) {
    GraphDef out;
    FieldReader in(message);
    while (in.next()) {
      if (in.key() == bytes_field(1)) {
        QUERN_ASSIGN(NodeDef node, this->node(in.bytes()));
        out.nodes.push_back(std::move(node));
      } else if (in.key() == bytes_field(2)) {
        QUERN_TRY(library(in.bytes(), out));
      }
    }
    QUERN_TRY(in.status());
    return out;
  }

 private:
  Result<void> library(Bytes message, GraphDef& out) {
    FieldReader in(message);
    while (in.next()) {
      if (in.key() != bytes_field(1)) continue;
      QUERN_ASSIGN(FunctionDef function, this->function(in.bytes()));
      std::string name = function.name;
      out.functions.insert_or_assign(std::move(name), std::move(function));
    }
    return in.status();
  }

  Result<FunctionDef> function(Bytes message) {
    FunctionDef out;
    FieldReader in(message);
    while (in.next()) {
      switch (in.key()) {
        case bytes_field(1):
          QUERN_TRY(signature(in.bytes(), out));
          break;
        case bytes_field(3): {
          QUERN_ASSIGN(NodeDef node, this->node(in.bytes()));
          out.nodes.push_back(std::move(node));
          break;
        }
        case bytes_field(4): {
          std::string key, value;
          FieldReader entry(in.bytes());
          while (entry.next()) {
            if (entry.key() == bytes_field(1)) key = entry.text();
            if (entry.key() == bytes_field(2)) value = entry.text();
          }
          QUERN_TRY(entry.status());
          out.results[key] = value;
          break;
        }
        default:
          break;
      }
    }
    QUERN_TRY(in.status());
    return out;
  }

  static Result<void> signature(Bytes message, FunctionDef& out) {
    FieldReader in(message);
    while (in.next()) {
      if (in.key() == bytes_field(1)) out.name = in.text();
      if (in.key() != bytes_field(2) && in.key() != bytes_field(3)) continue;
      FunctionArgument argument;
      FieldReader fields(in.bytes());
      while (fields.next()) {
        if (fields.key() == bytes_field(1)) argument.name = fields.text();
        if (fields.key() == varint_field(3)) argument.dtype = dtype_of(fields.integer());
      }
      QUERN_TRY(fields.status());
      (in.key() == bytes_field(2) ? out.inputs : out.outputs).push_back(std::move(argument));
    }
    return in.status();
  }

  Result<NodeDef> node(Bytes message) {
    if (++nodes_ > kMostNodes) return limit_exceeded(cat("more than ", kMostNodes, " nodes"));
    NodeDef out;
    FieldReader in(message);
    while (in.next()) {
      switch (in.key()) {
        case bytes_field(1):
          out.name = in.text();
          break;
        case bytes_field(2):
          out.op = in.text();
          break;
        case bytes_field(3):
          out.inputs.emplace_back(in.text());
          break;
        case bytes_field(5): {
          std::string key;
          Bytes value;
          FieldReader entry(in.bytes());
          while (entry.next()) {
            if (entry.key() == bytes_field(1)) key = entry.text();
            if (entry.key() == bytes_field(2)) value = entry.bytes();
          }
          QUERN_TRY(entry.status());
          auto read = attribute(value);
          if (!read)
            return std::unexpected(std::move(read).error().in(cat("node '", out.name, "'")));
          out.attributes[key] = *std::move(read);
          break;
        }
        default:
          break;
      }
    }
    QUERN_TRY(in.status());
    if (out.name.empty() || out.op.empty()) return invalid_model("a node without name or operator");
    return out;
  }

  Result<Attribute> attribute(Bytes message) {
    Attribute out;
    FieldReader in(message);
    while (in.next()) {
      switch (in.key()) {
        case bytes_field(1):
          QUERN_TRY(list(in.bytes(), out));
          break;
        case bytes_field(2):
          out.s = std::string(in.text());
          break;
        case varint_field(3):
          out.i = in.integer();
          break;
        case fixed32_field(4):
          out.f = in.f32();
          break;
        case varint_field(5):
          out.b = in.value() != 0;
          break;
        case varint_field(6):
          out.type = dtype_of(in.integer());
          break;
        case bytes_field(7): {
          QUERN_ASSIGN(out.shape, read_shape(in.bytes()));
          break;
        }
        case bytes_field(8): {
          QUERN_ASSIGN(out.tensor, tensor(in.bytes()));
          break;
        }
        case bytes_field(10): {
          QUERN_ASSIGN(out.s, function_name(in.bytes()));
          break;
        }
        default:
          break;
      }
    }
    QUERN_TRY(in.status());
    return out;
  }

  /// Of a NameAttrList.
  static Result<std::string> function_name(Bytes message) {
    std::string name;
    FieldReader in(message);
    while (in.next()) {
      if (in.key() == bytes_field(1)) name = in.text();
    }
    QUERN_TRY(in.status());
    return name;
  }

  static Result<void> list(Bytes message, Attribute& out) {
    std::vector<float> floats;
    std::vector<int64_t> types;
    FieldReader in(message);
    while (in.next()) {
      switch (in.number()) {
        case 2:
          out.strings.emplace_back(in.text());
          break;
        case 3:
          QUERN_TRY(append_varints(in, out.ints));
          break;
        case 4:
          QUERN_TRY(append_floats(in, floats));
          break;
        case 6:
          QUERN_TRY(append_varints(in, types));
          break;
        case 9: {
          QUERN_ASSIGN(std::string name, function_name(in.bytes()));
          out.functions.push_back(std::move(name));
          break;
        }
        default:
          break;
      }
    }
    out.floats.assign(floats.begin(), floats.end());
    for (const int64_t type : types) out.types.push_back(dtype_of(type));
    return in.status();
  }

  Result<StoredTensor> tensor(Bytes message) {
    StoredTensor out;
    Bytes content;
    std::vector<int64_t> ints, halves;
    std::vector<float> floats;
    std::vector<double> doubles;
    std::vector<std::string> strings;
    FieldReader in(message);
    while (in.next()) {
      switch (in.number()) {
        case 1:
          out.dtype = dtype_of(in.integer());
          break;
        case 2: {
          QUERN_ASSIGN(const PartialShape read, read_shape(in.bytes()));
          if (!read) return invalid_model("a tensor of unknown rank");
          out.dims = *read;
          break;
        }
        case 4:
          content = in.bytes();
          break;
        case 5:
          QUERN_TRY(append_floats(in, floats));
          break;
        case 6: {
          const Bytes bytes = in.bytes();
          if (in.key() == fixed64_field(6)) doubles.push_back(std::bit_cast<double>(in.value()));
          for (size_t i = 0; i + 8 <= bytes.size(); i += 8) {
            doubles.push_back(load_float(DType::kF64, bytes.data() + i, 0));
          }
          break;
        }
        case 7:
        case 10:
        case 11:
        case 16:
        case 17:
          QUERN_TRY(append_varints(in, ints));
          break;
        case 8:
          strings.emplace_back(in.text());
          break;
        case 13:
          QUERN_TRY(append_varints(in, halves));
          break;
        default:
          break;
      }
    }
    QUERN_TRY(in.status());
    QUERN_ASSIGN(const int64_t count, element_count(out.dims));
    if (out.dtype == DType::kString) {
      // Only what nothing computes with is made of strings.
      out.host = HostTensor{DType::kString, out.dims, {}, {}};
      if (count > static_cast<int64_t>(kMostNodes)) return limit_exceeded("strings");
      strings.resize(static_cast<size_t>(count));
      out.host->strings = std::move(strings);
      return out;
    }
    if (bit_width(out.dtype) == 0) return out;
    const uint64_t bytes = byte_size(out.dtype, static_cast<uint64_t>(count));
    if (!content.empty()) {
      if (content.size() != bytes) {
        return invalid_model(cat("a tensor of ", bytes, " bytes has ", content.size()));
      }
      out.offset = static_cast<uint64_t>(content.data() - file_.data());
      out.size = bytes;
      if (bytes < stay_from_) {
        out.host = HostTensor{out.dtype, out.dims, {content.begin(), content.end()}, {}};
      }
      return out;
    }
    // Elements one by one: the last one stands for all that follow.
    if (count > kMostRepeated) return limit_exceeded(cat("a tensor of ", count, " equal elements"));
    QUERN_ASSIGN(HostTensor host, HostTensor::zeros(out.dtype, out.dims));
    const size_t given = !floats.empty()    ? floats.size()
                         : !doubles.empty() ? doubles.size()
                         : !halves.empty()  ? halves.size()
                                            : ints.size();
    for (int64_t i = 0; given > 0 && i < count; ++i) {
      const size_t at = std::min(static_cast<size_t>(i), given - 1);
      if (!floats.empty()) {
        host.set_float(i, static_cast<double>(floats[at]));
      } else if (!doubles.empty()) {
        host.set_float(i, doubles[at]);
      } else if (!halves.empty()) {
        store_bits(out.dtype, host.bytes.data(), i, static_cast<uint64_t>(halves[at]));
      } else {
        host.set_int(i, ints[at]);
      }
    }
    out.host = std::move(host);
    return out;
  }

  Bytes file_;
  uint64_t stay_from_;
  size_t nodes_ = 0;
};

}  // namespace

Result<PartialShape> read_shape(Bytes message) {
  std::vector<int64_t> dims;
  bool unknown = false;
  FieldReader in(message);
  while (in.next()) {
    if (in.key() == varint_field(3)) unknown = in.value() != 0;
    if (in.key() != bytes_field(2)) continue;
    int64_t size = 0;
    FieldReader fields(in.bytes());
    while (fields.next()) {
      if (fields.key() == varint_field(1)) size = fields.integer();
    }
    QUERN_TRY(fields.status());
    dims.push_back(std::max<int64_t>(size, -1));
  }
  QUERN_TRY(in.status());
  if (unknown) return PartialShape();
  return PartialShape(std::move(dims));
}

Result<GraphDef> read_graph_def(Bytes message, uint64_t stay_from, Bytes file) {
  return Reader(file, stay_from).graph(message);
}

}  // namespace quern::tensorflow
