// Splitting and merging heads around an attention (quern.Attention) needs no kernels: its operands
// are read as they lie before Transposes, with rows before heads, or as parts of one packed
// projection, and its result is written with rows first where a Transpose would make it so.

#include <array>
#include <cmath>
#include <optional>

#include "ops/common/attention_shape.h"
#include "ops/common/expansion.h"
#include "passes/passes.h"
#include "passes/recognise_match.h"

namespace quern {
namespace {

constexpr int kOpset = 23;
/// Parts, heads, their size: no network has more.
constexpr int64_t kMost = 1 << 20;
const std::vector<int64_t> kHeadsAndRows = {0, 2, 1, 3};

/// `v` is number `index` of the parts that `whole` has along its first axis.
struct Part {
  Value* whole = nullptr;
  int64_t index = 0;
};

/// Does the node, a Squeeze, take away the first axis alone?
bool squeezes_first(const Node& node) {
  if (const std::vector<int64_t>* axes = node.ints("axes")) return *axes == std::vector<int64_t>{0};
  const auto axes = node.input(1) != nullptr ? ints_of(node.input(1)) : std::nullopt;
  return axes && *axes == std::vector<int64_t>{0};
}

std::optional<Part> part_of(const Graph& graph, const Value* v) {
  if (const Node* gather = maker_in(graph, v, "Gather")) {
    const Value* index = gather->inputs[1];
    const auto number =
        index->type.shape && index->type.shape->empty() ? scalar_of(index) : std::nullopt;
    if (!number || !(std::abs(*number) < kMost) || gather->int_or("axis", 0) != 0) {
      return std::nullopt;
    }
    return Part{gather->inputs[0], static_cast<int64_t>(*number)};
  }
  const Node* squeeze = maker_in(graph, v, "Squeeze");
  if (squeeze == nullptr || !squeezes_first(*squeeze)) return std::nullopt;
  const Value* one = squeeze->inputs[0];
  const Shape* shape = shape_of(one);
  if (shape == nullptr || shape->empty() || (*shape)[0] != 1) return std::nullopt;
  if (const Node* slice = maker_in(graph, one, "Slice")) {
    const auto starts = slice->input(1) != nullptr ? ints_of(slice->input(1)) : std::nullopt;
    const auto axes = slice->input(3) != nullptr ? ints_of(slice->input(3)) : std::nullopt;
    if (!starts || !axes || *axes != std::vector<int64_t>{0} || starts->size() != 1) {
      return std::nullopt;
    }
    return Part{slice->inputs[0], (*starts)[0]};
  }
  const Node* split = maker_in(graph, one, "Split");
  if (split == nullptr || split->int_or("axis", 0) != 0) return std::nullopt;
  int64_t index = 0;
  for (const Value* out : split->outputs) {
    if (out == one) return Part{split->inputs[0], index};
    const Shape* before = shape_of(out);
    if (before == nullptr || before->empty() || (*before)[0] != 1) return std::nullopt;
    ++index;
  }
  return std::nullopt;
}

/// Where an operand's heads lie: in `value` as it is, or `packed`, [batch, rows, parts, heads,
/// size] or with heads before parts, of which they are heads `start`, `start + step`, ...
struct Source {
  Value* value = nullptr;
  bool rows_first = false;
  bool packed = false;
  int64_t start = 0, step = 1, all = 0;
};

Source source_of(const Graph& graph, Value* v) {
  const Source as_it_is{.value = v};
  if (const Node* transpose = maker_in(graph, v, "Transpose")) {
    if (permutation_of(*transpose) != kHeadsAndRows) return as_it_is;
    return {.value = transpose->inputs[0], .rows_first = true};
  }
  const auto part = part_of(graph, v);
  const Node* transpose = part ? maker_in(graph, part->whole, "Transpose") : nullptr;
  if (transpose == nullptr) return as_it_is;
  const std::vector<int64_t> permutation = permutation_of(*transpose);
  const bool parts_first = permutation == std::vector<int64_t>{2, 0, 3, 1, 4};
  if (!parts_first && permutation != std::vector<int64_t>{3, 0, 2, 1, 4}) return as_it_is;
  const Shape& shape = *shape_of(transpose->inputs[0]);
  const auto parts = shape[parts_first ? 2 : 3].constant();
  const auto heads = shape[parts_first ? 3 : 2].constant();
  const auto size = shape[4].constant();
  const auto is_usual = [](const std::optional<int64_t>& n) { return n && *n >= 1 && *n < kMost; };
  if (!is_usual(parts) || !is_usual(heads) || !is_usual(size)) return as_it_is;
  if (part->index < -*parts || part->index >= *parts) return as_it_is;
  const int64_t index = part->index < 0 ? part->index + *parts : part->index;
  return {.value = transpose->inputs[0],
          .rows_first = true,
          .packed = true,
          .start = parts_first ? index * *heads : index,
          .step = parts_first ? 1 : *parts,
          .all = *parts * *heads};
}

class Joiner {
 public:
  Joiner(Graph& graph, Node& node) : graph_(graph), node_(node) {}

