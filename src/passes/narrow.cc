#include "passes/narrow.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <numeric>

#include "ops/op_def.h"
#include "passes/magnitude.h"

namespace quern {
namespace {

/// Tensors with fewer elements are not worth it.
constexpr int64_t kFewElements = 1024;
/// Weights whose largest element is below this would lose digits to f16's subnormals (spaced by
/// 2^-24).
constexpr double kSmallestPeak = 1.0 / 4096;

bool is_fusion(const Node& node) { return node.is("Fused", "quern"); }

/// The largest magnitude in a constant of the graph; NaN where an element is no finite number.
double peak_of(const HostTensor& host) {
  double peak = 0;
  for (int64_t i = 0; i < host.count(); ++i) {
    const double value = std::fabs(host.float_at(i));
    if (!std::isfinite(value)) return std::numeric_limits<double>::quiet_NaN();
    peak = std::max(peak, value);
  }
  return peak;
}

class Narrower {
 public:
  Narrower(Graph& graph, Placement& placement, const NarrowOptions& options, PassReport& report)
      : graph_(graph),
        placement_(placement),
        options_(options),
        report_(report),
        results_(body_outputs(graph)) {
    const size_t values = placement.constant.size();
    magnitudes_.resize(values);
    wide_.resize(values);
    sensitive_.resize(values);
    candidates_.resize(values);
    parents_.resize(values);
    std::iota(parents_.begin(), parents_.end(), 0u);
  }

  void run() {
    estimate(graph_);
    require(graph_);
    for (const Value* v : results_) wide_[v->id] = 1;
    group(graph_);
    decide();
  }

 private:
  // Forward: magnitudes.

  void estimate(Graph& graph) {
    for (const Value* input : graph.inputs) {
      if (graph.name != "fused") magnitudes_[input->id] = {1024, true};
    }
    for (const auto& value : graph.values()) {
      if (value->constant) magnitudes_[value->id] = {constant_peak(*value), false};
    }
    for (const auto& node : graph.nodes()) {
      Graph* body = is_fusion(*node) ? node->subgraph("body") : nullptr;
      if (body != nullptr) {
        for (size_t i = 0; i < body->inputs.size(); ++i) {
          magnitudes_[body->inputs[i]->id] = magnitudes_[node->inputs[i]->id];
        }
      }
      for (Graph* inner : node->subgraphs()) estimate(*inner);
      if (body != nullptr) {
        for (size_t i = 0; i < node->outputs.size(); ++i) {
          magnitudes_[node->outputs[i]->id] = magnitudes_[body->outputs[i]->id];
        }
        continue;
      }
      std::vector<Magnitude> of;
      for (const Value* v : node->inputs) of.push_back(v == nullptr ? Magnitude{} : at(*v));
      const Magnitude result = magnitude_of(*node, of);
      for (const Value* v : node->outputs) {
        if (v != nullptr) magnitudes_[v->id] = result;
      }
    }
  }

  [[nodiscard]] Magnitude at(const Value& v) const { return magnitudes_[v.id]; }

  /// As an estimate for what is computed with it: 1 where it is not known.
  [[nodiscard]] double constant_peak(const Value& value) const {
    const double peak = known_peak(value);
    return std::isnan(peak) ? 1 : peak;
  }
  [[nodiscard]] double known_peak(const Value& value) const {
    const Constant& c = *value.constant;
    if (!is_float(c.dtype)) return std::numeric_limits<double>::quiet_NaN();
    if (c.is_inline()) return peak_of(c.host);
    return c.weight < options_.weight_peaks.size()
               ? static_cast<double>(options_.weight_peaks[c.weight])
               : std::numeric_limits<double>::quiet_NaN();
  }

  // Backward: what has to be f32 in memory, and what must not be rounded on the way either.

  void require(Graph& graph) {
    for (size_t n = graph.nodes().size(); n-- > 0;) {
      Node& node = *graph.nodes()[n];
      Graph* body = is_fusion(node) ? node.subgraph("body") : nullptr;
      if (body != nullptr) {
        for (size_t i = 0; i < node.outputs.size(); ++i) {
          sensitive_[body->outputs[i]->id] |= sensitive_[node.outputs[i]->id];
        }
      }
      for (Graph* inner : node.subgraphs()) require(*inner);
      if (body != nullptr) {
        for (size_t i = 0; i < node.inputs.size(); ++i) {
          wide_[node.inputs[i]->id] |= wide_[body->inputs[i]->id];
          sensitive_[node.inputs[i]->id] |= sensitive_[body->inputs[i]->id];
        }
        continue;
      }
      if (node.is("Shape") || node.is("Size")) continue;
      const OpTraits traits = traits_of(node);
      const bool on_device = !placement_.host_node[node.id];
      const bool passes = traits.passes_rounding && std::ranges::any_of(node.outputs, [&](auto* v) {
                            return v != nullptr && sensitive_[v->id] != 0;
                          });
      for (size_t i = 0; i < node.inputs.size(); ++i) {
        const Value* v = node.inputs[i];
        if (v == nullptr) continue;
        const bool takes = on_device && i < 64 && (traits.takes_f16 >> i & 1) != 0;
        if (!takes) wide_[v->id] = 1;
        if (passes || i >= 64 || (traits.sensitive >> i & 1) != 0) sensitive_[v->id] = 1;
      }
    }
  }

