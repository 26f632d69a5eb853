// Layers without windows: dense ones, activations, shapes, normalisation, merges.
#include <algorithm>

#include "import/tensorflow/window.h"
#include "import/tfjs/layer.h"

namespace quern::tfjs {
namespace {

using tensorflow::kUnknownRank;

void same(Layer& l, std::string_view) { l.outputs = l.inputs; }

void dense(Layer& l, std::string_view) {
  Emitter& b = l.b;
  const Tensor x = l.x(), kernel = l.weight("kernel");
  if (kernel.rank != 2 || x.rank < 2 || x.rank == kUnknownRank)
    return l.invalid("a kernel of another rank");
  Shape dims = b.shape(x);
  dims.back() = b.shape(kernel)[1];
  Tensor y = b.shaped(b.op("MatMul", {x, kernel}, {}, x.dtype, x.rank), dims);
  if (l.flag("use_bias", true)) y = b.binary("Add", y, l.weight("bias"));
  l.set(l.activated("activation", y));
}

void activation(Layer& l, std::string_view) { l.set(l.activated("activation", l.x())); }

void relu(Layer& l, std::string_view) {
  Emitter& b = l.b;
  const Tensor x = l.x();
  const double slope = l.number("negative_slope", 0), threshold = l.number("threshold", 0);
  if (threshold != 0) return l.unsupported("a threshold other than 0");
  Tensor y = slope == 0 ? b.unary("Relu", x)
                        : b.unary("LeakyRelu", x, {{"alpha", static_cast<float>(slope)}});
  if (l.has("max_value")) y = b.binary("Min", y, b.number_like(y, l.number("max_value", 0)));
  l.set(y);
}

void leaky_relu(Layer& l, std::string_view) {
  const double alpha = l.number("alpha", l.number("negative_slope", 0.3));
  l.set(l.b.unary("LeakyRelu", l.x(), {{"alpha", static_cast<float>(alpha)}}));
}

void elu(Layer& l, std::string_view) {
  l.set(l.b.unary("Elu", l.x(), {{"alpha", static_cast<float>(l.number("alpha", 1))}}));
}

void prelu(Layer& l, std::string_view) { l.set(l.b.binary("PRelu", l.x(), l.weight("alpha"))); }

void thresholded(Layer& l, std::string_view) {
  l.set(l.b.unary("ThresholdedRelu", l.x(), {{"alpha", static_cast<float>(l.number("theta", 1))}}));
}

void softmax(Layer& l, std::string_view) {
  l.set(l.b.unary("Softmax", l.x(), {{"axis", l.integer("axis", -1)}}));
}

void flatten(Layer& l, std::string_view) {
  Emitter& b = l.b;
  Tensor x = l.x();
  if (x.rank == kUnknownRank || x.rank < 1) return l.invalid("an input of rank 0");
  if (!l.channels_last()) x = tensorflow::channels_last(b, x);
  if (x.rank == 1) return l.set(b.unsqueeze(x, {1}));
  // The batch may be the only dim that is not known.
  Dim rest(1);
  const Shape dims = b.shape(x);
  for (size_t i = 1; i < dims.size(); ++i) rest = rest * dims[i];
  const Tensor y = b.op("Flatten", {x}, {{"axis", int64_t{1}}}, x.dtype, 2);
  l.set(b.shaped(y, {dims[0], rest}));
}

void reshape(Layer& l, std::string_view) {
  Emitter& b = l.b;
  const Tensor x = l.x();
  std::vector<Size> sizes = {b.size(x, 0)};
  Shape dims = {b.shape(x)[0]};
  Dim rest(1);
  const Shape from = b.shape(x);
  for (size_t i = 1; i < from.size(); ++i) rest = rest * from[i];
  Ints wanted;
  for (const Json& item : items_of(member(l.config, "target_shape")))
    wanted.push_back(integer_of(item).value_or(-1));
  for (const int64_t n : wanted) {
    if (n > 0) rest = floor_div(rest, n);
  }
  for (const int64_t n : wanted) {
    const auto known = rest.constant();
    sizes.push_back(b.number(n >= 0 ? n : known ? *known : -1));
    dims.push_back(n >= 0 ? Dim(n) : rest);
  }
  l.set(b.shaped(b.reshape(x, sizes), dims));
}

void permute(Layer& l, std::string_view) {
  Ints perm = {0};
  for (const Json& item : items_of(member(l.config, "dims")))
    perm.push_back(integer_of(item).value_or(-1));
  for (const int64_t axis : perm) l.axis(axis, l.x().rank);
  if (!l.b.failed()) l.set(l.b.permute(l.x(), perm));
}

void repeat(Layer& l, std::string_view) {
  Emitter& b = l.b;
  const Tensor x = l.x();
  const int64_t n = l.integer("n", 1);
  if (x.rank != 2 || n < 0) return l.invalid("an input of rank 2 was expected");
  const Tensor y = b.op("Tile", {b.unsqueeze(x, {1}), b.ints({1, n, 1})}, {}, x.dtype, 3);
  l.set(b.shaped(y, {b.shape(x)[0], n, b.shape(x)[1]}));
}

/// Time steps that are all mask_value are zero; layers that skip them are refused.
void masking(Layer& l, std::string_view) {
  Emitter& b = l.b;
  const Tensor x = l.x();
  const Tensor same =
      b.binary("Equal", x, b.number_like(x, l.number("mask_value", 0)), DType::kBool);
  const Tensor other = b.cast(b.unary("Not", same), DType::kI32);
  const Tensor any = b.reduce("ReduceMax", other, {static_cast<int64_t>(x.rank) - 1}, true);
  l.set(b.binary("Mul", x, b.cast(any, x.dtype)));
}

void embedding(Layer& l, std::string_view) {
  Emitter& b = l.b;
  const Tensor table = l.weight("embeddings");
  const Tensor x = b.cast(l.x(), DType::kI32);
  Shape dims = b.shape(x);
  if (table.rank != 2) return l.invalid("embeddings of another rank");
  dims.push_back(b.shape(table)[1]);
  l.set(
      b.shaped(b.op("Gather", {table, x}, {{"axis", int64_t{0}}}, table.dtype, dims.size()), dims));
}

void batch_norm(Layer& l, std::string_view) {
  Emitter& b = l.b;
  const Tensor given = l.x();
  const Tensor mean = l.weight("moving_mean"), variance = l.weight("moving_variance");
  const size_t axis = l.axis(l.integer("axis", -1), given.rank);
  if (b.failed() || given.rank < 2) return l.invalid("an input of an unexpected rank");
  const bool last = axis + 1 == given.rank;
  if (!last && axis != 1) return l.unsupported(cat("normalisation along axis ", axis));
  const auto filled = [&](std::string_view name, double value) {
    if (l.has_weight(name)) return l.weight(name);
    return b.expand_like(b.scalar(mean.dtype, value), mean);
  };
  const Tensor gamma = filled("gamma", 1), beta = filled("beta", 0);
  const Tensor x = last ? tensorflow::channels_first(b, given) : given;
  const auto epsilon = static_cast<float>(l.number("epsilon", 1e-3));
  Tensor y = b.op("BatchNormalization", {x, gamma, beta, mean, variance}, {{"epsilon", epsilon}},
                  x.dtype, x.rank);
  y = b.shaped(y, b.shape(x));
  l.set(last ? tensorflow::channels_last(b, y) : y);
}

void layer_norm(Layer& l, std::string_view) {
  Emitter& b = l.b;
  const Tensor x = l.x();
  Ints axes;
  if (const auto one = integer_of(member(l.config, "axis"))) axes.push_back(*one);
  for (const Json& item : items_of(member(l.config, "axis")))
    axes.push_back(integer_of(item).value_or(-1));
  if (axes.empty()) axes = {-1};
  for (int64_t& axis : axes) axis = static_cast<int64_t>(l.axis(axis, x.rank));
  std::ranges::sort(axes);
  if (b.failed()) return;
  const double epsilon = l.number("epsilon", 1e-3);
  const Tensor mean = b.reduce("ReduceMean", x, axes, true);
  const Tensor centered = b.binary("Sub", x, mean);
  const Tensor variance = b.reduce("ReduceMean", b.binary("Mul", centered, centered), axes, true);
  const Tensor deviation =
      b.unary("Sqrt", b.binary("Add", variance, b.number_like(variance, epsilon)));
  Tensor y = b.binary("Div", centered, deviation);
  // Weights lie along the axes; others follow behind.
  const auto along = [&](const Tensor& w) {
    Ints rest;
    for (size_t i = static_cast<size_t>(axes[0]); i < x.rank; ++i) {
      if (std::ranges::find(axes, static_cast<int64_t>(i)) == axes.end())
        rest.push_back(static_cast<int64_t>(i) - axes[0]);
    }
    return rest.empty() ? w : b.unsqueeze(w, rest);
  };
  if (l.has_weight("gamma")) y = b.binary("Mul", y, along(l.weight("gamma")));
  if (l.has_weight("beta")) y = b.binary("Add", y, along(l.weight("beta")));
  l.set(y);
}

void rescaling(Layer& l, std::string_view) {
  const Tensor x = l.b.cast(l.x(), DType::kF32);
  const Tensor y = l.b.binary("Mul", x, l.b.number_like(x, l.number("scale", 1)));
  l.set(l.b.binary("Add", y, l.b.number_like(x, l.number("offset", 0))));
}

void fold(Layer& l, std::string_view ours) {
  Tensor y = l.x();
  for (size_t i = 1; i < l.inputs.size(); ++i) y = l.b.binary(ours, y, l.inputs[i]);
  if (l.kind == "Average")
    y = l.b.binary("Div", y, l.b.number_like(y, static_cast<double>(l.inputs.size())));
  l.set(y);
}

void concatenate(Layer& l, std::string_view) {
  const size_t axis = l.axis(l.integer("axis", -1), l.x().rank);
  if (!l.b.failed()) l.set(l.b.concat(l.inputs, axis));
}

void dot(Layer& l, std::string_view) {
  Emitter& b = l.b;
  if (l.inputs.size() != 2) return l.invalid("two inputs were expected");
  Tensor x = l.inputs[0], y = l.inputs[1];
  if (x.rank < 2 || y.rank < 2 || x.rank > 3 || y.rank > 3)
    return l.unsupported("inputs of other ranks than 2 and 3");
  const Ints given = l.numbers("axes", 2, -1);
  const size_t a = l.axis(given[0], x.rank), c = l.axis(given[1], y.rank);
  if (b.failed()) return;
  if (a == 0 || c == 0) return l.unsupported("a product over the batch");
  if (l.flag("normalize", false)) {
    const auto unit = [&](const Tensor& t, size_t axis) {
      return b.binary("Div", t, b.reduce("ReduceL2", t, {static_cast<int64_t>(axis)}, true));
    };
    x = unit(x, a);
    y = unit(y, c);
  }
  const bool flat_x = x.rank == 2, flat_y = y.rank == 2;
  // [batch, rows, k] times [batch, k, columns].
  x = flat_x ? b.unsqueeze(x, {1}) : a == 1 ? b.permute(x, {0, 2, 1}) : x;
  y = flat_y ? b.unsqueeze(y, {2}) : c == 2 ? b.permute(y, {0, 2, 1}) : y;
  Tensor z = b.op("MatMul", {x, y}, {}, x.dtype, 3);
  z = b.shaped(z, {b.shape(x)[0], b.shape(x)[1], b.shape(y)[2]});
  if (flat_x && flat_y) return l.set(b.squeeze(z, {2}));
  l.set(flat_x ? b.squeeze(z, {1}) : flat_y ? b.squeeze(z, {2}) : z);
}

void time_distributed(Layer& l, std::string_view) {
  Emitter& b = l.b;
  const Tensor x = l.x();
  if (x.rank == kUnknownRank || x.rank < 3)
    return l.invalid("an input of rank 3 or more was expected");
  const Json& inner = member(l.config, "layer");
  std::vector<std::string> owners = l.owners;
  owners.emplace_back(text_of(member(member(inner, "config"), "name")));
  const Shape dims = b.shape(x);
  std::vector<Size> joined = {b.arithmetic("Mul", b.size(x, 0), b.size(x, 1))};
  Shape flat = {dims[0] * dims[1]};
  for (size_t i = 2; i < x.rank; ++i) {
    joined.push_back(b.size(x, i));
    flat.push_back(dims[i]);
  }
  const auto results = l.apply(inner, owners, {b.shaped(b.reshape(x, joined), flat)});
  if (b.failed() || results.empty()) return;
  const Tensor y = results[0];
  std::vector<Size> split = {b.size(x, 0), b.size(x, 1)};
  Shape out = {dims[0], dims[1]};
  for (size_t i = 1; i < y.rank; ++i) {
    split.push_back(b.size(y, i));
    out.push_back(b.shape(y)[i]);
  }
  l.set(b.shaped(b.reshape(y, split), out));
}

constexpr LayerKind kCore[] = {
    {"InputLayer", "input", same},
    {"Dense", "MatMul, Add", dense},
    {"Activation", "the activation", activation},
    {"ReLU", "Relu", relu},
    {"LeakyReLU", "LeakyRelu", leaky_relu},
    {"ELU", "Elu", elu},
    {"PReLU", "PRelu", prelu},
    {"ThresholdedReLU", "ThresholdedRelu", thresholded},
    {"Softmax", "Softmax", softmax},
    {"Flatten", "Flatten", flatten},
    {"Reshape", "Reshape", reshape},
    {"Permute", "Transpose", permute},
    {"RepeatVector", "Tile", repeat},
    {"Masking", "Equal, ReduceMax, Mul", masking},
    {"Embedding", "Gather", embedding},
    {"BatchNormalization", "BatchNormalization", batch_norm},
    {"LayerNormalization", "ReduceMean, Sub, Div", layer_norm},
    {"Rescaling", "Mul, Add", rescaling},
    {"Dropout", "", same},
    {"AlphaDropout", "", same},
    {"GaussianDropout", "", same},
    {"GaussianNoise", "", same},
    {"SpatialDropout1D", "", same},
    {"SpatialDropout2D", "", same},
    {"SpatialDropout3D", "", same},
    {"ActivityRegularization", "", same},
    {"TimeDistributed", "its layer", time_distributed},
};

constexpr LayerKind kMerges[] = {
    {"Add", "Add", fold},
    {"Subtract", "Sub", fold},
    {"Multiply", "Mul", fold},
    {"Average", "Add, Div", [](Layer& l, std::string_view) { fold(l, "Add"); }},
    {"Maximum", "Max", fold},
    {"Minimum", "Min", fold},
    {"Concatenate", "Concat", concatenate},
    {"Dot", "MatMul", dot},
};

}  // namespace

std::span<const LayerKind> core_layers() { return kCore; }
std::span<const LayerKind> merge_layers() { return kMerges; }

}  // namespace quern::tfjs
