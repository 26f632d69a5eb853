#include "ops/common/forest.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

namespace quern {
namespace {

constexpr int64_t kMaxNodes = int64_t{1} << 27;

std::unexpected<Error> wrong(const Node& node, std::string_view what) {
  return invalid_model(cat(node.describe(), ": ", what));
}

/// Integers by an attribute, which must be `count` of them (or any number where negative).
Result<std::vector<int64_t>> int_list(const Node& node, std::string_view name, int64_t count) {
  const std::vector<int64_t>* values = node.ints(name);
  std::vector<int64_t> out = values == nullptr ? std::vector<int64_t>() : *values;
  if (count >= 0 && std::ssize(out) != count) {
    return wrong(node, cat(name, " has ", out.size(), " elements, expected ", count));
  }
  return out;
}

ConstantPtr tensor_attribute(const Node& node, std::string_view name) {
  const AttributeValue* value = node.attribute(name);
  const ConstantPtr* tensor = value == nullptr ? nullptr : std::get_if<ConstantPtr>(value);
  return tensor == nullptr ? nullptr : *tensor;
}

int64_t count_of(const ConstantPtr& constant) {
  int64_t n = 1;
  for (const int64_t d : constant->dims) n *= d;
  return n;
}

bool in_range(int64_t v, int64_t end) { return v >= 0 && v < end; }

Value* add_ints(Graph& graph, Dims dims, const std::vector<int32_t>& values) {
  const std::vector<int64_t> wide(values.begin(), values.end());
  return graph.add_constant("",
                            make_constant(HostTensor::of_ints(DType::kI32, std::move(dims), wide)));
}

Value* add_doubles(Graph& graph, const std::vector<double>& values, DType type) {
  HostTensor t;
  t.dtype = type;
  t.dims = {std::ssize(values)};
  t.bytes.resize(byte_size(type, values.size()));
  for (size_t i = 0; i < values.size(); ++i) {
    t.set_float(static_cast<int64_t>(i), values[i]);
  }
  return graph.add_constant("", make_constant(std::move(t)));
}

Result<BranchMode> mode_named(const Node& node, std::string_view name) {
  constexpr std::pair<std::string_view, BranchMode> kNames[] = {
      {"BRANCH_LEQ", BranchMode::kLessEqual},
      {"BRANCH_LT", BranchMode::kLess},
      {"BRANCH_GTE", BranchMode::kGreaterEqual},
      {"BRANCH_GT", BranchMode::kGreater},
      {"BRANCH_EQ", BranchMode::kEqual},
      {"BRANCH_NEQ", BranchMode::kNotEqual},
      {"LEAF", BranchMode::kLeaf}};
  for (const auto& [known, mode] : kNames) {
    if (name == known) return mode;
  }
  return wrong(node, cat("a mode is '", name,
                         "', expected BRANCH_LEQ, BRANCH_LT, BRANCH_GTE, BRANCH_GT, "
                         "BRANCH_EQ, BRANCH_NEQ or LEAF"));
}

/// A weight that a leaf gives to a target.
struct LeafEntry {
  int32_t target = 0;
  double weight = 0;
};

double aggregated(LeafAggregate aggregate, double a, double b) {
  if (aggregate == LeafAggregate::kMin) return std::min(a, b);
  if (aggregate == LeafAggregate::kMax) return std::max(a, b);
  return a + b;
}

/// Weights of one leaf by target, those of one target in one.
void add_leaf(Forest& forest, std::vector<double>& weights, const std::vector<LeafEntry>& entries) {
  std::map<int32_t, double> by_target;
  for (const LeafEntry& entry : entries) {
    const auto [at, fresh] = by_target.emplace(entry.target, entry.weight);
    if (!fresh) at->second = aggregated(forest.aggregate, at->second, entry.weight);
  }
  forest.begins.push_back(static_cast<int32_t>(weights.size()));
  for (const auto& [target, weight] : by_target) {
    forest.targets.push_back(target);
    weights.push_back(weight);
  }
}

}  // namespace

ConstantPtr float_attribute(const Node& node, std::string_view name) {
  if (ConstantPtr tensor = tensor_attribute(node, cat(name, "_as_tensor"))) return tensor;
  if (ConstantPtr tensor = tensor_attribute(node, name)) return tensor;
  const std::vector<float>* values = node.floats(name);
  if (values == nullptr) return nullptr;
  return make_constant(HostTensor::of_floats({std::ssize(*values)}, *values));
}

LeafAggregate aggregate_named(std::string_view name) {
  if (name == "AVERAGE") return LeafAggregate::kAverage;
  if (name == "MIN") return LeafAggregate::kMin;
  if (name == "MAX") return LeafAggregate::kMax;
  return LeafAggregate::kSum;
}

Result<Forest> read_node_lists(const Node& node, std::string_view leaf, int64_t target_count) {
  Forest forest;
  forest.target_count = target_count;
  forest.aggregate = aggregate_named(node.string_or("aggregate_function", "SUM"));
  const AttributeValue* modes_value = node.attribute("nodes_modes");
  const auto* modes =
      modes_value == nullptr ? nullptr : std::get_if<std::vector<std::string>>(modes_value);
  if (modes == nullptr || modes->empty() || std::ssize(*modes) > kMaxNodes) {
    return wrong(node, "nodes_modes is absent");
  }
  const int64_t count = std::ssize(*modes);
  QUERN_ASSIGN(const auto trees, int_list(node, "nodes_treeids", count));
  QUERN_ASSIGN(const auto ids, int_list(node, "nodes_nodeids", count));
  QUERN_ASSIGN(const auto features, int_list(node, "nodes_featureids", count));
  QUERN_ASSIGN(const auto yes, int_list(node, "nodes_truenodeids", count));
  QUERN_ASSIGN(const auto no, int_list(node, "nodes_falsenodeids", count));
  QUERN_ASSIGN(auto missing, int_list(node, "nodes_missing_value_tracks_true", -1));
  missing.resize(static_cast<size_t>(count), 0);
  forest.thresholds = float_attribute(node, "nodes_values");
  if (forest.thresholds == nullptr || count_of(forest.thresholds) != count) {
    return wrong(node, cat("nodes_values has not ", count, " elements"));
  }
  using Key = std::pair<int64_t, int64_t>;  // tree and node
  std::map<Key, int32_t> place;
  for (size_t i = 0; i < modes->size(); ++i) {
    if (!place.emplace(Key{trees[i], ids[i]}, static_cast<int32_t>(i)).second) {
      return wrong(node, cat("node ", ids[i], " of tree ", trees[i], " is there twice"));
    }
  }

  // What each leaf adds.
  const ConstantPtr given = float_attribute(node, cat(leaf, "_weights"));
  if (given == nullptr || !given->is_inline()) {
    return unsupported(cat(node.describe(), ": ", leaf, "_weights is absent, or too large"));
  }
  const int64_t entry_count = given->host.count();
  QUERN_ASSIGN(const auto leaf_trees, int_list(node, cat(leaf, "_treeids"), entry_count));
  QUERN_ASSIGN(const auto leaf_nodes, int_list(node, cat(leaf, "_nodeids"), entry_count));
  QUERN_ASSIGN(const auto leaf_targets, int_list(node, cat(leaf, "_ids"), entry_count));
  std::map<int32_t, std::vector<LeafEntry>> entries;
  for (int64_t i = 0; i < entry_count; ++i) {
    const auto k = static_cast<size_t>(i);
    const auto at = place.find({leaf_trees[k], leaf_nodes[k]});
    if (at == place.end() || !in_range(leaf_targets[k], target_count)) {
      return wrong(node, cat(leaf, " ", leaf_targets[k], " of node ", leaf_nodes[k], " of tree ",
                             leaf_trees[k], " is out of range"));
    }
    entries[at->second].push_back({static_cast<int32_t>(leaf_targets[k]), given->host.float_at(i)});
  }

  std::vector<bool> has_parent(modes->size(), false);
  std::vector<double> weights;
  for (size_t i = 0; i < modes->size(); ++i) {
    QUERN_ASSIGN(const BranchMode mode, mode_named(node, (*modes)[i]));
    ForestNode n;
    n.mode = static_cast<int32_t>(mode) | (missing[i] != 0 ? ForestNode::kMissingIsTrue : 0);
    if (mode == BranchMode::kLeaf) {
      n.begin = static_cast<int32_t>(forest.begins.size());
      add_leaf(forest, weights, entries[static_cast<int32_t>(i)]);
    } else {
      const auto child_yes = place.find({trees[i], yes[i]});
      const auto child_no = place.find({trees[i], no[i]});
      if (child_yes == place.end() || child_no == place.end() ||
          !in_range(features[i], INT32_MAX)) {
        return wrong(node, cat("node ", ids[i], " of tree ", trees[i], " has no child or feature"));
      }
      n.feature = static_cast<int32_t>(features[i]);
      n.yes = child_yes->second;
      n.no = child_no->second;
      has_parent[static_cast<size_t>(n.yes)] = true;
      has_parent[static_cast<size_t>(n.no)] = true;
    }
    forest.nodes.push_back(n);
  }
  forest.begins.push_back(static_cast<int32_t>(weights.size()));
  for (size_t i = 0; i < has_parent.size(); ++i) {
    if (!has_parent[i]) forest.roots.push_back(static_cast<int32_t>(i));
  }
  if (forest.roots.empty()) return wrong(node, "no tree has a root");
  HostTensor table;
  table.dtype = given->dtype;
  table.dims = {std::ssize(weights)};
  table.bytes.resize(byte_size(table.dtype, weights.size()));
  for (size_t i = 0; i < weights.size(); ++i) table.set_float(static_cast<int64_t>(i), weights[i]);
  forest.weights = make_constant(std::move(table));
  return forest;
}

Result<Forest> read_forest(const Node& node) {
  Forest forest;
  forest.target_count = node.int_or("n_targets", 1);
  const int64_t aggregate = node.int_or("aggregate_function", 1);
  if (!in_range(aggregate, 4)) return wrong(node, cat("aggregate_function is ", aggregate));
  forest.aggregate = static_cast<LeafAggregate>(aggregate);
  const ConstantPtr modes = tensor_attribute(node, "nodes_modes");
  forest.thresholds = tensor_attribute(node, "nodes_splits");
  forest.weights = tensor_attribute(node, "leaf_weights");
  if (modes == nullptr || forest.thresholds == nullptr || forest.weights == nullptr) {
    return wrong(node, "nodes_modes, nodes_splits or leaf_weights is absent");
  }
  if (!modes->is_inline()) return unsupported(cat(node.describe(), ": nodes_modes is too large"));
  const int64_t count = count_of(modes);
  const int64_t leaves = count_of(forest.weights);
  if (count < 1 || count > kMaxNodes || leaves < 1 || leaves > kMaxNodes ||
      count_of(forest.thresholds) != count) {
    return wrong(node, cat(count, " nodes and ", leaves, " leaves"));
  }
  QUERN_ASSIGN(const auto features, int_list(node, "nodes_featureids", count));
  QUERN_ASSIGN(const auto yes, int_list(node, "nodes_truenodeids", count));
  QUERN_ASSIGN(const auto no, int_list(node, "nodes_falsenodeids", count));
  QUERN_ASSIGN(const auto yes_leaf, int_list(node, "nodes_trueleafs", count));
  QUERN_ASSIGN(const auto no_leaf, int_list(node, "nodes_falseleafs", count));
  QUERN_ASSIGN(auto missing, int_list(node, "nodes_missing_value_tracks_true", -1));
  missing.resize(static_cast<size_t>(count), 0);
  QUERN_ASSIGN(const auto roots, int_list(node, "tree_roots", -1));
  QUERN_ASSIGN(const auto targets, int_list(node, "leaf_targetids", leaves));
  // The sets, each behind a NaN but the first.
  const ConstantPtr values = tensor_attribute(node, "membership_values");
  if (values != nullptr && !values->is_inline()) {
    return unsupported(cat(node.describe(), ": membership_values is too large"));
  }
  int64_t next_member = 0;
  const int64_t member_count = values == nullptr ? 0 : values->host.count();
  // Leaves lie behind the nodes.
  const auto child = [&](int64_t id, int64_t is_leaf) -> int64_t {
    if (!in_range(id, is_leaf != 0 ? leaves : count)) return -1;
    return is_leaf != 0 ? count + id : id;
  };
  for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
    ForestNode n;
    const int64_t mode = modes->host.int_at(static_cast<int64_t>(i));
    const int64_t child_yes = child(yes[i], yes_leaf[i]);
    const int64_t child_no = child(no[i], no_leaf[i]);
    if (!in_range(mode, 7) || child_yes < 0 || child_no < 0 || !in_range(features[i], INT32_MAX)) {
      return wrong(node, cat("node ", i, " has a mode, child or feature out of range"));
    }
    n.mode = static_cast<int32_t>(mode) | (missing[i] != 0 ? ForestNode::kMissingIsTrue : 0);
    n.feature = static_cast<int32_t>(features[i]);
    n.yes = static_cast<int32_t>(child_yes);
    n.no = static_cast<int32_t>(child_no);
    if (mode == static_cast<int64_t>(BranchMode::kMember)) {
      n.begin = static_cast<int32_t>(forest.members.size());
      while (next_member < member_count && !std::isnan(values->host.float_at(next_member))) {
        // -0 is found as 0.
        forest.members.push_back(values->host.float_at(next_member++) + 0.0);
      }
      ++next_member;
      std::sort(forest.members.begin() + n.begin, forest.members.end());
      n.end = static_cast<int32_t>(forest.members.size());
    }
    forest.nodes.push_back(n);
  }
  for (int64_t i = 0; i < leaves; ++i) {
    ForestNode n;
    n.mode = static_cast<int32_t>(BranchMode::kLeaf);
    n.begin = static_cast<int32_t>(i);
    forest.nodes.push_back(n);
    const int64_t target = targets[static_cast<size_t>(i)];
    if (!in_range(target, forest.target_count)) {
      return wrong(node, cat("leaf ", i, " has target ", target));
    }
    forest.begins.push_back(static_cast<int32_t>(i));
    forest.targets.push_back(static_cast<int32_t>(target));
  }
  forest.begins.push_back(static_cast<int32_t>(leaves));
  for (const int64_t root : roots) {
    if (!in_range(root, count)) return wrong(node, cat("tree root ", root));
    forest.roots.push_back(static_cast<int32_t>(root));
  }
  if (forest.roots.empty()) return wrong(node, "tree_roots is absent");
  return forest;
}

