// Products, normalisation, reductions.
#include <algorithm>

#include "import/tensorflow/operators.h"
#include "import/tensorflow/window.h"

namespace quern::tensorflow {
namespace {

Tensor turned(Emitter& b, const Tensor& x) {
  if (x.rank == kUnknownRank || x.rank < 2) {
    b.invalid("a matrix of rank below 2");
    return x;
  }
  Ints perm;
  for (size_t i = 0; i < x.rank; ++i) perm.push_back(static_cast<int64_t>(i));
  std::swap(perm[x.rank - 1], perm[x.rank - 2]);
  return b.permute(x, perm);
}

Tensor product(Emitter& b, const Tensor& x, const Tensor& y) {
  if (x.rank < 2 || y.rank < 2 || x.rank == kUnknownRank || y.rank == kUnknownRank) {
    b.invalid("a product of tensors of rank below 2");
    return x;
  }
  const Shape p = b.shape(x), q = b.shape(y);
  const auto batches = broadcast_shapes({p.begin(), p.end() - 2}, {q.begin(), q.end() - 2});
  if (!batches) {
    b.invalid(batches.error().message);
    return x;
  }
  Shape out = *batches;
  out.push_back(p[x.rank - 2]);
  out.push_back(q[y.rank - 1]);
  return b.shaped(b.op("MatMul", {x, y}, {}, x.dtype, out.size()), out);
}

void matmul(Call& c, std::string_view) {
  auto [x, y] = c.pair();
  if (!c.op().starts_with("Batch")) {
    x = Emitter::of_rank(x, 2);
    y = Emitter::of_rank(y, 2);
  }
  if (c.flag("transpose_a", c.flag("adj_x", false))) x = turned(c.b, x);
  if (c.flag("transpose_b", c.flag("adj_y", false))) y = turned(c.b, y);
  if (c.failed()) return;
  c.set(fused_epilogue(c, product(c.b, x, y), 2, true));
}

void einsum(Call& c, std::string_view) {
  std::string equation = c.text("equation", "");
  std::erase(equation, ' ');
  const size_t arrow = equation.find("->");
  if (arrow == equation.npos) return c.unsupported("an equation without '->'");
  const std::string_view result = std::string_view(equation).substr(arrow + 2);
  size_t rank = 0;
  if (result.find("...") != result.npos) {
    // The operand with an ellipsis says how many axes it stands for.
    size_t at = 0, wide = 0;
    for (size_t i = 0; i < c.count(); ++i) {
      const size_t end = std::min(equation.find(',', at), arrow);
      const std::string_view term = std::string_view(equation).substr(at, end - at);
      if (term.find("...") != term.npos && c.in(i).rank != kUnknownRank &&
          c.in(i).rank + 3 >= term.size()) {
        wide = std::max(wide, c.in(i).rank + 3 - term.size());
      }
      at = std::min(end + 1, arrow);
    }
    rank = result.size() - 3 + wide;
  } else {
    rank = result.size();
  }
  const std::vector<Tensor> operands = c.inputs_from(0);
  if (operands.empty()) return c.invalid("no operands");
  c.set(c.b.ops("Einsum", operands, 1, {{"equation", equation}}, operands[0].dtype, rank)[0]);
}

void bias_add(Call& c, std::string_view) {
  const auto [x, bias] = c.pair();
  Tensor along = bias;
  if (c.text("data_format", "NHWC").starts_with("NC") && x.rank > 2 && x.rank != kUnknownRank) {
    Ints axes;
    for (size_t i = 2; i < x.rank; ++i) axes.push_back(static_cast<int64_t>(i) - 1);
    along = c.b.unsqueeze(bias, axes);
  }
  c.set(c.b.binary("Add", x, along));
}

void batch_norm(Call& c, std::string_view) {
  Emitter& b = c.b;
  const auto format = c.text("data_format", "NHWC");
  const bool last = !format.starts_with("NC");
  if (c.flag("is_training", false)) return c.unsupported("batch normalisation in training");
  const Tensor given = Emitter::of_rank(c.in(0), format.size());
  if (given.rank < 2) return c.invalid("an input of an unexpected rank");
  const Tensor x = last ? channels_first(b, given) : given;
  // SavedModels leave out what is TensorFlow's default; TensorFlow.js has another.
  const double usual = b.shared.index == DType::kI64 ? 1e-4 : 1e-3;
  const auto epsilon = static_cast<float>(c.number("epsilon", c.number("variance_epsilon", usual)));
  Tensor y = b.op("BatchNormalization", {x, c.in(1), c.in(2), c.in(3), c.in(4)},
                  {{"epsilon", epsilon}}, x.dtype, x.rank);
  y = b.shaped(y, b.shape(x));
  c.set(last ? channels_last(b, y) : y, 0);
  // In inference the other outputs are what went in.
  for (size_t i = 0; i < 5; ++i) c.set(c.in(3 + i % 2), 1 + i);
}

void softmax(Call& c, std::string_view ours) {
  const Tensor x = c.in(0);
  c.set(c.b.unary(ours, c.b.cast(x, emit::float_type(x.dtype)), {{"axis", int64_t{-1}}}));
}

void lrn(Call& c, std::string_view) {
  Emitter& b = c.b;
  const Tensor x = channels_first(b, c.in(0));
  const int64_t size = 2 * c.integer("depth_radius", 5) + 1;
  if (x.rank != 4 || size < 1 || size > 65536) return c.invalid("an input of an unexpected rank");
  const auto alpha = static_cast<float>(c.number("alpha", 1) * static_cast<double>(size));
  c.set(channels_last(b, b.unary("LRN", x,
                                 {{"size", size},
                                  {"alpha", alpha},
                                  {"beta", static_cast<float>(c.number("beta", 0.5))},
                                  {"bias", static_cast<float>(c.number("bias", 1))}})));
}

void l2_loss(Call& c, std::string_view) {
  const Tensor x = c.in(0);
  const Tensor sum = c.b.reduce("ReduceSum", c.b.binary("Mul", x, x), {}, false);
  c.set(c.b.binary("Mul", sum, c.b.number_like(sum, 0.5)));
}

bool keeps(Call& c) { return c.flag("keep_dims", c.flag("keepDims", false)); }

void reduce(Call& c, std::string_view ours) {
  Emitter& b = c.b;
  Tensor x = c.in(0);
  const Ints given = c.count() > 1 ? c.ints_in(1) : Ints{};
  const bool none = c.count() > 1 && given.empty();
  if (none) return c.set(x);  // over no axis
  const Ints axes = c.axes(given, x.rank);
  if (c.failed()) return;
  const bool is_logical = c.op() == "All" || c.op() == "Any";
  if (is_logical) x = b.cast(x, DType::kBool);
  if (!is_logical && x.dtype == DType::kBool) x = b.cast(x, DType::kI32);
  const DType dtype = x.dtype;
  const bool averages = c.op() == "Mean" || c.op() == "EuclideanNorm";
  Tensor y = b.reduce(ours, averages ? b.cast(x, emit::float_type(dtype)) : x, axes, keeps(c));
  if (averages) y = b.cast(y, dtype);
  if (const auto held = b.contents(x); held && x.rank == 1 && is_integer(dtype) && !held->empty()) {
    Dim all = (*held)[0];
    for (size_t i = 1; i < held->size(); ++i) {
      const Dim& next = (*held)[i];
      all = c.op() == "Prod"  ? all * next
            : c.op() == "Sum" ? all + next
            : c.op() == "Max" ? max(all, next)
            : c.op() == "Min" ? min(all, next)
                              : b.unknown();
    }
    if (!averages) y = b.holding(y, {all});
  }
  c.set(y);
}

void arg(Call& c, std::string_view ours) {
  Emitter& b = c.b;
  Tensor x = c.in(0);
  const size_t axis = c.count() > 1 ? c.axis_in(1, x.rank) : c.axis(c.integer("axis", 0), x.rank);
  if (c.failed()) return;
  if (x.dtype == DType::kBool) x = b.cast(x, DType::kI32);
  Shape dims = b.shape(x);
  dims.erase(dims.begin() + static_cast<ptrdiff_t>(axis));
  const Tensor y = b.op(ours, {x}, {{"axis", static_cast<int64_t>(axis)}, {"keepdims", int64_t{0}}},
                        DType::kI64, dims.size());
  c.set(b.cast(b.shaped(y, dims), c.type("output_type", b.shared.index)));
}

void cumulate(Call& c, std::string_view ours) {
  Emitter& b = c.b;
  const Tensor x = c.in(0);
  const size_t axis = c.axis_in(1, x.rank);
  if (c.failed()) return;
  const Attributes how = {{"exclusive", int64_t{c.flag("exclusive", false)}},
                          {"reverse", int64_t{c.flag("reverse", false)}}};
  c.set(b.shaped(b.op(ours, {x, b.integer(static_cast<int64_t>(axis))}, how, x.dtype, x.rank),
                 b.shape(x)));
}

/// How many values of 0 to size - 1 there are, by a comparison with each.
void bincount(Call& c, std::string_view) {
  Emitter& b = c.b;
  const Tensor values = c.in(0);
  const bool dense = c.op() == "DenseBincount";
  const bool rows = dense && values.rank == 2;
  Tensor weights = c.count() > 2 ? c.inputs()[2] : Tensor{};
  const bool weighted = weights && weights.extent(0) != 0 && weights.rank == values.rank;
  if (values.rank == kUnknownRank) return c.unsupported("an operand whose rank is not known");
  const Tensor flat = rows ? values : b.reshape_ints(values, {-1});
  const Tensor size = b.reshape_ints(b.as_i64(c.in(1)), {});
  const Tensor places = b.op("Range", {b.integer(0), size, b.integer(1)}, {}, DType::kI64, 1);
  const Tensor spread = b.unsqueeze(b.as_i64(flat), {static_cast<int64_t>(flat.rank)});
  Tensor hits = b.op("Equal", {spread, places}, {}, DType::kBool, flat.rank + 1);
  const DType dtype = weighted ? weights.dtype : c.type("T", DType::kI32);
  hits = b.cast(hits, c.flag("binary_output", false) || !weighted ? DType::kI32 : dtype);
  if (weighted && !c.flag("binary_output", false)) {
    const Tensor flat_weights = rows ? weights : b.reshape_ints(weights, {-1});
    hits = b.op("Mul", {hits, b.unsqueeze(flat_weights, {static_cast<int64_t>(flat.rank)})}, {},
                dtype, flat.rank + 1);
  }
  const std::string_view how = c.flag("binary_output", false) ? "ReduceMax" : "ReduceSum";
  Tensor y = b.op(how, {hits, b.ints({static_cast<int64_t>(flat.rank) - 1})},
                  {{"keepdims", int64_t{0}}}, {}, flat.rank);
  c.set(b.cast(y, weighted ? dtype : c.type("T", DType::kI32)));
}

constexpr Operator kMatrix[] = {
    {"MatMul", "MatMul", matmul},
    {"_FusedMatMul", "MatMul, Add, Relu, ...", matmul},
    {"FusedMatMul", "MatMul, Add, Relu, ...", matmul},
    {"BatchMatMul", "MatMul", matmul},
    {"BatchMatMulV2", "MatMul", matmul},
    {"BatchMatMulV3", "MatMul", matmul},
    {"Einsum", "Einsum", einsum},
    {"BiasAdd", "Add", bias_add},
    {"BiasAddV1", "Add", bias_add},
};

constexpr std::string_view kNorm =
    "y batch_mean batch_variance reserve_space_1 reserve_space_2 reserve_space_3";
constexpr Operator kNorms[] = {
    {"FusedBatchNorm", "BatchNormalization", batch_norm, kNorm},
    {"FusedBatchNormV2", "BatchNormalization", batch_norm, kNorm},
    {"FusedBatchNormV3", "BatchNormalization", batch_norm, kNorm},
    {"Softmax", "Softmax", softmax},
    {"LogSoftmax", "LogSoftmax", softmax},
    {"LRN", "LRN", lrn},
    {"L2Loss", "Mul, ReduceSum", l2_loss},
};

constexpr Operator kReductions[] = {
    {"All", "ReduceMin", reduce},
    {"Any", "ReduceMax", reduce},
    {"Max", "ReduceMax", reduce},
    {"Mean", "ReduceMean", reduce},
    {"Min", "ReduceMin", reduce},
    {"Prod", "ReduceProd", reduce},
    {"Sum", "ReduceSum", reduce},
    {"EuclideanNorm", "ReduceL2", reduce},
    {"ArgMax", "ArgMax", arg},
    {"ArgMin", "ArgMin", arg},
    {"Cumsum", "CumSum", cumulate},
    {"Cumprod", "CumProd", cumulate},
    {"Bincount", "Equal, ReduceSum", bincount},
    {"DenseBincount", "Equal, ReduceSum", bincount},
};

}  // namespace

std::span<const Operator> matrix_operators() { return kMatrix; }
std::span<const Operator> norm_operators() { return kNorms; }
std::span<const Operator> reduction_operators() { return kReductions; }

}  // namespace quern::tensorflow
