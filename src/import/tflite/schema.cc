#include "import/tflite/schema.h"

namespace quern::tflite {
namespace {

/// Tensors and operators of a file; what a small file can make of itself is bounded by it.
constexpr size_t kMostParts = 1'000'000;

struct TypeRow {
  std::string_view name;
  DType dtype;
};
constexpr TypeRow kTypes[] = {
    {"float32", DType::kF32},  {"float16", DType::kF16},  {"int32", DType::kI32},
    {"uint8", DType::kU8},     {"int64", DType::kI64},    {"string", DType::kUndefined},
    {"bool", DType::kBool},    {"int16", DType::kI16},    {"complex64", DType::kC64},
    {"int8", DType::kI8},      {"float64", DType::kF64},  {"complex128", DType::kC128},
    {"uint64", DType::kU64},   {"resource", DType::kI32}, {"variant", DType::kUndefined},
    {"uint32", DType::kU32},   {"uint16", DType::kU16},   {"int4", DType::kI4},
    {"bfloat16", DType::kBF16}};

class Reader {
 public:
  Reader(FileParts& file, uint64_t inline_below) : file_(file), inline_below_(inline_below) {}

  Result<FileModel> run() {
    const Table root = root_of(file_);
    FileModel out;
    if (!root) return finish(std::move(out));
    const auto version = root.number<uint32_t>(0);
    if (version != 3) file_.fail(cat("version ", version, " of the schema; 3 is read"));
    read_codes(root.vector(1, 4), out);
    read_buffers(root.vector(4, 4), out);
    const Vector subgraphs = root.vector(2, 4);
    for (uint32_t i = 0; i < subgraphs.size() && count(); ++i) {
      out.subgraphs.push_back(read_subgraph(subgraphs.table(i), out));
    }
    read_signatures(root.vector(7, 4), out);
    out.description = root.text(3);
    return finish(std::move(out));
  }

 private:
  Result<FileModel> finish(FileModel out) {
    if (too_many_) return limit_exceeded(cat("more than ", kMostParts, " tensors and operators"));
    if (file_.failure()) return invalid_model(cat("broken TFLite file: ", *file_.failure()));
    return out;
  }

  bool count() {
    if (++parts_ > kMostParts) too_many_ = true;
    return !too_many_;
  }

  void read_codes(const Vector& codes, FileModel& out) {
    for (uint32_t i = 0; i < codes.size() && count(); ++i) {
      const Table code = codes.table(i);
      OperatorCode& one = out.codes.emplace_back();
      // Files of before version 3a have the first field alone.
      one.builtin = std::max<int>(code.number<int8_t>(0), code.number<int32_t>(3));
      one.version = code.number<int32_t>(2, 1);
      if (one.builtin == kCustom) one.custom = code.text(1);
    }
  }

  void read_buffers(const Vector& buffers, FileModel& out) {
    for (uint32_t i = 0; i < buffers.size() && count(); ++i) {
      const Table buffer = buffers.table(i);
      BufferInfo& one = out.buffers.emplace_back();
      // Outside of the flatbuffer in files of more than 2 GB.
      one.offset = buffer.number<uint64_t>(1);
      one.size = buffer.number<uint64_t>(2);
      if (one.offset <= 1) {
        const Vector data = buffer.vector(0, 1);
        one = {data.place(), data.size()};
      } else if (one.offset > file_.size() || one.size > file_.size() - one.offset) {
        file_.fail(cat("buffer ", i, " lies outside of the file"));
      }
    }
  }

  SubgraphInfo read_subgraph(const Table& table, const FileModel& model) {
    SubgraphInfo out;
    const Vector tensors = table.vector(0, 4);
    for (uint32_t i = 0; i < tensors.size() && count(); ++i) {
      out.tensors.push_back(read_tensor(tensors.table(i), model));
    }
    out.inputs = indices(table.vector(1, 4));
    out.outputs = indices(table.vector(2, 4));
    const Vector operators = table.vector(3, 4);
    for (uint32_t i = 0; i < operators.size() && count(); ++i) {
      out.operators.push_back(read_operator(operators.table(i), model));
    }
    out.name = table.text(4);
    return out;
  }

