#include "ir/graph.h"

#include <algorithm>
#include <cassert>
#include <iterator>
#include <queue>
#include <unordered_map>
#include <unordered_set>

namespace quern {
namespace {

constexpr size_t kErased = SIZE_MAX;

/// The position of `item`. Its slot is right until items are inserted or erased before it, and
/// not far off after.
template <class T>
size_t find(const std::vector<std::unique_ptr<T>>& list, T* item) {
  size_t low = std::min(item->slot, list.size());
  size_t high = low;
  while (low > 0 || high < list.size()) {
    if (high < list.size() && list[high].get() == item) return item->slot = high;
    if (low > 0 && list[low - 1].get() == item) return item->slot = low - 1;
    low -= low > 0;
    high += high < list.size();
  }
  assert(false && "not in this graph");
  return list.size();
}

template <class T>
void renumber(const std::vector<std::unique_ptr<T>>& list) {
  for (size_t i = 0; i < list.size(); ++i) list[i]->slot = i;
}

void remove_use(Value* value, const Node* node, size_t index) {
  std::vector<Use>& uses = value->uses;
  for (size_t i = uses.size(); i-- > 0;) {
    if (uses[i].node == node && uses[i].index == index) {
      uses[i] = uses.back();
      uses.pop_back();
      return;
    }
  }
}

/// Moves the graphs among the attributes of `node` to `out`.
void take_bodies(Node& node, std::vector<std::shared_ptr<Graph>>& out) {
  for (auto& [key, value] : node.attributes) {
    if (auto* graph = std::get_if<std::shared_ptr<Graph>>(&value)) {
      if (*graph) out.push_back(std::move(*graph));
    } else if (auto* graphs = std::get_if<std::vector<std::shared_ptr<Graph>>>(&value)) {
      for (std::shared_ptr<Graph>& one : *graphs) {
        if (one) out.push_back(std::move(one));
      }
      graphs->clear();
    }
  }
}

/// Destroys them, and what they hold, innermost first (as they use values of outer ones), and
/// without recursion.
void destroy(std::vector<std::shared_ptr<Graph>> bodies) {
  for (size_t i = 0; i < bodies.size(); ++i) {
    if (bodies[i].use_count() > 1) continue;
    for (const std::unique_ptr<Node>& node : bodies[i]->nodes()) take_bodies(*node, bodies);
  }
  while (!bodies.empty()) bodies.pop_back();
}

template <class T>
const T* attribute_as(const Node& node, std::string_view key) {
  const AttributeValue* value = node.attribute(key);
  return value ? std::get_if<T>(value) : nullptr;
}

}  // namespace

void append(std::string& out, const Type& type) {
  int nested = 0;
  const Type* inner = &type;
  while (!inner->is_tensor()) {
    constexpr std::string_view kNames[] = {"", "sequence<", "optional<", "map<"};
    out += kNames[static_cast<size_t>(inner->kind)];
    if (inner->kind == Type::Kind::kMap) out += cat(name_of(inner->key), ", ");
    ++nested;
    if (!inner->element) break;
    inner = inner->element.get();
  }
  append(out, inner->dtype);
  if (inner->shape) {
    append(out, *inner->shape);
  } else {
    out += "[*]";
  }
  out.append(static_cast<size_t>(nested), '>');
}

const AttributeValue* Node::attribute(std::string_view key) const {
  const auto found = attributes.find(key);
  return found == attributes.end() ? nullptr : &found->second;
}

int64_t Node::int_or(std::string_view key, int64_t fallback) const {
  const auto* value = attribute_as<int64_t>(*this, key);
  return value ? *value : fallback;
}

float Node::float_or(std::string_view key, float fallback) const {
  const auto* value = attribute_as<float>(*this, key);
  return value ? *value : fallback;
}

std::string_view Node::string_or(std::string_view key, std::string_view fallback) const {
  const auto* value = attribute_as<std::string>(*this, key);
  return value ? *value : fallback;
}

const std::vector<int64_t>* Node::ints(std::string_view key) const {
  return attribute_as<std::vector<int64_t>>(*this, key);
}

const std::vector<float>* Node::floats(std::string_view key) const {
  return attribute_as<std::vector<float>>(*this, key);
}

Graph* Node::subgraph(std::string_view key) const {
  const auto* value = attribute_as<std::shared_ptr<Graph>>(*this, key);
  return value ? value->get() : nullptr;
}

std::vector<Graph*> Node::subgraphs() const {
  std::vector<Graph*> result;
  for (const auto& [key, value] : attributes) {
    if (const auto* one = std::get_if<std::shared_ptr<Graph>>(&value)) {
      if (*one) result.push_back(one->get());
    } else if (const auto* many = std::get_if<std::vector<std::shared_ptr<Graph>>>(&value)) {
      for (const std::shared_ptr<Graph>& graph : *many) {
        if (graph) result.push_back(graph.get());
      }
    }
  }
  return result;
}

std::string Node::describe() const {
  std::string out;
  if (!name.empty()) {
    out = cat("node '", name, "'");
  } else if (!outputs.empty() && outputs[0] && !outputs[0]->name.empty()) {
    out = cat("node of '", outputs[0]->name, "'");
  } else {
    out = cat("node ", id);
  }
  return cat(out, " (", domain, domain.empty() ? "" : ".", op, ")");
}

Graph::Graph(Graph* outer) : outer_(outer) {
  if (outer_) outer_->children_.push_back(this);
}

Graph::~Graph() {
  std::vector<std::shared_ptr<Graph>> bodies;
  for (const std::unique_ptr<Node>& node : nodes_) take_bodies(*node, bodies);
  destroy(std::move(bodies));
  for (Graph* child : children_) child->outer_ = nullptr;  // somebody else still holds it
  if (!outer_) return;
  for (const std::unique_ptr<Node>& node : nodes_) {
    for (size_t i = 0; i < node->inputs.size(); ++i) {
      Value* value = node->inputs[i];
      if (value && value->graph != this) remove_use(value, node.get(), i);
    }
  }
  std::erase(outer_->children_, this);
}

Graph* Graph::root() {
  Graph* graph = this;
  while (graph->outer_) graph = graph->outer_;
  return graph;
}

int Graph::depth() const {
  int depth = 0;
  for (const Graph* graph = outer_; graph; graph = graph->outer_) ++depth;
  return depth;
}

std::vector<Graph*> Graph::family() {
  std::vector<Graph*> all{this};
  for (size_t i = 0; i < all.size(); ++i) {
    all.insert(all.end(), all[i]->children_.begin(), all[i]->children_.end());
  }
  return all;
}

Value* Graph::add_value(std::string value_name, Type type) {
  auto value = std::make_unique<Value>();
  value->id = root()->next_id_++;
  value->name = std::move(value_name);
  value->type = std::move(type);
  value->graph = this;
  value->slot = values_.size();
  values_.push_back(std::move(value));
  return values_.back().get();
}

Value* Graph::add_input(std::string value_name, Type type) {
  inputs.push_back(add_value(std::move(value_name), std::move(type)));
  return inputs.back();
}

Value* Graph::add_constant(std::string value_name, ConstantPtr constant) {
  Shape shape(constant->dims.begin(), constant->dims.end());
  Value* value = add_value(std::move(value_name), Type::tensor(constant->dtype, std::move(shape)));
  value->constant = std::move(constant);
  return value;
}

Node* Graph::add_node(std::string op, std::vector<Value*> node_inputs, size_t output_count,
                      Node* before, std::string domain, int version) {
  std::vector<Value*> node_outputs(output_count);
  for (Value*& output : node_outputs) output = add_value("", Type{});
  return add_node_with_outputs(std::move(op), std::move(node_inputs), std::move(node_outputs),
                               before, std::move(domain), version);
}

Node* Graph::add_node_with_outputs(std::string op, std::vector<Value*> node_inputs,
                                   std::vector<Value*> node_outputs, Node* before,
                                   std::string domain, int version) {
  auto owned = std::make_unique<Node>();
  Node* node = owned.get();
  node->id = root()->next_id_++;
  node->op = std::move(op);
  node->domain = std::move(domain);
  node->version = version;
  node->inputs = std::move(node_inputs);
  node->outputs = std::move(node_outputs);
  node->graph = this;
  for (size_t i = 0; i < node->outputs.size(); ++i) {
    node->outputs[i]->producer = node;
    node->outputs[i]->producer_index = i;
  }
  track_uses(node);
  node->slot = before ? find(nodes_, before) : nodes_.size();
  nodes_.insert(nodes_.begin() + static_cast<ptrdiff_t>(node->slot), std::move(owned));
  return node;
}

void Graph::track_uses(Node* node) {
  for (size_t i = 0; i < node->inputs.size(); ++i) {
    if (node->inputs[i]) node->inputs[i]->uses.push_back({node, i});
  }
}

void Graph::untrack_uses(Node* node) {
  for (size_t i = 0; i < node->inputs.size(); ++i) {
    if (node->inputs[i]) remove_use(node->inputs[i], node, i);
  }
}

void Graph::set_input(Node* node, size_t index, Value* value) {
  if (index >= node->inputs.size()) node->inputs.resize(index + 1);
  if (Value* old = node->inputs[index]) remove_use(old, node, index);
  node->inputs[index] = value;
  if (value) value->uses.push_back({node, index});
}

void Graph::set_inputs(Node* node, std::vector<Value*> node_inputs) {
  untrack_uses(node);
  node->inputs = std::move(node_inputs);
  track_uses(node);
}

void Graph::replace_uses(Value* from, Value* to) {
  if (from == to) return;
  for (const Use& use : from->uses) {
    use.node->inputs[use.index] = to;
    if (to) to->uses.push_back(use);
  }
  from->uses.clear();
  if (!to) return;
  for (Graph* graph : from->graph->family()) std::ranges::replace(graph->outputs, from, to);
}

void Graph::erase(Node* node) {
  for (const Value* output : node->outputs) {
    assert(output->uses.empty());
    if (!output->uses.empty()) return;  // rather a node too many than a dangling pointer
  }
  std::vector<std::shared_ptr<Graph>> bodies;
  take_bodies(*node, bodies);
  destroy(std::move(bodies));
  untrack_uses(node);
  for (Value* output : node->outputs) {
    values_.erase(values_.begin() + static_cast<ptrdiff_t>(find(values_, output)));
  }
  nodes_.erase(nodes_.begin() + static_cast<ptrdiff_t>(find(nodes_, node)));
}

void Graph::erase(std::span<Node* const> dead) {
  std::vector<std::shared_ptr<Graph>> bodies;
  for (Node* node : dead) {
    take_bodies(*node, bodies);
    untrack_uses(node);
    node->slot = kErased;
    for (Value* output : node->outputs) output->slot = kErased;
  }
  destroy(std::move(bodies));
  for (Node* node : dead) {
    for (const Value* output : node->outputs) {
      assert(output->uses.empty());
      for (const Use& use : output->uses) use.node->inputs[use.index] = nullptr;
    }
  }
  std::erase_if(values_, [](const auto& value) { return value->slot == kErased; });
  std::erase_if(nodes_, [](const auto& node) { return node->slot == kErased; });
  renumber(values_);
  renumber(nodes_);
}

void Graph::remove_unused_values() {
  const std::vector<Graph*> all = family();
  std::unordered_set<const Value*> kept;
  for (const Graph* graph : all) {
    kept.insert(graph->inputs.begin(), graph->inputs.end());
    kept.insert(graph->outputs.begin(), graph->outputs.end());
  }
  for (Graph* graph : all) {
    std::erase_if(graph->values_, [&](const std::unique_ptr<Value>& value) {
      return !value->producer && value->uses.empty() && !kept.contains(value.get());
    });
    renumber(graph->values_);
  }
}

bool Graph::is_output(const Value* value) const {
  return std::ranges::find(outputs, value) != outputs.end();
}

Result<void> Graph::sort() {
  for (Graph* graph : family()) QUERN_TRY(graph->sort_nodes());
  return {};
}

Result<void> Graph::sort_nodes() {
  renumber(nodes_);
  // Edges from producer to user, also where a body of the user captures the value.
  std::vector<std::pair<size_t, size_t>> edges;
  bool sorted = true;
  for (size_t user = 0; user < nodes_.size(); ++user) {
    const auto depend = [&](const Value* value) {
      if (!value || value->graph != this || !value->producer) return;
      const size_t producer = value->producer->slot;
      edges.emplace_back(producer, user);
      sorted &= producer < user;
    };
    std::ranges::for_each(nodes_[user]->inputs, depend);
    std::vector<Graph*> bodies = nodes_[user]->subgraphs();
    for (size_t i = 0; i < bodies.size(); ++i) {
      std::ranges::for_each(bodies[i]->outputs, depend);
      for (const std::unique_ptr<Node>& node : bodies[i]->nodes_) {
        std::ranges::for_each(node->inputs, depend);
        const std::vector<Graph*> inner = node->subgraphs();
        bodies.insert(bodies.end(), inner.begin(), inner.end());
      }
    }
  }
  if (sorted) return {};
  std::ranges::sort(edges);
  std::vector<size_t> pending(nodes_.size());
  for (const auto& [producer, user] : edges) ++pending[user];
  // Of the nodes that may come next, the one that came first is taken.
  std::priority_queue<size_t, std::vector<size_t>, std::greater<>> ready;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (pending[i] == 0) ready.push(i);
  }
  std::vector<size_t> order;
  while (!ready.empty()) {
    const size_t next = ready.top();
    ready.pop();
    order.push_back(next);
    const auto first = std::ranges::lower_bound(edges, std::pair(next, size_t{0}));
    for (auto edge = first; edge != edges.end() && edge->first == next; ++edge) {
      if (--pending[edge->second] == 0) ready.push(edge->second);
    }
  }
  if (order.size() != nodes_.size()) {
    const auto stuck = std::ranges::find_if(pending, [](size_t count) { return count > 0; });
    return invalid_model(cat(nodes_[static_cast<size_t>(stuck - pending.begin())]->describe(),
                             " depends on its own output"));
  }
  std::vector<std::unique_ptr<Node>> nodes;
  for (const size_t i : order) nodes.push_back(std::move(nodes_[i]));
  nodes_ = std::move(nodes);
  renumber(nodes_);
  return {};
}

