// BatchNormalization: (x - mean) / sqrt(variance + epsilon) * scale + bias by channel (axis 1).
// In training mode the mean and variance are those of the input, and the further outputs are the
// running ones.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/common/reduce.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"epsilon", AttributeKind::kFloat},
                                          {"momentum", AttributeKind::kFloat},
                                          {"spatial", AttributeKind::kInt},
                                          {"training_mode", AttributeKind::kInt}};

/// Inputs: scale, bias, running mean and variance.
enum : size_t { kInput, kScale, kBias, kMean, kVariance };

/// Before operator set 14 the mode is told by the number of outputs.
bool is_training(const Node& node) {
  if (node.version >= 14) return node.int_or("training_mode", 0) != 0;
  return node.outputs.size() > 1;
}

/// Statistics for each element of a sample, not for each channel (before operator set 9).
bool is_per_element(const Node& node) { return node.version < 9 && node.int_or("spatial", 1) == 0; }

Result<void> infer_batch_normalization(InferContext& c) {
  c.set(0, c.type(0));
  for (size_t k = 1; k < c.output_count(); ++k)
    c.set(k, c.type(k == 1 || k == 3 ? kMean : kVariance));
  return {};
}

/// A parameter of the channel (or element) at this index of the input.
Result<Expr> parameter(ExprContext& c, size_t input, std::span<const Expr> index) {
  const size_t rank = c.input(input).rank();
  if (index.size() < 1 + rank) return c.load(input, std::vector<Expr>(rank, c.b.i32(0)));
  return c.load(input, index.subspan(1, rank));
}

struct Statistics {
  Expr mean;
  Expr variance;
};

/// Of the input, for the channel (or element) at this index of the input.
Result<Statistics> statistics(ExprContext& c, const std::vector<Expr>& index) {
  std::vector<size_t> axes{0};
  for (size_t a = 2; a < index.size() && !is_per_element(c.node()); ++a) axes.push_back(a);
  const Scalar type = compute_type(c.input(0).dtype);
  const Expr count = c.b.cast(reduced_count(c, kInput, axes), type);
  QUERN_ASSIGN(Expr sum, reduce_axes(c, kInput, index, axes, ExprOp::kReduceSum,
                                     [](ExprBuilder&, Expr x, Expr) { return x; }));
  const Expr mean = c.b.div(sum, count);
  QUERN_ASSIGN(Expr squares, reduce_axes(
                                 c, kInput, index, axes, ExprOp::kReduceSum,
                                 [](ExprBuilder& b, Expr x, Expr center) {
                                   const Expr distance = b.sub(x, center);
                                   return b.mul(distance, distance);
                                 },
                                 mean));
  return Statistics{mean, c.b.div(squares, count)};
}

Result<Expr> normalized(ExprContext& c, size_t output) {
  const bool training = is_training(c.node());
  if (output == 0) {
    const std::vector<Expr>& index = c.indices();
    QUERN_ASSIGN(Expr x, c.load(kInput, index));
    const Scalar type = c.b.type_of(x);
    QUERN_ASSIGN(Expr scale, parameter(c, kScale, index));
    QUERN_ASSIGN(Expr bias, parameter(c, kBias, index));
    Statistics s;
    if (training) {
      QUERN_ASSIGN(s, statistics(c, index));
    } else {
      QUERN_ASSIGN(s.mean, parameter(c, kMean, index));
      QUERN_ASSIGN(s.variance, parameter(c, kVariance, index));
      s = {c.b.cast(s.mean, type), c.b.cast(s.variance, type)};
    }
    const Expr epsilon = attribute_number(c, "epsilon", 1e-5f, x);
    const Expr deviation = c.b.unary(ExprOp::kSqrt, c.b.add(s.variance, epsilon));
    const Expr factor = c.b.div(c.b.cast(scale, type), deviation);
    return c.b.add(c.b.mul(c.b.sub(x, s.mean), factor), c.b.cast(bias, type));
  }
  // The statistics of the channel: the input's index has the output's after the batch.
  std::vector<Expr> index(c.input(kInput).rank(), c.b.i32(0));
  for (size_t a = 0; a < c.indices().size() && a + 1 < index.size(); ++a) {
    index[a + 1] = c.index(a);
  }
  QUERN_ASSIGN(Statistics s, statistics(c, index));
  const bool is_mean = output == 1 || output == 3;
  QUERN_ASSIGN(Expr running, c.load(is_mean ? kMean : kVariance, c.indices()));
  const Expr current = c.b.cast(is_mean ? s.mean : s.variance, c.b.type_of(running));
  if (output >= 3) return current;
  const Expr momentum = attribute_number(c, "momentum", 0.9f, running);
  return c.b.add(c.b.mul(running, momentum),
                 c.b.mul(current, c.b.sub(one(c.b, running), momentum)));
}

}  // namespace

extern const OpDef op_batch_normalization;
const OpDef op_batch_normalization = {
    .name = "BatchNormalization",
    .min_inputs = 5,
    .max_inputs = 5,
    .max_outputs = 5,
    .types = kFloats,
    .attributes = kAttributes,
    .infer = infer_batch_normalization,
    .expr = normalized,
};

}  // namespace quern