namespace {

/// How quern.LeafSums finds a leaf's weight for a target.
struct LeafForm {
  int64_t form = 0, longest = 0;
  explicit LeafForm(const Forest& forest) {
    bool dense = true;
    bool single = true;
    for (size_t i = 0; i + 1 < forest.begins.size(); ++i) {
      const int64_t count = forest.begins[i + 1] - forest.begins[i];
      dense = dense && count == forest.target_count;
      single = single && count == 1;
      longest = std::max(longest, count);
    }
    form = dense ? 2 : single ? 1 : 0;
  }
};

Value* add_sums(MlExpansion& e, const Forest& forest, const ForestValues& v, Value* weights,
                LeafAggregate aggregate) {
  const LeafForm form(forest);
  return e.add_in("quern", 1, "LeafSums", {v.leaves, v.begins, v.targets, weights},
                  {{"targets", forest.target_count},
                   {"aggregate", static_cast<int64_t>(aggregate)},
                   {"form", form.form},
                   {"longest", form.longest}});
}

}  // namespace

ForestValues add_forest(MlExpansion& e, Graph& graph, const Forest& forest, Value* x, DType type) {
  std::vector<int32_t> table;
  for (const ForestNode& n : forest.nodes) {
    for (const int32_t word : {n.feature, n.mode, n.yes, n.no, n.begin, n.end}) {
      table.push_back(word);
    }
  }
  Value* nodes = add_ints(graph, {std::ssize(forest.nodes), ForestNode::kWords}, table);
  Value* thresholds = e.cast(graph.add_constant("", forest.thresholds), type);
  Value* roots = add_ints(graph, {std::ssize(forest.roots)}, forest.roots);
  std::vector<double> members = forest.members;
  if (members.empty()) members.push_back(0);  // some element, for the binding
  ForestValues v;
  v.leaves = e.add_in("quern", 1, "TreeLeaves",
                      {x, nodes, thresholds, roots, add_doubles(graph, members, type)},
                      {{"members", int64_t{!forest.members.empty()}}});
  v.begins = add_ints(graph, {std::ssize(forest.begins)}, forest.begins);
  std::vector<int32_t> targets = forest.targets;
  v.weights = targets.empty() ? add_doubles(graph, {0.0}, type)
                              : e.cast(graph.add_constant("", forest.weights), type);
  if (targets.empty()) targets.push_back(0);
  v.targets = add_ints(graph, {std::ssize(targets)}, targets);
  v.scores = add_sums(e, forest, v, v.weights, forest.aggregate);
  return v;
}

Value* add_seen(MlExpansion& e, const Forest& forest, const ForestValues& values) {
  if (LeafForm(forest).form == 2) return nullptr;
  const std::vector<float> ones(std::max<size_t>(forest.targets.size(), 1), 1.0f);
  Value* counts = add_sums(e, forest, values, e.floats(ones), LeafAggregate::kSum);
  return e.add("Greater", {counts, e.number(DType::kF32, 0)});
}

}  // namespace quern