  Result<bool> run() {
    if (node_.attribute("head_starts") == nullptr) QUERN_TRY(join_operands());
    QUERN_TRY(join_result());
    if (changed_) node_.attributes["rows_first"] = layout_;
    return changed_;
  }

 private:
  Result<void> join_operands() {
    std::array<Source, 3> sources;
    bool packed = false;
    for (size_t i = 0; i < 3; ++i) {
      if ((layout_ & kBits[i]) != 0) {
        sources[i].value = node_.inputs[i];
        continue;
      }
      sources[i] = source_of(graph_, node_.inputs[i]);
      packed = packed || sources[i].packed;
    }
    const auto heads = heads_of(attention::kQ);
    const auto kv_heads = heads_of(attention::kK);
    if (packed && (!heads || !kv_heads)) return {};
    for (size_t i = 0; i < 3; ++i) {
      const Source& source = sources[i];
      if (!source.rows_first) continue;
      Value* value = source.value;
      if (source.packed) {
        QUERN_ASSIGN(value, as_heads(source));
      }
      graph_.set_input(&node_, i, value);
      layout_ |= kBits[i];
      changed_ = true;
    }
    if (!packed) return {};
    node_.attributes["heads"] = *heads;
    node_.attributes["kv_heads"] = *kv_heads;
    node_.attributes["head_starts"] =
        std::vector<int64_t>{sources[0].start, sources[1].start, sources[2].start};
    node_.attributes["head_steps"] =
        std::vector<int64_t>{sources[0].step, sources[1].step, sources[2].step};
    return {};
  }

  [[nodiscard]] std::optional<int64_t> heads_of(size_t input) const {
    const Shape* shape = shape_of(node_.inputs[input]);
    if (shape == nullptr || shape->size() != 4) return std::nullopt;
    return (*shape)[(layout_ & kBits[input]) != 0 ? 2 : 1].constant();
  }

  /// A packed projection as [batch, rows, heads of all parts, size]: one for all three.
  Result<Value*> as_heads(const Source& source) {
    if (source.value == packed_) return joined_;
    Expansion e(graph_, node_, kOpset);
    const auto size = shape_of(source.value)->back().constant();
    joined_ = e.add("Reshape", {source.value, e.ints({0, 0, source.all, size.value_or(0)})});
    QUERN_TRY(infer_node(*joined_->producer));
    packed_ = source.value;
    return joined_;
  }

  Result<void> join_result() {
    Value* y = node_.outputs[0];
    if ((layout_ & attention::kYRows) != 0 || !is_used_once(graph_, *y)) return {};
    Node* transpose = y->uses[0].node;
    if (transpose->graph != &graph_ || !transpose->is("Transpose") ||
        permutation_of(*transpose) != kHeadsAndRows || graph_.is_output(transpose->outputs[0])) {
      return {};
    }
    layout_ |= attention::kYRows;
    changed_ = true;
    const Type type = transpose->outputs[0]->type;
    graph_.replace_uses(transpose->outputs[0], y);
    graph_.erase(transpose);
    y->type = type;
    return {};
  }

  static constexpr int64_t kBits[] = {attention::kQRows, attention::kKRows, attention::kVRows};
  Graph& graph_;
  Node& node_;
  int64_t layout_ = node_.int_or("rows_first", 0);
  bool changed_ = false;
  const Value* packed_ = nullptr;
  Value* joined_ = nullptr;
};

}  // namespace

Result<void> join_heads(Graph& graph, PassReport& report) {
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    Node& node = *graph.nodes()[i];
    for (Graph* body : node.subgraphs()) QUERN_TRY(join_heads(*body, report));
    if (!node.is("Attention", "quern")) continue;
    QUERN_ASSIGN(const bool joined, Joiner(graph, node).run());
    if (joined) ++report.hits["joined heads"];
  }
  return {};
}

}  // namespace quern
