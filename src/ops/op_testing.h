// Runs and infers one operator, for tests.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ir/graph.h"
#include "ir/print.h"
#include "ops/op_def.h"

namespace quern::optest {

/// An absent optional input.
inline constexpr std::nullopt_t kAbsent = std::nullopt;

HostTensor f32(Dims dims, std::vector<float> values);
HostTensor f32(std::vector<float> values);
HostTensor i64(Dims dims, std::vector<int64_t> values);
HostTensor i64(std::vector<int64_t> values);
/// Any numeric type, from doubles.
HostTensor tensor(DType dtype, Dims dims, std::vector<double> values);
HostTensor strings(Dims dims, std::vector<std::string> values);

/// A node to make: `{.op = "Add", .version = 14, .attributes = {{"axis", int64_t{1}}}}`.
struct OpCall {
  std::string op;
  int version = 28;
  std::map<std::string, AttributeValue, std::less<>> attributes = {};
  size_t outputs = 1;
  std::string domain = "";
};

/// The outputs of a node on these inputs, on the host. It runs twice, with all extents baked in
/// the code and with all of them parameters; a difference between the two is a test failure.
Result<std::vector<HostTensor>> run(const OpCall& call,
                                    const std::vector<std::optional<HostTensor>>& inputs);
/// The first output; a test failure and an empty tensor where there is an error.
HostTensor run_one(const OpCall& call, const std::vector<std::optional<HostTensor>>& inputs);

/// An input as shape inference sees it.
struct InferInput {
  /// "f32[n, 3]" or "i64[2] = {n, 3}", in the text form of types, dims and contents.
  static InferInput of(std::string_view text);
  static InferInput of(HostTensor host);
  static InferInput absent() { return {}; }

  bool present = false;
  Type type;
  std::optional<std::vector<Dim>> contents;
  std::shared_ptr<HostTensor> host;
};

/// The types and contents of the outputs, in that text form; "error: ..." where inference fails.
/// Several are separated by "; ".
std::string infer(const OpCall& call, const std::vector<InferInput>& inputs);

/// Infers all nodes of a graph in text form in order; the types and contents of its outputs.
std::string infer_graph(std::string_view text);

/// "f32[2, 2] {1, 2, 3, 4}": for comparisons with a readable difference.
std::string text(const HostTensor& tensor);

}  // namespace quern::optest
