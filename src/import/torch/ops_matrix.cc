// Products of matrices, and attention.
#include <algorithm>

#include "import/torch/operators.h"

namespace quern::torch {
namespace {

/// x W^T + b.
void linear(Call& c, std::string_view) {
  const Tensor x = c.tensor("input");
  const Tensor weight = c.tensor("weight");
  const Tensor bias = c.optional("bias");
  if (c.failed()) return;
  if (x.rank == 2 && weight.rank == 2) {
    return c.set(c.b.op("Gemm", {x, weight, bias}, {{"transB", int64_t{1}}}, x.dtype, 2));
  }
  const size_t rank = x.rank + weight.rank - 2;
  if (weight.rank == 0 || weight.rank > 2) return c.invalid("a weight of another rank than 2");
  const Tensor turned = weight.rank == 2 ? c.b.swap(weight, 0, 1) : weight;
  const Tensor product = c.b.op("MatMul", {x, turned}, {}, x.dtype, rank);
  c.set(bias ? c.b.op("Add", {product, bias}) : product);
}

size_t product_rank(const Tensor& x, const Tensor& y) {
  const size_t rank = std::max(x.rank, y.rank);
  return x.rank == 1 || y.rank == 1 ? rank - 1 : rank;
}

void matmul(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  std::string_view second = "mat2";
  for (const std::string_view name : {"other", "vec", "tensor"}) {
    if (c.has(name)) second = name;
  }
  const Tensor y = c.tensor(second);
  if (x.rank == 0 || y.rank == 0) return c.invalid("an operand of rank 0");
  c.set(c.b.op("MatMul", {x, y}, {}, x.dtype, product_rank(x, y)));
}

/// beta * self + alpha * (a b); of matrices, of batches, of a matrix and a vector.
void addmm(Call& c, std::string_view) {
  const bool batched = c.has("batch1");
  const bool vector = c.has("mat") && c.has("vec");
  const Tensor self = c.tensor("self");
  const Tensor a = c.tensor(batched ? "batch1" : vector ? "mat" : "mat1");
  const Tensor b = c.tensor(batched ? "batch2" : vector ? "vec" : "mat2");
  const double alpha = c.number("alpha", 1);
  const double beta = c.number("beta", 1);
  if (c.failed()) return;
  if (a.rank == 2 && b.rank == 2 && self.rank <= 2 && is_float(a.dtype)) {
    return c.set(c.b.op("Gemm", {a, b, beta == 0 ? Tensor() : self},
                        {{"alpha", static_cast<float>(alpha)}, {"beta", static_cast<float>(beta)}},
                        a.dtype, 2));
  }
  Tensor product = c.b.op("MatMul", {a, b}, {}, a.dtype, product_rank(a, b));
  if (alpha != 1) product = c.b.op("Mul", {product, c.operand("alpha", a.dtype)});
  if (beta == 0) return c.set(product);
  const Tensor scaled = beta == 1 ? self : c.b.op("Mul", {self, c.operand("beta", self.dtype)});
  c.set(c.b.op("Add", {scaled, product}));
}

void outer(Call& c, std::string_view) {
  const Tensor x = c.b.unsqueeze(c.b.cast(c.tensor("self"), c.out_dtype()), {1});
  const Tensor y = c.b.unsqueeze(c.b.cast(c.tensor("vec2"), c.out_dtype()), {0});
  c.set(c.b.op("Mul", {x, y}));
}

void einsum(Call& c, std::string_view) {
  const std::vector<Tensor> tensors = c.tensors("tensors");
  const std::string equation(c.text("equation", ""));
  if (c.failed()) return;
  c.set(c.b.ops("Einsum", tensors, 1, {{"equation", equation}}, tensors[0].dtype, c.out_rank())[0]);
}

/// x1^T A x2 + b.
void bilinear(Call& c, std::string_view) {
  const Tensor x = c.tensor("input1");
  const Tensor y = c.tensor("input2");
  const Tensor weight = c.tensor("weight");
  const Tensor bias = c.optional("bias");
  const Tensor product =
      c.b.ops("Einsum", {x, weight, y}, 1, {{"equation", std::string("...i,oij,...j->...o")}},
              x.dtype, x.rank)[0];
  c.set(bias ? c.b.op("Add", {product, bias}) : product);
}

void cosine_similarity(Call& c, std::string_view) {
  const Tensor x = c.tensor("x1");
  const Tensor y = c.tensor("x2");
  const auto axis = static_cast<int64_t>(c.axis("dim", std::max(x.rank, y.rank), 1));
  const Tensor eps = c.b.scalar(x.dtype, c.number("eps", 1e-8));
  const auto sum = [&](const Tensor& a, const Tensor& b) {
    return c.b.reduce("ReduceSum", c.b.op("Mul", {a, b}), {axis}, false);
  };
  const auto length = [&](const Tensor& a) {
    return c.b.op("Max", {c.b.op("Sqrt", {sum(a, a)}), eps});
  };
  c.set(c.b.op("Div", {sum(x, y), c.b.op("Mul", {length(x), length(y)})}));
}

/// Distances of all pairs of rows.
void cdist(Call& c, std::string_view) {
  const Tensor x = c.tensor("x1");
  const Tensor y = c.tensor("x2");
  const double p = c.number("p", 2);
  if (p != 1 && p != 2) return c.unsupported(cat("p of ", p));
  const Tensor step = c.b.op("Sub", {c.b.unsqueeze(x, {static_cast<int64_t>(x.rank) - 1}),
                                     c.b.unsqueeze(y, {static_cast<int64_t>(y.rank) - 2})});
  c.set(c.b.reduce(p == 2 ? "ReduceL2" : "ReduceL1", step, {static_cast<int64_t>(step.rank) - 1},
                   false));
}

/// To rank 4: [batch, heads, rows, size].
Tensor four(Builder& b, const Tensor& x) {
  Ints axes;
  for (size_t i = x.rank; i < 4; ++i) axes.push_back(static_cast<int64_t>(axes.size()));
  return axes.empty() ? x : b.unsqueeze(x, axes);
}

void attention(Call& c, std::string_view) {
  const Tensor q = c.tensor("query");
  const Tensor k = c.tensor("key");
  const Tensor v = c.tensor("value");
  Tensor mask = c.has("attn_mask") ? c.tensor("attn_mask") : c.optional("attn_bias");
  if (c.number("dropout_p", 0) != 0) return c.unsupported("dropout; export after .eval()");
  if (c.failed()) return;
  if (q.rank < 2 || q.rank > 4 || k.rank != q.rank || v.rank != q.rank) {
    return c.unsupported(cat("query, key and value of rank ", q.rank, ", ", k.rank, ", ", v.rank));
  }
  if (mask) mask = four(c.b, mask.dtype == DType::kBool ? mask : c.b.cast(mask, q.dtype));
  const int64_t causal = c.flag("is_causal", false) ? 1 : 0;
  // 1 / sqrt(size) unless given: the operator's default too.
  std::vector<Tensor> y;
  const std::vector<Tensor> inputs = {four(c.b, q), four(c.b, k), four(c.b, v), mask};
  if (c.has("scale")) {
    y = c.b.ops("Attention", inputs, 1,
                {{"is_causal", causal}, {"scale", static_cast<float>(c.number("scale"))}}, q.dtype,
                4);
  } else {
    y = c.b.ops("Attention", inputs, 1, {{"is_causal", causal}}, q.dtype, 4);
  }
  Ints axes;
  for (size_t i = q.rank; i < 4; ++i) axes.push_back(static_cast<int64_t>(axes.size()));
  c.set(axes.empty() ? y[0] : c.b.squeeze(y[0], axes));
}

constexpr Operator kOperators[] = {
    {"aten.linear", "default", "Gemm, MatMul", linear},
    {"aten.matmul", "default", "MatMul", matmul},
    {"aten.mm", "default", "MatMul", matmul},
    {"aten.bmm", "default", "MatMul", matmul},
    {"aten.mv", "default", "MatMul", matmul},
    {"aten.dot", "default", "MatMul", matmul},
    {"aten.inner", "default", "MatMul", matmul},
    {"aten.addmm", "default", "Gemm", addmm},
    {"aten.addmv", "default", "MatMul", addmm},
    {"aten.baddbmm", "default", "MatMul", addmm},
    {"aten.outer", "default", "Mul", outer},
    {"aten.ger", "default", "Mul", outer},
    {"aten.einsum", "default", "Einsum", einsum},
    {"aten.bilinear", "default", "Einsum", bilinear},
    {"aten.cosine_similarity", "default", "ReduceSum, Div", cosine_similarity},
    {"aten.cdist", "default", "Sub, ReduceL2", cdist},
    {"aten._cdist_forward", "default", "Sub, ReduceL2", cdist},
    {"aten.scaled_dot_product_attention", "default", "Attention", attention},
    {"aten._scaled_dot_product_flash_attention", "default", "Attention", attention},
    {"aten._scaled_dot_product_flash_attention_for_cpu", "default", "Attention", attention},
    {"aten._scaled_dot_product_efficient_attention", "default", "Attention", attention},
    {"aten._scaled_dot_product_cudnn_attention", "default", "Attention", attention},
    {"aten._scaled_dot_product_attention_math", "default", "Attention", attention},
    {"aten._scaled_dot_product_fused_attention_overrideable", "default", "Attention", attention},
};

}  // namespace

std::span<const Operator> matrix_operators() { return kOperators; }

}  // namespace quern::torch
