// Prints the tables of docs/formats.md: the operators of each format, and what becomes of them.

#include <algorithm>
#include <cstdio>
#include <map>
#include <string>

#include "base/text.h"
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
  std::printf("%s", out.c_str());
  return 0;
}
