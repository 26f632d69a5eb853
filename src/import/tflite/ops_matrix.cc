// Matrix products, and embeddings.
#include "import/tflite/operators.h"

namespace quern::tflite {
namespace {

/// x [.., in], weights [out, in], bias [out].
void fully_connected(Call& c, std::string_view) {
  Tensor x = c.input(0);
  const Tensor stored = c.raw(1);
  if (c.failed()) return;
  if (stored.rank != 2) return c.invalid(cat("weights of rank ", stored.rank, ", expected 2"));
  if (c.code(1) != 0) return c.unsupported("shuffled weights");
  if (x.rank == 0) return c.invalid("an input of rank 0");
  const bool keeps = c.flag(2);
  const Tensor bias = c.optional(2);
  const Size in = c.b.size(stored, 1);
  if (!keeps && x.rank != 2) x = c.b.reshape(x, std::vector<Size>{c.b.number(-1), in});
  // The last axis is split or joined where it is no row.
  if (!keeps && x.rank == 2 && x.extent(1) && in.value == nullptr && *x.extent(1) != in.number) {
    x = c.b.reshape(x, std::vector<Size>{c.b.number(-1), in});
  }
  if (x.rank == 2) {
    const Tensor y =
        c.b.op("Gemm", {x, c.transposed(1, {0, 1}), bias}, {{"transB", int64_t{1}}}, x.dtype, 2);
    return c.set(c.activate(y, c.code(0)));
  }
  Tensor y = c.b.op("MatMul", {x, c.transposed(1, {1, 0})}, {}, x.dtype, x.rank);
  if (bias) y = c.b.op("Add", {y, bias});
  c.set(c.activate(y, c.code(0)));
}

void batch_matmul(Call& c, std::string_view) {
  Tensor x = c.input(0);
  Tensor y = c.input(1);
  if (x.rank < 2 || y.rank < 2) return c.invalid("operands of rank below 2");
  if (c.flag(0)) x = c.b.swap(x, x.rank - 2, x.rank - 1);
  if (c.flag(1)) y = c.b.swap(y, y.rank - 2, y.rank - 1);
  c.set(c.b.op("MatMul", {x, y}, {}, x.dtype, std::max(x.rank, y.rank)));
}

void embedding_lookup(Call& c, std::string_view) {
  const Tensor table = c.input(1);
  const Tensor rows = c.raw(0);
  if (table.rank == 0) return c.invalid("a table of rank 0");
  c.set(c.b.op("Gather", {table, rows}, {{"axis", int64_t{0}}}, table.dtype,
               table.rank - 1 + rows.rank));
}

constexpr Operator kOperators[] = {
    {7, "EMBEDDING_LOOKUP", "Gather", embedding_lookup},
    {9, "FULLY_CONNECTED", "Gemm, MatMul", fully_connected},
    {126, "BATCH_MATMUL", "MatMul", batch_matmul},
};

}  // namespace

std::span<const Operator> matrix_operators() { return kOperators; }

}  // namespace quern::tflite
