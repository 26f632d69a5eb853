#include "import/torch/program_testing.h"

#include <cstring>

#include "import/convert/importer.h"
#include "import/convert/run_testing.h"
#include "import/zip/zip_writer.h"
#include "ir/print.h"

namespace quern::testing {
namespace {

struct Parsed {
  int scalar_type = 7;
  std::vector<std::string> dims;
};

Parsed parse(Ty type) {
  static const std::map<std::string, int, std::less<>> kTypes = {
      {"u8", 1},  {"i8", 2},  {"i16", 3}, {"i32", 4},   {"i64", 5},
      {"f16", 6}, {"f32", 7}, {"f64", 8}, {"bool", 12}, {"bf16", 13}};
  Parsed out;
  std::string text = type.text;
  const size_t open = text.find('[');
  out.scalar_type = kTypes.at(text.substr(0, open));
  std::string word;
  for (const char c : text.substr(open + 1)) {
    if (c == ',' || c == ']') {
      if (!word.empty()) out.dims.push_back(word);
      word.clear();
    } else if (c != ' ') {
      word += c;
    }
  }
  return out;
}

bool is_number(const std::string& word) {
  return word.find_first_not_of("-0123456789") == word.npos;
}

Json sym_int(const std::string& word) {
  if (is_number(word)) return {{"as_int", std::stoll(word)}};
  return {{"as_expr", {{"expr_str", cat("Symbol('", word, "', positive=True, integer=True)")}}}};
}

}  // namespace

Arg Arg::tensor(std::string name, std::string of) {
  return {std::move(name), {{"as_tensor", {{"name", std::move(of)}}}}};
}
Arg Arg::tensors(std::string name, std::vector<std::string> of) {
  Json list = Json::array();
  for (std::string& one : of) list.push_back({{"name", std::move(one)}});
  return {std::move(name), {{"as_tensors", list}}};
}
Arg Arg::optional_tensors(std::string name, std::vector<std::string> of) {
  Json list = Json::array();
  for (std::string& one : of) {
    if (one.empty()) {
      list.push_back({{"as_none", true}});
    } else {
      list.push_back({{"as_tensor", {{"name", std::move(one)}}}});
    }
  }
  return {std::move(name), {{"as_optional_tensors", list}}};
}
Arg Arg::integer(std::string name, int64_t value) { return {std::move(name), {{"as_int", value}}}; }
Arg Arg::number(std::string name, double value) { return {std::move(name), {{"as_float", value}}}; }
Arg Arg::flag(std::string name, bool value) { return {std::move(name), {{"as_bool", value}}}; }
Arg Arg::text(std::string name, std::string value) {
  return {std::move(name), {{"as_string", std::move(value)}}};
}
Arg Arg::ints(std::string name, std::vector<int64_t> values) {
  return {std::move(name), {{"as_ints", values}}};
}
Arg Arg::sym(std::string name, std::string symbol) {
  return {std::move(name), {{"as_sym_int", {{"as_name", std::move(symbol)}}}}};
}
Arg Arg::sym_ints(std::string name, const std::vector<std::string>& values) {
  Json list = Json::array();
  for (const std::string& value : values) {
    if (is_number(value)) {
      list.push_back({{"as_int", std::stoll(value)}});
    } else {
      list.push_back({{"as_name", value}});
    }
  }
  return {std::move(name), {{"as_sym_ints", list}}};
}
Arg Arg::dtype(std::string name, int number) {
  return {std::move(name), {{"as_scalar_type", number}}};
}
Arg Arg::none(std::string name) { return {std::move(name), {{"as_none", true}}}; }

Json Program::meta(Ty type, std::vector<int64_t> strides, int64_t offset) {
  const Parsed parsed = parse(type);
  Json sizes = Json::array();
  bool known = true;
  for (const std::string& dim : parsed.dims) {
    sizes.push_back(sym_int(dim));
    known = known && is_number(dim);
  }
  if (strides.empty() && known) {
    strides.resize(parsed.dims.size(), 1);
    for (size_t i = strides.size(); i-- > 1;) {
      strides[i - 1] = strides[i] * std::max<int64_t>(std::stoll(parsed.dims[i]), 1);
    }
  }
  Json stride_list = Json::array();
  for (const int64_t stride : strides) stride_list.push_back({{"as_int", stride}});
  return {{"dtype", parsed.scalar_type},
          {"sizes", sizes},
          {"strides", stride_list},
          {"storage_offset", {{"as_int", offset}}},
          {"layout", 7}};
}

void Program::add_value(const std::string& name, Ty type) { values_[name] = meta(type); }

Program& Program::input(std::string name, Ty type) {
  add_value(name, type);
  input_specs_.push_back({{"user_input", {{"arg", {{"as_tensor", {{"name", name}}}}}}}});
  return *this;
}

void Program::stored(const std::string& kind, const std::string& name, Ty type,
                     const std::vector<float>& storage, std::vector<int64_t> strides,
                     int64_t offset) {
  values_[name] = meta(type, strides, offset);
  input_specs_.push_back({{kind, {{"arg", {{"name", name}}}, {cat(kind, "_name"), name}}}});
  const std::string path = cat("weight_", weights_.size());
  weights_[name] = {{"path_name", path},
                    {"use_pickle", false},
                    {"tensor_meta", meta(type, std::move(strides), offset)}};
  std::string bytes(storage.size() * 4, '\0');
  if (!storage.empty()) std::memcpy(bytes.data(), storage.data(), bytes.size());
  entries_.emplace_back(cat("model/data/weights/", path), bytes);
}

Program& Program::weight(const std::string& name, Ty type, const std::vector<float>& storage,
                         std::vector<int64_t> strides, int64_t offset) {
  stored("parameter", name, type, storage, std::move(strides), offset);
  return *this;
}

Program& Program::buffer(const std::string& name, Ty type, const std::vector<float>& storage) {
  stored("buffer", name, type, storage, {}, 0);
  return *this;
}

Program& Program::nodes(std::string target, std::vector<Arg> arguments,
                        std::vector<std::pair<std::string, Ty>> outputs) {
  Json inputs = Json::array();
  for (Arg& arg : arguments) inputs.push_back({{"name", arg.name}, {"arg", arg.value}});
  Json results = Json::array();
  for (const auto& [name, type] : outputs) {
    results.push_back({{"as_tensor", {{"name", name}}}});
    add_value(name, type);
  }
  target = target[0] == '.' ? target.substr(1) : cat("torch.ops.aten.", target);
  nodes_.push_back({{"target", target},
                    {"inputs", inputs},
                    {"outputs", results},
                    {"name", outputs.empty() ? "" : outputs[0].first}});
  return *this;
}

Program& Program::node(std::string target, std::vector<Arg> arguments, std::string output,
                       Ty type) {
  return nodes(std::move(target), std::move(arguments), {{std::move(output), type}});
}

Program& Program::size_node(std::string target, std::vector<Arg> arguments, std::string output) {
  nodes(std::move(target), std::move(arguments), {});
  nodes_.back()["outputs"].push_back({{"as_sym_int", {{"as_name", output}}}});
  nodes_.back()["name"] = output;
  return *this;
}

Program& Program::output(std::string name) {
  output_specs_.push_back({{"user_output", {{"arg", {{"as_tensor", {{"name", name}}}}}}}});
  return *this;
}

Program& Program::bounds(const std::string& symbol, int64_t lower, int64_t upper) {
  ranges_[symbol] = {{"min_val", lower}, {"max_val", upper}};
  return *this;
}

std::string Program::json() const {
  const Json graph = {{"nodes", nodes_}, {"tensor_values", values_}};
  const Json signature = {{"input_specs", input_specs_}, {"output_specs", output_specs_}};
  const Json program = {{"graph_module", {{"graph", graph}, {"signature", signature}}},
                        {"range_constraints", ranges_},
                        {"schema_version", {{"major", 8}, {"minor", 17}}},
                        {"torch_version", "2.11.0"}};
  return program.dump();
}

std::vector<uint8_t> Program::archive() const {
  ZipWriter zip;
  for (const auto& [name, bytes] : entries_) zip.add(name, bytes);
  zip.add("model/data/weights/model_weights_config.json", Json({{"config", weights_}}).dump());
  zip.add("model/models/model.json", json());
  return zip.finish();
}

std::string Program::imported() const {
  const auto model = import_bytes(archive());
  return model ? print(*model->graph) : cat("error: ", model.error().message);
}

std::string Program::run(const std::vector<std::vector<double>>& inputs,
                         const std::vector<Dims>& dims) const {
  return run_file(archive(), inputs, dims);
}

}  // namespace quern::testing