Result<std::vector<Value*>> Graph::inline_body(Graph& body, std::span<Value* const> arguments,
                                               Node* before) {
  if (arguments.size() != body.inputs.size()) {
    return invalid_model(cat("body '", body.name, "' takes ", body.inputs.size(), " inputs, not ",
                             arguments.size()));
  }
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (!arguments[i] && body.is_output(body.inputs[i])) {
      return invalid_model(cat("body '", body.name, "' gives its absent input ", i));
    }
  }
  Graph* const new_root = root();
  const bool other_root = body.root() != new_root;
  for (size_t i = 0; i < arguments.size(); ++i) body.replace_uses(body.inputs[i], arguments[i]);

  for (const Value* input : body.inputs) {
    body.values_.erase(body.values_.begin() +
                       static_cast<ptrdiff_t>(find(body.values_, const_cast<Value*>(input))));
  }
  body.inputs.clear();
  if (other_root) {
    for (Graph* graph : body.family()) {
      for (const std::unique_ptr<Value>& value : graph->values_) value->id = new_root->next_id_++;
      for (const std::unique_ptr<Node>& node : graph->nodes_) node->id = new_root->next_id_++;
    }
  }
  for (Graph* child : body.children_) {
    child->outer_ = this;
    children_.push_back(child);
  }
  body.children_.clear();
  for (const std::unique_ptr<Value>& value : body.values_) value->graph = this;
  for (const std::unique_ptr<Node>& node : body.nodes_) node->graph = this;
  std::ranges::move(body.values_, std::back_inserter(values_));
  body.values_.clear();
  const size_t at = before ? find(nodes_, before) : nodes_.size();
  nodes_.insert(nodes_.begin() + static_cast<ptrdiff_t>(at),
                std::move_iterator(body.nodes_.begin()), std::move_iterator(body.nodes_.end()));
  body.nodes_.clear();
  renumber(values_);
  renumber(nodes_);
  return std::exchange(body.outputs, {});
}

