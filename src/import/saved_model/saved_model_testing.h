// Writes SavedModels for tests: saved_model.pb and a checkpoint.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "import/convert/importer.h"
#include "import/onnx/testing.h"

namespace quern::testing {

/// The files of a folder, by their paths in it.
using Files = std::map<std::string, std::string>;

/// A table of sorted entries: blocks of `per_block`, whose keys share their beginnings.
struct TableOptions {
  size_t per_block = 2;
  char compression = 0;
  bool wrong_checksum = false;
};
std::string table_file(const std::map<std::string, std::string>& entries,
                       const TableOptions& options = {});

/// A checkpoint under construction; tensors go to the shards in turn.
class CheckpointWriter {
 public:
  explicit CheckpointWriter(size_t shards = 1) : shards_(shards) {}

  CheckpointWriter& floats(const std::string& key, const std::vector<int64_t>& dims,
                           const std::vector<float>& values);
  CheckpointWriter& text(const std::string& key, std::string_view value);
  /// A tensor of other bytes; `entry` goes in front of what its entry has else.
  CheckpointWriter& raw(const std::string& key, int dtype, const std::vector<int64_t>& dims,
                        std::string_view bytes, const Pb& entry = {});
  [[nodiscard]] Files files(const TableOptions& options = {}) const;

 private:
  std::vector<std::string> shards_;
  std::map<std::string, std::string> entries_;
};

/// An attribute of a node: the name and an AttrValue.
using TfAttribute = std::pair<std::string, Pb>;
TfAttribute tf_type(const std::string& name, int type);
TfAttribute tf_text(const std::string& name, std::string_view text);
TfAttribute tf_shape(const std::string& name, const std::vector<int64_t>& dims);
TfAttribute tf_function(const std::string& name, std::string_view function);
TfAttribute tf_functions(const std::string& name, const std::vector<std::string>& functions);
/// A list of strings as a Const's value.
TfAttribute tf_texts(const std::vector<std::string>& values);
/// A scalar of int32 as a Const's value.
TfAttribute tf_number(int value);

/// A NodeDef.
Pb tf_node(std::string_view name, std::string_view op, const std::vector<std::string>& inputs = {},
           const std::vector<TfAttribute>& attributes = {});
/// A FunctionDef: arguments and results are names with types, results with what they are.
struct TfFunction {
  std::string name;
  std::vector<std::pair<std::string, int>> inputs;
  std::vector<std::pair<std::string, std::string>> results;
  std::vector<Pb> nodes;
};
/// A GraphDef.
Pb tf_graph(const std::vector<Pb>& nodes, const std::vector<TfFunction>& functions = {});

/// A signature: names and tensors, "x" and "serving_default_x:0".
struct TfSignature {
  std::string name;
  std::vector<std::pair<std::string, std::string>> inputs, outputs;
};
/// saved_model.pb with one graph, tagged "serve".
std::string saved_model(const Pb& graph, const std::vector<TfSignature>& signatures,
                        const Pb& objects = {});

/// The model that the files hold.
Result<Model> import_files(const Files& files, uint64_t inline_below = 65536);
/// As run_file, of the folder with these files.
std::string run_folder(const Files& files, const std::vector<std::vector<double>>& inputs,
                       const std::vector<Dims>& dims = {});

}  // namespace quern::testing
