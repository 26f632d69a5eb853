#include "passes/products.h"

#include "ops/common/nbits.h"
#include "passes/passes.h"

namespace quern {
namespace {

constexpr int kOpset = 23;

bool is_matrix(const Value* v) {
  return v != nullptr && v->constant && v->constant->dims.size() == 2;
}
bool is_vector(const Value* v) {
  return v != nullptr && v->constant && v->constant->dims.size() == 1;
}

Value* zeros(Graph& graph, DType dtype, int64_t count) {
  HostTensor t;
  t.dtype = dtype;
  t.dims = {count};
  t.bytes.assign(byte_size(dtype, count), 0);
  return graph.add_constant("", make_constant(std::move(t)));
}

}  // namespace

std::optional<Product> product_of(const Graph& graph, const Value& value) {
  Product p;
  p.product = value.producer;
  if (p.product == nullptr || p.product->graph != &graph || !is_used_once(graph, value)) {
    return std::nullopt;
  }
  if (p.product->is("Add")) {
    p.sum = p.product;
    const bool is_second = is_vector(p.sum->inputs[1]);
    p.bias = p.sum->inputs[is_second ? 1 : 0];
    const Value* product = p.sum->inputs[is_second ? 0 : 1];
    p.product = product->producer;
    if (!is_vector(p.bias) || p.product == nullptr || p.product->graph != &graph ||
        !is_used_once(graph, *product)) {
      return std::nullopt;
    }
  }
  const Value* b = p.product->input(1);
  if (b == nullptr || !is_used_once(graph, *b)) return std::nullopt;  // it would be kept besides
  if (p.product->is("MatMul")) {
    if (!is_matrix(b) || !is_float(b->constant->dtype)) return std::nullopt;
    p.columns = b->constant->dims[1];
  } else if (p.product->is("MatMulNBits", "com.microsoft")) {
    for (size_t i = 1; i < p.product->inputs.size(); ++i) {
      const Value* v = p.product->inputs[i];
      if (v != nullptr && (!v->constant || i == nbits::kGroupIndex)) return std::nullopt;
    }
    const auto q = read_nbits(*p.product);
    if (!q) return std::nullopt;
    p.columns = q->n;
  } else {
    return std::nullopt;
  }
  if (p.sum != nullptr && p.bias->constant->dims[0] != p.columns) return std::nullopt;
  return p;
}

bool are_alike(std::span<const Product> products) {
  const Node& first = *products[0].product;
  for (const Product& p : products) {
    const Node& node = *p.product;
    if (node.op != first.op || node.domain != first.domain || node.inputs[0] != first.inputs[0] ||
        node.inputs.size() != first.inputs.size() ||
        p.product->outputs[0]->type.dtype != first.outputs[0]->type.dtype) {
      return false;
    }
    for (const char* name : {"K", "bits", "block_size", "accuracy_level"}) {
      if (node.int_or(name, 0) != first.int_or(name, 0)) return false;
    }
    for (size_t i = 1; i < node.inputs.size(); ++i) {
      const Value* a = node.inputs[i];
      const Value* b = first.inputs[i];
      if ((a == nullptr) != (b == nullptr)) return false;
      if (a != nullptr && (a->constant->dtype != b->constant->dtype ||
                           a->constant->dims.size() != b->constant->dims.size())) {
        return false;
      }
    }
  }
  return true;
}

Value* side_by_side(Graph& graph, Node& before, std::span<const Product> products) {
  Expansion e(graph, before, kOpset);
  const Node& first = *products[0].product;
  const auto joined = [&](const auto& part_of, int64_t axis) {
    std::vector<Value*> parts;
    for (const Product& p : products) parts.push_back(part_of(p));
    return e.add("Concat", std::move(parts), {{"axis", axis}});
  };
  std::vector<Value*> inputs = {first.inputs[0]};
  const bool packed_bits = !first.domain.empty();
  for (size_t i = 1; i < first.inputs.size(); ++i) {
    const auto input = [i](const Product& p) { return p.product->inputs[i]; };
    // Packed matrices, their scales, zero points and bias are columns first.
    inputs.push_back(first.inputs[i] == nullptr ? nullptr : joined(input, packed_bits ? 0 : 1));
  }
  Node* product =
      graph.add_node(first.op, std::move(inputs), 1, &before, first.domain, first.version);
  product->name = first.name;
  product->attributes = first.attributes;
  int64_t columns = 0;
  const Value* bias = nullptr;
  for (const Product& p : products) {
    columns += p.columns;
    if (p.sum != nullptr) bias = p.bias;
  }
  if (packed_bits) product->attributes["N"] = columns;
  if (bias == nullptr) return product->outputs[0];
  const auto bias_of = [&](const Product& p) {
    return p.sum != nullptr ? p.bias : zeros(graph, bias->constant->dtype, p.columns);
  };
  return e.add("Add", {product->outputs[0], joined(bias_of, 0)});
}

}  // namespace quern
