#include "passes/recognise_testing.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "ir/print.h"
#include "ir/verify.h"
#include "ops/op_def.h"
#include "passes/passes.h"

namespace quern {
namespace {

std::unique_ptr<Graph> parsed(std::string_view text) {
  auto graph = parse_graph(text);
  EXPECT_TRUE(graph) << graph.error().message;
  if (!graph) return std::make_unique<Graph>();
  for_each_node(**graph, [](Node& node) {
    if (node.version == 0) node.version = 17;
  });
  const auto inferred = infer_shapes(**graph);
  EXPECT_TRUE(inferred) << inferred.error().message;
  return *std::move(graph);
}

/// Numbers between -1 and 1 that look random; of bool, half of them true.
HostTensor some_tensor(DType dtype, const Dims& dims, uint32_t seed) {
  auto tensor = HostTensor::zeros(dtype, dims);
  EXPECT_TRUE(tensor);
  uint32_t state = seed * 2654435761u + 1;
  for (int64_t i = 0; i < tensor->count(); ++i) {
    state = state * 1664525u + 1013904223u;
    const double x = static_cast<double>(state >> 8) / (1 << 23) - 1;
    if (dtype == DType::kBool) {
      tensor->set_int(i, x > 0 ? 1 : 0);
    } else {
      tensor->set_float(i, x);
    }
  }
  return *std::move(tensor);
}

/// A normalisation of constants: these operators have kernels alone, and do not fold. Rows of
/// `length`; element i of row r is scaled by number (r * length + i) / `run` % `count`.
struct NormOf {
  int64_t length = 1, run = 1, count = 1;
  double epsilon = 1e-5;
  bool centred = true;
};
std::optional<NormOf> norm_of(const Node& node) {
  const Dims dims = node.inputs[0]->constant->dims;
  NormOf norm;
  norm.epsilon = node.float_or("epsilon", 1e-5f);
  for (size_t i = 2; i < dims.size(); ++i) norm.run *= dims[i];
  norm.count = dims[1];
  if (node.is("InstanceNormalization")) {
    norm.length = norm.run;
  } else if (node.is("GroupNormalization")) {
    norm.length = norm.run * dims[1] / node.int_or("num_groups", 0);
  } else if (node.is("LayerNormalization") || node.is("RMSNormalization")) {
    for (int64_t axis = node.int_or("axis", -1); axis < 0; ++axis) norm.length *= dims.end()[axis];
    norm.run = 1;
    norm.count = norm.length;
    norm.centred = node.is("LayerNormalization");
  } else {
    return std::nullopt;
  }
  return norm;
}

HostTensor normalised(const Node& node, const NormOf& norm) {
  HostTensor y = node.inputs[0]->constant->host;
  for (int64_t begin = 0; begin < y.count(); begin += norm.length) {
    double sum = 0, squares = 0;
    for (int64_t i = begin; i < begin + norm.length; ++i) sum += y.float_at(i);
    const double mean = norm.centred ? sum / static_cast<double>(norm.length) : 0;
    for (int64_t i = begin; i < begin + norm.length; ++i) {
      squares += (y.float_at(i) - mean) * (y.float_at(i) - mean);
    }
    const double root = std::sqrt(squares / static_cast<double>(norm.length) + norm.epsilon);
    for (int64_t i = begin; i < begin + norm.length; ++i) {
      const int64_t number = i / norm.run % norm.count;
      double value = (y.float_at(i) - mean) / root;
      if (const Value* scale = node.input(1)) value *= scale->constant->host.float_at(number);
      if (const Value* bias = node.input(2)) value += bias->constant->host.float_at(number);
      y.set_float(i, value);
    }
  }
  return y;
}

HostTensor softmax(const Node& node) {
  HostTensor y = node.inputs[0]->constant->host;
  const auto rank = static_cast<int64_t>(y.dims.size());
  const int64_t axis = (node.int_or("axis", -1) + rank) % rank;
  const int64_t length = y.dims[static_cast<size_t>(axis)];
  int64_t step = 1;
  for (auto i = static_cast<size_t>(axis) + 1; i < y.dims.size(); ++i) step *= y.dims[i];
  for (int64_t row = 0; row < y.count() / length; ++row) {
    const int64_t begin = row / step * step * length + row % step;
    double top = -std::numeric_limits<double>::infinity(), sum = 0;
    for (int64_t i = 0; i < length; ++i) top = std::max(top, y.float_at(begin + i * step));
    for (int64_t i = 0; i < length; ++i) sum += std::exp(y.float_at(begin + i * step) - top);
    for (int64_t i = 0; i < length; ++i) {
      y.set_float(begin + i * step, std::exp(y.float_at(begin + i * step) - top) / sum);
    }
  }
  return y;
}

/// What is left with constant inputs, since it has kernels alone.
void fold_rows(Graph& graph) {
  for (size_t i = 0; i < graph.nodes().size();) {
    Node& node = *graph.nodes()[i++];
    const bool known = std::ranges::all_of(
        node.inputs, [](const Value* v) { return v == nullptr || v->constant != nullptr; });
    const auto norm = known ? norm_of(node) : std::nullopt;
    if (!norm && !(known && node.is("Softmax"))) continue;
    Value* y =
        graph.add_constant("", make_constant(norm ? normalised(node, *norm) : softmax(node)));
    graph.replace_uses(node.outputs[0], y);
    graph.erase(&node);
    PassReport report;
    EXPECT_TRUE(infer_shapes(graph));
    EXPECT_TRUE(fold_constants(graph, report));
    i = 0;
  }
}

/// The outputs for some numbers, found by folding everything.
std::vector<HostTensor> outputs_of(Graph& graph) {
  uint32_t seed = 0;
  for (Value* input : graph.inputs) {
    const auto dims = constant_dims(*input->type.shape);
    EXPECT_TRUE(dims);
    HostTensor tensor = some_tensor(input->type.dtype, *dims, ++seed);
    graph.replace_uses(input, graph.add_constant("", make_constant(std::move(tensor))));
  }
  PassReport report;
  EXPECT_TRUE(infer_shapes(graph));
  const auto folded = fold_constants(graph, report);
  EXPECT_TRUE(folded) << folded.error().message;
  fold_rows(graph);
  std::vector<HostTensor> results;
  for (const Value* output : graph.outputs) {
    EXPECT_TRUE(output->constant) << "does not fold";
    if (output->constant) results.push_back(output->constant->host);
  }
  return results;
}

void expect_close(const HostTensor& want, const HostTensor& got, double tolerance) {
  ASSERT_EQ(want.dtype, got.dtype);
  ASSERT_EQ(want.dims, got.dims);
  double largest = 0;
  for (int64_t i = 0; i < want.count(); ++i) {
    if (!std::isnan(want.float_at(i))) largest = std::max(largest, std::fabs(want.float_at(i)));
  }
  for (int64_t i = 0; i < want.count(); ++i) {
    const double a = want.float_at(i);
    const double b = got.float_at(i);
    if (std::isnan(a) && std::isnan(b)) continue;
    ASSERT_LE(std::fabs(a - b), tolerance * largest) << "element " << i << ": " << a << ", " << b;
  }
}

}  // namespace

std::string Recognised::ops() const {
  std::string text;
  for (const auto& node : graph->nodes()) {
    if (!text.empty()) text += ' ';
    if (!node->domain.empty()) text += cat(node->domain, ".");
    text += node->op;
  }
  return text;
}

std::string Recognised::node(std::string_view op) const {
  const std::string text = print(*graph);
  std::string found;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    const size_t assign = line.find(" = ");
    if (assign == std::string::npos || line.find(cat(op, "@")) == std::string::npos) continue;
    if (!found.empty()) return "more than one";
    line.erase(0, line.find('%'));
    const size_t type = line.find(": ");
    const size_t after = line.find(" = ");
    if (type < after) line.erase(type, after - type);
    // Values made by the pass have no names; their numbers don't matter.
    for (size_t at = line.find('%'); at != std::string::npos; at = line.find('%', at + 1)) {
      size_t digits = at + 1;
      while (digits < line.size() && line[digits] >= '0' && line[digits] <= '9') ++digits;
      if (digits > at + 1) line.replace(at + 1, digits - at - 1, "made");
    }
    found = line;
  }
  return found;
}

