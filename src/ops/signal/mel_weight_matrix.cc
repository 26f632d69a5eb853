// MelWeightMatrix: triangular filters over the bins of a spectrum, their corners evenly spaced on
// the mel scale. The corners are bins found by rounding down, on the host (quern.MelCorners); the
// triangles are an expression over them (quern.MelTriangles).
#include "ops/common/expansion.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"output_datatype", AttributeKind::kInt}};
enum Input : size_t { kBins, kDftLength, kSampleRate, kLowest, kHighest };

std::optional<DType> numeric_type(const Node& node) {
  const int64_t code = node.int_or("output_datatype", 1);
  if (code < 0 || code > 31 || (kNumeric >> code & 1) == 0) return std::nullopt;
  return static_cast<DType>(code);
}

Result<void> infer(InferContext& c) {
  const std::optional<DType> dtype = numeric_type(c.node());
  if (!dtype) return c.error("output_datatype is not numeric");
  const auto number = [&](size_t i) -> std::optional<Dim> {
    const std::optional<std::vector<Dim>> contents = c.contents(i);
    if (!contents || contents->size() != 1 || (*contents)[0].lower() < 0) return std::nullopt;
    return (*contents)[0];
  };
  const std::optional<Dim> length = number(kDftLength);
  const std::optional<Dim> bins = number(kBins);
  c.set(0, *dtype,
        Shape{length ? floor_div(*length, 2) + 1 : c.fresh_dim(0, 0),
              bins ? *bins : c.fresh_dim(0, 1)});
  return {};
}

Result<bool> expand(Graph& graph, Node& node) {
  const std::optional<DType> dtype = numeric_type(node);
  if (!dtype) return invalid_model(cat(node.describe(), ": output_datatype is not numeric"));
  Expansion e(graph, node);
  Value* corners = e.add_in("quern", 1, "MelCorners",
                            {node.input(kBins), node.input(kDftLength), node.input(kSampleRate),
                             node.input(kLowest), node.input(kHighest)});
  e.replace(0, e.add_in("quern", 1, "MelTriangles", {corners, node.input(kDftLength)},
                        {{"to", static_cast<int64_t>(*dtype)}}));
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_mel_weight_matrix;
const OpDef op_mel_weight_matrix = {
    .name = "MelWeightMatrix",
    .since = 17,
    .min_inputs = 5,
    .max_inputs = 5,
    .types = types_of(DType::kI32, DType::kI64),
    .attributes = kAttributes,
    .host_inputs = 0b11111,
    .infer = infer,
    .expand = expand,
};

}  // namespace quern
