#include "import/tflite/file_testing.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "import/convert/importer.h"
#include "import/convert/run_testing.h"
#include "import/tflite/mutate.h"
#include "ir/print.h"
#include "ir/tensor.h"

namespace quern::testing {
namespace {

template <class T>
std::string raw(const std::vector<T>& values) {
  std::string out(values.size() * sizeof(T), '\0');
  if (!values.empty()) std::memcpy(out.data(), values.data(), out.size());
  return out;
}

struct Parsed {
  int type = 0;
  DType dtype = DType::kF32;
  std::vector<int32_t> dims;
};

Parsed parse(std::string_view text) {
  struct Row {
    std::string_view name;
    int type;
    DType dtype;
  };
  constexpr Row kRows[] = {
      {"f32", 0, DType::kF32},   {"f16", 1, DType::kF16},  {"i32", 2, DType::kI32},
      {"u8", 3, DType::kU8},     {"i64", 4, DType::kI64},  {"str", 5, DType::kString},
      {"bool", 6, DType::kBool}, {"i16", 7, DType::kI16},  {"c64", 8, DType::kC64},
      {"i8", 9, DType::kI8},     {"res", 13, DType::kI32}, {"u32", 15, DType::kU32},
      {"i4", 17, DType::kI4}};
  Parsed out;
  const size_t open = text.find('[');
  const Row* row = std::ranges::find(kRows, text.substr(0, open), &Row::name);
  out.type = row->type;
  out.dtype = row->dtype;
  std::string word;
  for (const char c : text.substr(open + 1)) {
    if (c == ',' || c == ']') {
      if (!word.empty()) out.dims.push_back(std::stoi(word));
      word.clear();
    } else if (c != ' ') {
      word += c;
    }
  }
  return out;
}

}  // namespace

FlatWriter::Field FlatWriter::byte(unsigned id, int value) {
  return {id, std::string(1, static_cast<char>(value))};
}
FlatWriter::Field FlatWriter::word(unsigned id, int32_t value) {
  return {id, raw(std::vector<int32_t>{value})};
}
FlatWriter::Field FlatWriter::wide(unsigned id, uint64_t value) {
  return {id, raw(std::vector<uint64_t>{value})};
}
FlatWriter::Field FlatWriter::real(unsigned id, float value) {
  return {id, raw(std::vector<float>{value})};
}
FlatWriter::Field FlatWriter::text(unsigned id, std::string value) {
  return {id, [value](FlatWriter& w) {
            return w.add_vector(static_cast<uint32_t>(value.size()),
                                cat(value, std::string(1, '\0')));
          }};
}
FlatWriter::Field FlatWriter::ints(unsigned id, std::vector<int32_t> values) {
  return {id, [values](FlatWriter& w) {
            return w.add_vector(static_cast<uint32_t>(values.size()), raw(values));
          }};
}
FlatWriter::Field FlatWriter::longs(unsigned id, std::vector<int64_t> values) {
  return {id, [values](FlatWriter& w) {
            return w.add_vector(static_cast<uint32_t>(values.size()), raw(values));
          }};
}
FlatWriter::Field FlatWriter::reals(unsigned id, std::vector<float> values) {
  return {id, [values](FlatWriter& w) {
            return w.add_vector(static_cast<uint32_t>(values.size()), raw(values));
          }};
}
FlatWriter::Field FlatWriter::bytes(unsigned id, std::string value) {
  return {id, [value](FlatWriter& w) {
            return w.add_vector(static_cast<uint32_t>(value.size()), value);
          }};
}
FlatWriter::Field FlatWriter::table(unsigned id, std::vector<Field> fields) {
  return {id, [fields](FlatWriter& w) { return w.add_table(fields); }};
}
FlatWriter::Field FlatWriter::tables(unsigned id, std::vector<std::vector<Field>> tables) {
  return {id, [tables](FlatWriter& w) {
            const size_t at = w.add_vector(static_cast<uint32_t>(tables.size()),
                                           std::string(4 * tables.size(), '\0'));
            for (size_t i = 0; i < tables.size(); ++i) {
              const size_t entry = at + 4 + 4 * i;
              w.put(entry, static_cast<uint32_t>(w.add_table(tables[i]) - entry));
            }
            return at;
          }};
}

void FlatWriter::put(size_t at, uint32_t value) { std::memcpy(out_.data() + at, &value, 4); }

size_t FlatWriter::place() {
  out_.resize((out_.size() + 7) / 8 * 8);
  return out_.size();
}

size_t FlatWriter::add_vector(uint32_t count, std::string_view content) {
  const size_t at = place();
  out_.resize(at + 4);
  put(at, count);
  out_.insert(out_.end(), content.begin(), content.end());
  return at;
}

size_t FlatWriter::add_table(const std::vector<Field>& fields) {
  unsigned slots = 0;
  for (const Field& field : fields) slots = std::max(slots, field.id + 1);
  const size_t vtable = place();
  out_.resize(vtable + 4 + 2 * size_t{slots});
  const size_t at = place();
  out_.resize(at + 4);
  put(at, static_cast<uint32_t>(at - vtable));
  const auto half = [&](size_t where, size_t value) {
    const auto number = static_cast<uint16_t>(value);
    std::memcpy(out_.data() + where, &number, 2);
  };
  std::vector<std::pair<size_t, const Child*>> children;
  for (const Field& field : fields) {
    half(vtable + 4 + 2 * size_t{field.id}, out_.size() - at);
    if (const auto* bytes = std::get_if<std::string>(&field.value)) {
      out_.insert(out_.end(), bytes->begin(), bytes->end());
    } else {
      children.emplace_back(out_.size(), &std::get<Child>(field.value));
      out_.resize(out_.size() + 4);
    }
  }
  half(vtable, 4 + 2 * size_t{slots});
  half(vtable + 2, out_.size() - at);
  for (const auto& [where, child] : children) {
    put(where, static_cast<uint32_t>((*child)(*this) - where));
  }
  return at;
}

std::vector<uint8_t> FlatWriter::file(std::vector<Field> root) {
  FlatWriter w;
  w.out_ = {0, 0, 0, 0, 'T', 'F', 'L', '3'};
  const size_t at = w.add_table(root);
  w.put(0, static_cast<uint32_t>(at));
  return std::move(w.out_);
}

Lite& Lite::quantized(std::vector<float> scale, std::vector<int64_t> zero, int axis) {
  quantization_ = {FlatWriter::reals(2, std::move(scale)), FlatWriter::longs(3, std::move(zero)),
                   FlatWriter::word(6, axis)};
  return *this;
}

int Lite::add_tensor(std::string name, std::string_view type, uint32_t buffer, bool is_variable) {
  const Parsed parsed = parse(type);
  std::vector<int32_t> shape = parsed.dims;
  for (int32_t& dim : shape) dim = std::max(dim, 1);
  auto& tensors = subgraphs_.back().tensors;
  if (name.empty()) name = cat("t", tensors.size());
  std::vector<Field> fields = {FlatWriter::ints(0, shape), FlatWriter::byte(1, parsed.type),
                               FlatWriter::word(2, static_cast<int32_t>(buffer)),
                               FlatWriter::text(3, std::move(name))};
  if (!quantization_.empty()) fields.push_back(FlatWriter::table(4, std::move(quantization_)));
  quantization_.clear();
  if (!sparsity_.empty()) fields.push_back(FlatWriter::table(6, std::move(sparsity_)));
  sparsity_.clear();
  if (is_variable) fields.push_back(FlatWriter::byte(5, 1));
  if (shape != parsed.dims) fields.push_back(FlatWriter::ints(7, parsed.dims));
  tensors.push_back(std::move(fields));
  return static_cast<int>(tensors.size()) - 1;
}

int Lite::tensor(std::string name, std::string_view type) {
  return add_tensor(std::move(name), type, 0, false);
}
int Lite::variable(std::string name, std::string_view type) {
  return add_tensor(std::move(name), type, 0, true);
}
int Lite::input(std::string name, std::string_view type) {
  subgraphs_.back().inputs.push_back(tensor(std::move(name), type));
  return subgraphs_.back().inputs.back();
}

int Lite::constant(std::string_view type, std::vector<double> values) {
  const Parsed parsed = parse(type);
  HostTensor host =
      HostTensor::zeros(parsed.dtype, Dims(parsed.dims.begin(), parsed.dims.end())).value();
  for (size_t i = 0; i < values.size(); ++i) {
    const auto at = static_cast<int64_t>(i);
    if (is_float(parsed.dtype)) {
      host.set_float(at, values[i]);
    } else {
      host.set_int(at, static_cast<int64_t>(values[i]));
    }
  }
  buffers_.emplace_back(host.bytes.begin(), host.bytes.end());
  outside_.push_back(false);
  return add_tensor("", type, static_cast<uint32_t>(buffers_.size() - 1), false);
}

Lite& Lite::sparse(std::vector<Field> fields) {
  sparsity_ = std::move(fields);
  return *this;
}

int Lite::constant_bytes(std::string_view type, std::vector<float> values) {
  buffers_.push_back(raw(values));
  outside_.push_back(false);
  return add_tensor("", type, static_cast<uint32_t>(buffers_.size() - 1), false);
}

int Lite::outside(std::string_view type, std::vector<double> values) {
  const int out = constant(type, std::move(values));
  outside_.back() = true;
  return out;
}

uint32_t Lite::code(int builtin, const std::string& custom, int version) {
  const std::tuple<int, std::string, int> wanted = {builtin, custom, version};
  const auto found = std::ranges::find(codes_, wanted);
  const auto at = static_cast<uint32_t>(found - codes_.begin());
  if (found == codes_.end()) codes_.push_back(wanted);
  return at;
}

std::vector<int> Lite::ops(int builtin, std::vector<int> inputs, std::vector<std::string> types,
                           std::vector<Field> options) {
  std::vector<int> outputs;
  for (const std::string& type : types) outputs.push_back(tensor("", type));
  subgraphs_.back().operators.push_back(
      {FlatWriter::word(0, static_cast<int32_t>(code(builtin, "", 1))),
       FlatWriter::ints(1, {inputs.begin(), inputs.end()}),
       FlatWriter::ints(2, {outputs.begin(), outputs.end()}), FlatWriter::byte(3, 1),
       FlatWriter::table(4, std::move(options))});
  return outputs;
}

int Lite::op(int builtin, std::vector<int> inputs, std::string_view type,
             std::vector<Field> options) {
  return ops(builtin, std::move(inputs), {std::string(type)}, std::move(options))[0];
}

std::vector<int> Lite::custom(std::string name, int version, std::vector<int> inputs,
                              std::vector<std::string> types, std::string options) {
  std::vector<int> outputs;
  for (const std::string& type : types) outputs.push_back(tensor("", type));
  subgraphs_.back().operators.push_back(
      {FlatWriter::word(0, static_cast<int32_t>(code(32, name, version))),
       FlatWriter::ints(1, {inputs.begin(), inputs.end()}),
       FlatWriter::ints(2, {outputs.begin(), outputs.end()}),
       FlatWriter::bytes(5, std::move(options))});
  return outputs;
}

Lite& Lite::output(int tensor) {
  subgraphs_.back().outputs.push_back(tensor);
  return *this;
}

Lite& Lite::subgraph() {
  subgraphs_.emplace_back();
  return *this;
}

Lite& Lite::signature(std::string key, std::vector<std::pair<std::string, int>> inputs,
                      std::vector<std::pair<std::string, int>> outputs) {
  const auto list = [](const std::vector<std::pair<std::string, int>>& names) {
    std::vector<std::vector<Field>> out;
    for (const auto& [name, index] : names) {
      out.push_back({FlatWriter::text(0, name), FlatWriter::word(1, index)});
    }
    return out;
  };
  signatures_.push_back({FlatWriter::tables(0, list(inputs)), FlatWriter::tables(1, list(outputs)),
                         FlatWriter::text(2, std::move(key))});
  return *this;
}

std::vector<uint8_t> Lite::file() const {
  std::vector<uint8_t> out;
  std::vector<uint64_t> places(buffers_.size());
  // Twice: what lies outside comes after the flatbuffer, whose length is known then.
  for (int turn = 0; turn < 2; ++turn) {
    std::vector<std::vector<Field>> codes;
    for (const auto& [builtin, custom, version] : codes_) {
      codes.push_back({FlatWriter::byte(0, std::min(builtin, 127)), FlatWriter::text(1, custom),
                       FlatWriter::word(2, version), FlatWriter::word(3, builtin)});
    }
    std::vector<std::vector<Field>> subgraphs;
    for (const Subgraph& one : subgraphs_) {
      subgraphs.push_back({FlatWriter::tables(0, one.tensors), FlatWriter::ints(1, one.inputs),
                           FlatWriter::ints(2, one.outputs), FlatWriter::tables(3, one.operators),
                           FlatWriter::text(4, "main")});
    }
    std::vector<std::vector<Field>> buffers;
    bool any_outside = false;
    for (size_t i = 0; i < buffers_.size(); ++i) {
      any_outside = any_outside || outside_[i];
      if (outside_[i]) {
        buffers.push_back(
            {FlatWriter::wide(1, places[i] + 2), FlatWriter::wide(2, buffers_[i].size())});
      } else {
        buffers.push_back({FlatWriter::bytes(0, buffers_[i])});
      }
    }
    out = FlatWriter::file({FlatWriter::word(0, 3), FlatWriter::tables(1, codes),
                            FlatWriter::tables(2, subgraphs), FlatWriter::text(3, "a test"),
                            FlatWriter::tables(4, buffers), FlatWriter::tables(7, signatures_)});
    if (!any_outside) return out;
    out.resize(out.size() + 2);
    for (size_t i = 0; i < buffers_.size(); ++i) {
      if (!outside_[i]) continue;
      places[i] = out.size() - 2;
      out.insert(out.end(), buffers_[i].begin(), buffers_[i].end());
    }
  }
  return out;
}

std::string Lite::run(std::vector<std::vector<double>> inputs, std::vector<Dims> dims) const {
  const std::vector<uint8_t> bytes = file();
  for (uint64_t number = 0; number < 50; ++number) {
    (void)import_bytes(mutant_of_tflite(bytes, 1, number), {.memory_limit = 1 << 22});
  }
  return run_file(bytes, inputs, dims);
}

std::string Lite::imported() const {
  const auto model = import_bytes(file());
  return model ? print(*model->graph) : cat("error: ", model.error().message);
}

}  // namespace quern::testing
