// Normalisation and softmax.
#include <limits>

#include "import/torch/operators.h"

namespace quern::torch {

Tensor softmax(Builder& b, const Tensor& x, size_t axis) {
  if (x.rank == 0) return b.expand_like(b.scalar(x.dtype, 1), x);
  return b.op("Softmax", {x}, {{"axis", static_cast<int64_t>(axis)}});
}

namespace {

void softmax_of(Call& c, std::string_view ours) {
  Tensor x = c.tensor("self");
  const size_t axis = c.axis("dim", x.rank);
  x = c.b.cast(x, c.out_dtype());
  if (ours == "Softmax") return c.set(softmax(c.b, x, axis));
  if (x.rank == 0) return c.set(c.b.op("Sub", {x, x}));
  c.set(c.b.op(ours, {x}, {{"axis", static_cast<int64_t>(axis)}}));
}

/// `value` in the shape of `like`.
Tensor constant_like(Builder& b, const Tensor& like, double value) {
  return b.expand_like(b.scalar(like.dtype, value), like);
}

void batch_norm(Call& c, std::string_view) {
  Tensor x = c.tensor("input");
  if (c.flag("training", false)) {
    return c.unsupported("batch normalisation in training; export the model after .eval()");
  }
  const Tensor mean = c.tensor("running_mean");
  const Tensor variance = c.tensor("running_var");
  const Tensor weight = c.has("weight") ? c.tensor("weight") : constant_like(c.b, mean, 1);
  const Tensor bias = c.has("bias") ? c.tensor("bias") : constant_like(c.b, mean, 0);
  c.set(c.b.op("BatchNormalization", {x, weight, bias, mean, variance},
               {{"epsilon", static_cast<float>(c.number("eps", 1e-5))}}, x.dtype, x.rank));
}

/// The dims of one channel's numbers.
Tensor per_channel(Call& c, const Tensor& x, std::string_view name, double fallback) {
  if (c.has(name)) return c.tensor(name);
  return c.b.full({c.b.size(x, 1)}, c.b.scalar(x.dtype, fallback));
}

void instance_norm(Call& c, std::string_view ours) {
  const Tensor x = c.tensor("input");
  if (!c.flag("use_input_stats", true)) return batch_norm(c, ours);
  c.set(c.b.op("InstanceNormalization",
               {x, per_channel(c, x, "weight", 1), per_channel(c, x, "bias", 0)},
               {{"epsilon", static_cast<float>(c.number("eps", 1e-5))}}, x.dtype, x.rank));
}

void group_norm(Call& c, std::string_view) {
  const Tensor x = c.tensor("input");
  const int64_t groups = c.has("num_groups") ? c.integer("num_groups") : c.integer("group");
  if (groups < 1) return c.invalid(cat(groups, " groups"));
  c.set(c.b.op("GroupNormalization",
               {x, per_channel(c, x, "weight", 1), per_channel(c, x, "bias", 0)},
               {{"epsilon", static_cast<float>(c.number("eps", 1e-5))}, {"num_groups", groups}},
               x.dtype, x.rank));
}

/// How many of the last axes are normalised; the scale, ones where there is none.
struct Scaled {
  int64_t axis = -1;
  Tensor weight;
};

Scaled normalized(Call& c, const Tensor& x) {
  const std::vector<Size> shape = c.sizes("normalized_shape");
  if (shape.empty() || shape.size() > x.rank) {
    c.invalid(cat("normalized_shape of ", shape.size(), " dims for rank ", x.rank));
    return {};
  }
  const Tensor weight =
      c.has("weight") ? c.tensor("weight") : c.b.full(shape, c.b.scalar(x.dtype, 1));
  return {-static_cast<int64_t>(shape.size()), weight};
}

void layer_norm(Call& c, std::string_view) {
  const Tensor x = c.tensor("input");
  const Scaled scaled = normalized(c, x);
  const Tensor bias = c.optional("bias");
  const size_t outputs = c.outputs() > 2 ? 3 : 1;
  const auto y =
      c.b.ops("LayerNormalization", {x, scaled.weight, bias}, outputs,
              {{"axis", scaled.axis}, {"epsilon", static_cast<float>(c.number("eps", 1e-5))}},
              x.dtype, x.rank);
  for (size_t i = 0; i < y.size() && !c.failed(); ++i) {
    Tensor result = y[i];
    if (i > 0) {
      result.dtype = DType::kF32;
      result.value->type.dtype = DType::kF32;
    }
    c.set(result, i);
  }
}

void rms_norm(Call& c, std::string_view) {
  const Tensor x = c.tensor("input");
  const Scaled scaled = normalized(c, x);
  // By default the type's machine epsilon.
  double eps = std::numeric_limits<float>::epsilon();
  if (x.dtype == DType::kF64) eps = std::numeric_limits<double>::epsilon();
  if (x.dtype == DType::kF16) eps = 0x1p-10;
  if (x.dtype == DType::kBF16) eps = 0x1p-7;
  c.set(c.b.op("RMSNormalization", {x, scaled.weight},
               {{"axis", scaled.axis}, {"epsilon", static_cast<float>(c.number("eps", eps))}},
               x.dtype, x.rank));
}

/// (sum |x|^p)^(1/p) over axes.
void vector_norm(Call& c, std::string_view) {
  const Tensor given = c.tensor("self");
  const Tensor x = c.b.cast(given, c.out_dtype());
  const bool named = c.has("p");
  const double p = named ? c.number("p") : c.number("ord", 2);
  const Ints axes = c.axes("dim", x.rank);
  const bool keep = c.flag("keepdim", false);
  if (axes.empty()) return c.set(c.b.op("Abs", {x}));
  if (p == 2) return c.set(c.b.reduce("ReduceL2", x, axes, keep));
  if (p == 1) return c.set(c.b.reduce("ReduceL1", x, axes, keep));
  const Tensor size = c.b.op("Abs", {x});
  if (p == std::numeric_limits<double>::infinity()) {
    return c.set(c.b.reduce("ReduceMax", size, axes, keep));
  }
  if (p == -std::numeric_limits<double>::infinity()) {
    return c.set(c.b.reduce("ReduceMin", size, axes, keep));
  }
  if (p == 0) {
    const Tensor zero = c.b.op("Equal", {x, c.b.scalar(x.dtype, 0)}, {}, DType::kBool);
    return c.set(c.b.reduce("ReduceSum", c.b.cast(c.b.op("Not", {zero}), x.dtype), axes, keep));
  }
  const Tensor powers = c.b.op("Pow", {size, c.b.scalar(x.dtype, p)});
  c.set(c.b.op("Pow", {c.b.reduce("ReduceSum", powers, axes, keep), c.b.scalar(x.dtype, 1 / p)}));
}

constexpr Operator kOperators[] = {
    {"aten.softmax", "int", "Softmax", softmax_of},
    {"aten._softmax", "default", "Softmax", softmax_of},
    {"aten._safe_softmax", "default", "Softmax", softmax_of},
    {"aten.special_softmax", "default", "Softmax", softmax_of},
    {"aten.log_softmax", "int", "LogSoftmax", softmax_of},
    {"aten._log_softmax", "default", "LogSoftmax", softmax_of},
    {"aten.batch_norm", "default", "BatchNormalization", batch_norm},
    {"aten.native_batch_norm", "default", "BatchNormalization", batch_norm},
    {"aten._native_batch_norm_legit_no_training", "default", "BatchNormalization", batch_norm},
    {"aten.cudnn_batch_norm", "default", "BatchNormalization", batch_norm},
    {"aten.instance_norm", "default", "InstanceNormalization", instance_norm},
    {"aten.group_norm", "default", "GroupNormalization", group_norm},
    {"aten.native_group_norm", "default", "GroupNormalization", group_norm},
    {"aten.layer_norm", "default", "LayerNormalization", layer_norm},
    {"aten.native_layer_norm", "default", "LayerNormalization", layer_norm},
    {"aten.rms_norm", "default", "RMSNormalization", rms_norm},
    {"aten._fused_rms_norm", "default", "RMSNormalization", rms_norm},
    {"aten.linalg_vector_norm", "default", "ReduceL1, ReduceL2", vector_norm},
    {"aten.norm", "Scalar ScalarOpt_dim ScalarOpt_dim_dtype", "ReduceL1, ReduceL2", vector_norm},
};

}  // namespace

std::span<const Operator> norm_operators() { return kOperators; }

}  // namespace quern::torch
