// Prints the tables of docs/formats.md: the operators of each format, and what becomes of them.

#include <algorithm>
#include <cstdio>
#include <map>
#include <string>

#include "base/text.h"
#include "import/tensorflow/operators.h"
#include "import/tfjs/layer.h"
#include "import/tflite/operators.h"
#include "import/torch/operators.h"

namespace {

std::string tflite_table() {
  using namespace quern;  // NOLINT
  std::map<std::string, std::string> rows;
  std::map<std::string, std::string> custom;
  for (const auto& group : tflite::all_operators()) {
    for (const tflite::Operator& op : group) {
      (op.code == tflite::kCustom ? custom : rows)[std::string(op.name)] = op.ours;
    }
  }
  std::string out = cat("\n### Operators of TFLite: ", rows.size(), ", and ", custom.size(),
                        " custom ones\n\n| operator | becomes |\n|---|---|\n");
  for (const auto& list : {rows, custom}) {
    for (const auto& [name, ours] : list) out += cat("| ", name, " | ", ours, " |\n");
  }
  return out;
}

/// Rows of [name, what becomes of it], by name.
template <class Groups>
std::string two_columns(const Groups& groups, std::string_view title, std::string_view first) {
  using quern::cat;
  std::map<std::string_view, std::string_view> rows;
  for (const auto& group : groups) {
    for (const auto& one : group) rows[one.name] = one.ours.empty() ? "nothing" : one.ours;
  }
  std::string out =
      cat("\n### ", title, ": ", rows.size(), "\n\n| ", first, " | becomes |\n|---|---|\n");
  for (const auto& [name, ours] : rows) out += cat("| ", name, " | ", ours, " |\n");
  return out;
}

std::string tensorflow_tables() {
  using namespace quern;  // NOLINT
  return two_columns(tensorflow::all_operators(), "Operators of TensorFlow and TensorFlow.js",
                     "operator") +
         two_columns(tfjs::all_layers(), "Layers of TensorFlow.js", "layer");
}

}  // namespace

int main() {
  using namespace quern;  // NOLINT
  struct Row {
    std::string overloads, ours;
  };
  std::map<std::string, Row> rows;
  size_t forms = 0;
  for (const auto& group : torch::all_operators()) {
    for (const torch::Operator& op : group) {
      Row& row = rows[std::string(op.name)];
      if (!row.overloads.empty()) row.overloads += ' ';
      row.overloads += op.overloads;
      forms += 1 + static_cast<size_t>(std::ranges::count(op.overloads, ' '));
      const std::string ours(op.ours);
      if (row.ours.find(ours) != std::string::npos) continue;
      row.ours += row.ours.empty() ? ours : cat(", ", ours);
    }
  }
  std::string out = cat("\n### Operators of torch.export: ", rows.size(), ", in ", forms,
                        " forms\n\nEach in place too (`aten.add_`), where PyTorch has that.\n\n"
                        "| operator | overloads | becomes |\n|---|---|---|\n");
  for (const auto& [name, row] : rows) {
    out += cat("| ", name, " | ", row.overloads, " | ", row.ours.empty() ? "nothing" : row.ours,
               " |\n");
  }
  out += tflite_table();
  out += tensorflow_tables();
  std::printf("%s", out.c_str());
  return 0;
}