  // What shares memory is of one type: views, and the entries of the weight table.

  uint32_t root(uint32_t id) {
    while (parents_[id] != id) id = parents_[id] = parents_[parents_[id]];
    return id;
  }
  void join(const Value& a, const Value& b) { parents_[root(a.id)] = root(b.id); }

  void group(Graph& graph) {
    if (graph.name == "fused") return;
    for (const auto& value : graph.values()) {
      candidates_[value->id] = value.get();
      if (!value->constant || value->constant->is_inline()) continue;
      const auto [it, is_new] = weights_.try_emplace(value->constant->weight, value.get());
      if (!is_new) join(*value, *it->second);
    }
    for (const auto& node : graph.nodes()) {
      const OpDef* def = find_op(*node);
      if (def != nullptr && def->is_view) join(*node->outputs[0], *node->inputs[0]);
      for (Graph* body : node->subgraphs()) group(*body);
    }
  }

  void decide() {
    std::vector<uint8_t> bad(candidates_.size());
    for (const Value* v : candidates_) {
      if (v != nullptr && !fits(*v)) bad[root(v->id)] = 1;
    }
    // Weights that are decided, with all views of them.
    for (const auto& [number, v] : weights_) {
      if (options_.weights) bad[root(v->id)] = options_.weights->contains(number) ? 0 : 1;
    }
    placement_.narrow.assign(candidates_.size(), 0);
    int values = 0;
    for (const Value* v : candidates_) {
      if (v == nullptr || bad[root(v->id)] != 0) continue;
      placement_.narrow[v->id] = 1;
      values += v->constant && !v->constant->is_inline() ? 0 : 1;
    }
    report_.hits["f16 values"] = values;
    report_.hits["f16 weights"] = static_cast<int>(narrow_weights(graph_, placement_).size());
    report_.hits["f32 by range"] = by_range_;
  }

  /// May the value itself be f16?
  bool fits(const Value& v) {
    if (!v.type.is_tensor() || v.type.dtype != DType::kF32 || !v.type.shape) return false;
    if (placement_.host_needed[v.id] || wide_[v.id] || sensitive_[v.id]) return false;
    const Dim count = element_count(*v.type.shape);
    if (count.is_const() && count.value() < kFewElements) return false;
    if (v.constant) return fits_constant(v);
    if (v.producer == nullptr || !made_on_device(*v.producer)) return false;
    const Magnitude magnitude = at(v);
    if (magnitude.is_exact) return false;
    if (magnitude.peak <= kLargestF16) return true;
    ++by_range_;
    return false;
  }

  bool fits_constant(const Value& v) {
    if (!v.constant->is_inline() && options_.weights) return true;  // see decide()
    if (v.constant->dims.size() < 2) return false;
    const double peak = known_peak(v);
    const bool in_range = peak <= kLargestF16 && (peak >= kSmallestPeak || peak == 0);
    by_range_ += in_range ? 0 : 1;
    return in_range;
  }

  /// By a kernel that can store f16 as fast as f32.
  [[nodiscard]] bool made_on_device(const Node& node) const {
    const OpDef* def = find_op(node);
    if (def == nullptr || placement_.host_node[node.id] || def->is_control || def->is_sequence ||
        def->is_host) {
      return false;
    }
    if (def->is_view) return true;
    if (is_fusion(node)) {
      for (const auto& inner : node.subgraph("body")->nodes()) {
        const OpDef* inner_def = find_op(*inner);
        if (inner_def->lower != nullptr && !stores_words_of_f16(*inner)) return false;
      }
      return true;
    }
    return def->lower == nullptr || (def->takes_epilogue && stores_words_of_f16(node));
  }

  Graph& graph_;
  Placement& placement_;
  const NarrowOptions& options_;
  PassReport& report_;
  std::set<const Value*> results_;
  std::vector<Magnitude> magnitudes_;  // all by Value::id
  std::vector<uint8_t> wide_;
  std::vector<uint8_t> sensitive_;
  std::vector<const Value*> candidates_;
  std::vector<uint32_t> parents_;
  std::map<uint32_t, const Value*> weights_;
  int by_range_ = 0;
};

}  // namespace

Result<void> narrow(Graph& graph, Placement& placement, const NarrowOptions& options,
                    PassReport& report) {
  Narrower(graph, placement, options, report).run();
  return {};
}

std::set<uint32_t> narrow_weights(Graph& graph, const Placement& placement) {
  std::set<uint32_t> out;
  const std::function<void(const Graph&)> look = [&](const Graph& g) {
    for (const auto& value : g.values()) {
      if (value->constant && !value->constant->is_inline() && placement.is_narrow(*value)) {
        out.insert(value->constant->weight);
      }
    }
    for (const auto& node : g.nodes()) {
      for (const Graph* body : node->subgraphs()) look(*body);
    }
  };
  look(graph);
  return out;
}

}  // namespace quern