Recognised recognised(FindFunction find, std::string_view text) {
  Recognised result{parsed(text)};
  Graph& graph = *result.graph;
  std::vector<std::string> names, types;
  for (const Value* output : graph.outputs) {
    names.push_back(output->name);
    types.push_back(cat(output->type));
  }
  result.hits = find(graph);
  const auto valid = verify(graph);
  EXPECT_TRUE(valid) << valid.error().message;
  // Types were set right away, and inference finds the same.
  const std::string before = print(graph);
  const auto inferred = infer_shapes(graph);
  EXPECT_TRUE(inferred) << inferred.error().message;
  EXPECT_EQ(before, print(graph));
  for (size_t i = 0; i < names.size(); ++i) {
    EXPECT_EQ(graph.outputs[i]->name, names[i]);
    EXPECT_EQ(cat(graph.outputs[i]->type), types[i]);
  }
  return result;
}

Recognised expect_same_numbers(FindFunction find, std::string_view text, int hits,
                               double tolerance) {
  Recognised result = recognised(find, text);
  EXPECT_EQ(result.hits, hits) << print(*result.graph);
  const auto plain = parsed(text);
  const auto numbers = result.graph->clone(nullptr);
  const std::vector<HostTensor> want = outputs_of(*plain);
  const std::vector<HostTensor> got = outputs_of(*numbers);
  EXPECT_EQ(want.size(), got.size());
  for (size_t i = 0; i < std::min(want.size(), got.size()); ++i) {
    SCOPED_TRACE(cat("output ", i));
    expect_close(want[i], got[i], tolerance);
  }
  return result;
}

}  // namespace quern