  TensorInfo read_tensor(const Table& table, const FileModel& model) {
    TensorInfo out;
    out.shape = table.vector(0, 4).numbers<int32_t>();
    out.type = table.number<int8_t>(1);
    out.buffer = table.number<uint32_t>(2);
    out.name = table.text(3);
    out.is_variable = table.flag(5);
    out.sparsity = table.table(6);
    out.signature = table.vector(7, 4).numbers<int32_t>();
    if (const Table quantization = table.table(4)) {
      out.quantization.scale = quantization.vector(2, 4).numbers<float>();
      out.quantization.zero_point = quantization.vector(3, 8).numbers<int64_t>();
      out.quantization.axis = quantization.number<int32_t>(6);
    }
    if (out.sparsity) touch_sparsity(out.sparsity);
    if (out.buffer < model.buffers.size()) {
      const BufferInfo& buffer = model.buffers[out.buffer];
      if (buffer.size < inline_below_ || out.sparsity) file_.want(buffer.offset, buffer.size);
    }
    return out;
  }

  void touch(const Vector& vector, size_t width) {
    file_.want(vector.place(), uint64_t{vector.size()} * width);
  }

  void touch_sparsity(const Table& sparsity) {
    touch(sparsity.vector(0, 4), 4);
    touch(sparsity.vector(1, 4), 4);
    const Vector levels = sparsity.vector(2, 4);
    for (uint32_t i = 0; i < levels.size() && count(); ++i) {
      const Table level = levels.table(i);
      for (const unsigned field : {2U, 4U}) {
        const size_t width = index_width(level.number<uint8_t>(field));
        if (width > 0) touch(level.table(field + 1).vector(0, width), width);
      }
    }
  }

  static size_t index_width(uint8_t type) {
    return type == 1 ? 4 : type == 2 ? 2 : type == 3 ? 1 : 0;
  }

  OperatorInfo read_operator(const Table& table, const FileModel& model) {
    OperatorInfo out;
    out.code = table.number<uint32_t>(0);
    out.inputs = indices(table.vector(1, 4));
    out.outputs = indices(table.vector(2, 4));
    out.options = table.table(4);
    out.options2 = table.table(12);
    const int builtin = out.code < model.codes.size() ? model.codes[out.code].builtin : -1;
    touch_options(out, builtin);
    const auto offset = table.number<uint64_t>(9);
    if (offset > 1) {
      out.custom = file_.bytes(offset, table.number<uint64_t>(10));
    } else {
      out.custom = table.vector(5, 1).bytes();
    }
    return out;
  }

  /// Options that are vectors or texts: translators read them later.
  void touch_options(const OperatorInfo& op, int builtin) {
    constexpr int kReshape = 22;
    constexpr int kSqueeze = 43;
    constexpr int kVarHandle = 142;
    constexpr int kBucketize = 147;
    if (builtin == kReshape || builtin == kSqueeze || builtin == kBucketize) {
      touch(op.options.vector(0, 4), 4);
    } else if (builtin == kVarHandle) {
      (void)op.options.text(0);
      (void)op.options.text(1);
    }
  }

  void read_signatures(const Vector& signatures, FileModel& out) {
    const auto names = [&](const Vector& list) {
      std::vector<std::pair<std::string, uint32_t>> pairs;
      for (uint32_t i = 0; i < list.size() && count(); ++i) {
        const Table one = list.table(i);
        pairs.emplace_back(one.text(0), one.number<uint32_t>(1));
      }
      return pairs;
    };
    for (uint32_t i = 0; i < signatures.size() && count(); ++i) {
      const Table one = signatures.table(i);
      SignatureInfo& signature = out.signatures.emplace_back();
      signature.inputs = names(one.vector(0, 4));
      signature.outputs = names(one.vector(1, 4));
      signature.key = one.text(2);
      signature.subgraph = one.number<uint32_t>(4);
    }
  }

  static std::vector<int32_t> indices(const Vector& list) { return list.numbers<int32_t>(); }

  FileParts& file_;
  uint64_t inline_below_;
  size_t parts_ = 0;
  bool too_many_ = false;
};

}  // namespace

DType dtype_of(int type) {
  return type >= 0 && static_cast<size_t>(type) < std::size(kTypes) ? kTypes[type].dtype
                                                                    : DType::kUndefined;
}

std::string_view type_name(int type) {
  return type >= 0 && static_cast<size_t>(type) < std::size(kTypes) ? kTypes[type].name : "unknown";
}

Result<FileModel> read_file(FileParts& file, uint64_t inline_below) {
  file.restart();
  return Reader(file, inline_below).run();
}

}  // namespace quern::tflite
