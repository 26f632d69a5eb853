// FlexAttention: attention whose scores and probabilities pass through bodies of the model. Without
// bodies it is quern.Attention, else simple nodes with the bodies between them.
#include "ops/common/expansion.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"prob_mod", AttributeKind::kGraph},
                                          {"scale", AttributeKind::kFloat},
                                          {"score_mod", AttributeKind::kGraph},
                                          {"softmax_precision", AttributeKind::kInt}};
constexpr int kVersion = 21;  // of the operators that it becomes

Result<void> infer(InferContext& c) {
  c.set(0, c.dtype(0), std::nullopt);
  for (size_t i = 0; i < 3; ++i) QUERN_TRY(c.expect_rank(i, 4));
  for (const char* name : {"score_mod", "prob_mod"}) {
    const Graph* body = c.node().subgraph(name);
    if (body != nullptr && (body->inputs.size() != 1 || body->outputs.size() != 1)) {
      return c.error(cat("the body ", name, " must have one input and one output"));
    }
  }
  const Shape* q = c.shape(0);
  const Shape* v = c.shape(2);
  if (q != nullptr && v != nullptr) {
    c.set(0, c.dtype(0), Shape{(*q)[0], (*q)[1], (*q)[2], (*v)[3]});
  }
  return {};
}

class Flex {
 public:
  Flex(Graph& graph, Node& node) : e(graph, node), graph_(graph), node_(node) {}

  Value* add(const char* op, std::vector<Value*> inputs, Expansion::Attributes attributes = {}) {
    return e.add_in("", kVersion, op, std::move(inputs), attributes);
  }
  Value* extents(Value* v, int64_t first, int64_t last) {
    return add("Shape", {v}, {{"start", first}, {"end", last}});
  }
  Value* concat(std::vector<Value*> parts) {
    return add("Concat", std::move(parts), {{"axis", int64_t{0}}});
  }
  Value* cast(Value* v, DType to) { return add("Cast", {v}, {{"to", static_cast<int64_t>(to)}}); }
  /// What the body makes of a value.
  Result<Value*> through(const char* body_name, Value* value) {
    Graph* body = node_.subgraph(body_name);
    if (body == nullptr) return value;
    Value* const arguments[] = {value};
    QUERN_ASSIGN(std::vector<Value*> results, graph_.inline_body(*body, arguments, &node_));
    return results[0];
  }

  Expansion e;

 private:
  Graph& graph_;
  Node& node_;
};

Result<bool> expand(Graph& graph, Node& node) {
  Flex f(graph, node);
  Value* q = node.input(0);
  Value* k = node.input(1);
  Value* v = node.input(2);
  const DType type = q->type.dtype;
  const bool has_scale = node.attribute("scale") != nullptr;
  const float scale = node.float_or("scale", 1.0f);
  if (node.subgraph("score_mod") == nullptr && node.subgraph("prob_mod") == nullptr) {
    Value* y = f.e.add_in("quern", 1, "Attention", {q, k, v});
    if (has_scale) y->producer->attributes["scale"] = scale;
    f.e.replace(0, y);
    f.e.finish();
    return true;
  }
  const DType fallback = type == DType::kF64 ? DType::kF64 : DType::kF32;
  const auto precision =
      static_cast<DType>(node.int_or("softmax_precision", static_cast<int64_t>(fallback)));
  if ((type_bit(precision) & kFloats) == 0) {
    return invalid_model(cat(node.describe(), ": softmax_precision is no float type"));
  }
  Value* factor = nullptr;
  if (has_scale) {
    factor = f.e.number(fallback, static_cast<double>(scale));
  } else {
    Value* size = f.cast(f.extents(q, 3, 4), fallback);
    factor = f.add("Reciprocal", {f.add("Sqrt", {size})});
  }
  // Query heads in groups of one key head: [batch, kv heads, group, queries, size].
  Value* heads = f.extents(k, 1, 2);
  const auto grouped = [&](Value* x) {
    Value* dims = f.concat({f.extents(q, 0, 1), heads, f.e.ints({-1}), f.extents(x, 2, 4)});
    return f.add("Reshape", {x, dims});
  };
  const auto whole = [&](Value* x, Value* last) {
    return f.add("Reshape", {x, f.concat({f.extents(q, 0, 3), last})});
  };
  Value* keys =
      f.add("Transpose", {f.cast(k, fallback)}, {{"perm", std::vector<int64_t>{0, 1, 3, 2}}});
  Value* scaled = f.add("Mul", {f.cast(q, fallback), factor});
  Value* scores = f.add("MatMul", {grouped(scaled), f.add("Unsqueeze", {keys, f.e.ints({2})})});
  scores = f.cast(whole(scores, f.extents(k, 2, 3)), precision);
  QUERN_ASSIGN(scores, f.through("score_mod", scores));
  Value* weights = f.add("Softmax", {scores}, {{"axis", int64_t{3}}});
  QUERN_ASSIGN(weights, f.through("prob_mod", weights));
  Value* values = f.add("Unsqueeze", {f.cast(v, precision), f.e.ints({2})});
  Value* y = f.add("MatMul", {grouped(weights), values});
  f.e.replace(0, f.cast(whole(y, f.extents(v, 3, 4)), type));
  f.e.finish();
  return true;
}

}  // namespace

extern const OpDef op_flex_attention;
const OpDef op_flex_attention = {
    .name = "FlexAttention",
    .domain = "ai.onnx.preview",
    .min_inputs = 3,
    .max_inputs = 3,
    .types = kFloats,
    .attributes = kAttributes,
    .infer = infer,
    .expand = expand,
};

}  // namespace quern