std::unique_ptr<Graph> Graph::clone(Graph* outer) const {
  auto result = std::make_unique<Graph>(outer);
  Graph* const new_root = result->root();
  const bool whole = !outer && !outer_;  // then numbers can stay
  std::unordered_map<const Value*, Value*> copies;
  const auto copy_of = [&](Value* value) {
    const auto found = copies.find(value);
    return found == copies.end() ? value : found->second;
  };
  // A list of work and no recursion, outer graphs first, as inner ones use their values.
  std::vector<std::pair<const Graph*, Graph*>> work{{this, result.get()}};
  for (size_t done = 0; done < work.size(); ++done) {
    const auto [from, to] = work[done];
    to->name = from->name;
    for (const std::unique_ptr<Value>& value : from->values_) {
      Value* copy = to->add_value(value->name, value->type);
      copy->constant = value->constant;
      copy->contents = value->contents;
      if (whole) copy->id = value->id;
      copies[value.get()] = copy;
    }
    for (Value* input : from->inputs) to->inputs.push_back(copy_of(input));
    for (Value* output : from->outputs) to->outputs.push_back(copy_of(output));
    for (const std::unique_ptr<Node>& node : from->nodes_) {
      std::vector<Value*> ins = node->inputs;
      std::vector<Value*> outs = node->outputs;
      std::ranges::transform(ins, ins.begin(), copy_of);
      std::ranges::transform(outs, outs.begin(), copy_of);
      Node* copy = to->add_node_with_outputs(node->op, std::move(ins), std::move(outs), nullptr,
                                             node->domain, node->version);
      copy->name = node->name;
      if (whole) copy->id = node->id;
      copy->attributes = node->attributes;
      const auto copy_body = [&](std::shared_ptr<Graph>& body) {
        if (!body) return;
        auto inner = std::make_shared<Graph>(to);
        work.emplace_back(body.get(), inner.get());
        body = std::move(inner);
      };
      for (auto& [key, value] : copy->attributes) {
        if (auto* one = std::get_if<std::shared_ptr<Graph>>(&value)) {
          copy_body(*one);
        } else if (auto* many = std::get_if<std::vector<std::shared_ptr<Graph>>>(&value)) {
          std::ranges::for_each(*many, copy_body);
        }
      }
    }
  }
  if (whole) new_root->next_id_ = next_id_;
  return result;
}

void for_each_node(Graph& graph, const std::function<void(Node&)>& visit) {
  std::vector<std::pair<Graph*, size_t>> stack{{&graph, 0}};
  while (!stack.empty()) {
    auto& [current, next] = stack.back();
    if (next == current->nodes().size()) {
      stack.pop_back();
      continue;
    }
    Node& node = *current->nodes()[next++];
    visit(node);
    std::vector<Graph*> bodies = node.subgraphs();
    while (!bodies.empty()) {
      stack.emplace_back(bodies.back(), 0);
      bodies.pop_back();
    }
  }
}

}  // namespace quern
