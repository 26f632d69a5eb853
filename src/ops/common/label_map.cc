#include "ops/common/label_map.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "ops/common/expansion.h"
#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {
namespace {

bool is_text(const HostTensor& t) { return t.dtype == DType::kString; }

/// Element `from` of one tensor to element `to` of another of the same type.
void copy_element(const HostTensor& source, int64_t from, HostTensor& target, int64_t to) {
  if (is_text(source)) {
    target.strings[static_cast<size_t>(to)] = source.strings[static_cast<size_t>(from)];
  } else {
    store_bits(source.dtype, target.bytes.data(), to,
               load_bits(source.dtype, source.bytes.data(), from));
  }
}

bool is_nan(const HostTensor& t, int64_t i) {
  return is_float(t.dtype) && std::isnan(t.float_at(i));
}

/// An order of numbers in which NaN comes last, and of strings.
bool is_less(const HostTensor& a, int64_t i, const HostTensor& b, int64_t k) {
  if (is_text(a)) return a.strings[static_cast<size_t>(i)] < b.strings[static_cast<size_t>(k)];
  if (!is_float(a.dtype)) return a.int_at(i) < b.int_at(k);
  if (is_nan(a, i) || is_nan(b, k)) return !is_nan(a, i) && is_nan(b, k);
  return a.float_at(i) < b.float_at(k);
}

/// Positions of the keys in order, of equal ones the first alone, or the last.
std::vector<int64_t> sorted_keys(const LabelMap& map) {
  const HostTensor& keys = map.keys;
  std::vector<int64_t> order(static_cast<size_t>(keys.count()));
  std::iota(order.begin(), order.end(), 0);
  std::ranges::sort(order, [&](int64_t a, int64_t b) {
    if (is_less(keys, a, keys, b)) return true;
    return !is_less(keys, b, keys, a) && (map.last_wins ? a > b : a < b);
  });
  const auto rest = std::ranges::unique(order, [&](int64_t a, int64_t b) {
    return !is_less(keys, a, keys, b) && !is_less(keys, b, keys, a);
  });
  order.erase(rest.begin(), rest.end());
  return order;
}

HostTensor list_of(DType dtype, size_t count) {
  HostTensor out;
  out.dtype = dtype;
  out.dims = {static_cast<int64_t>(count)};
  if (dtype == DType::kString) {
    out.strings.resize(count);
  } else {
    out.bytes.resize(byte_size(dtype, count));
  }
  return out;
}

Result<LabelMap> checked_map(const Node& node, DType input, LabelMapOf map_of) {
  QUERN_ASSIGN(LabelMap map, map_of(node, input));
  const bool fits = map.keys.count() == map.values.count() && map.fallback.count() == 1 &&
                    map.fallback.dtype == map.values.dtype &&
                    (bit_width(map.values.dtype) >= 8 || is_text(map.values));
  if (!fits) {
    return invalid_model(cat(node.describe(), ": has ", map.keys.count(), " keys, ",
                             map.values.count(), " values of ", name_of(map.values.dtype),
                             ", a default of ", name_of(map.fallback.dtype)));
  }
  if (map.keys.dtype != input) {
    return invalid_model(cat(node.describe(), ": its input is ", name_of(input), ", its keys are ",
                             name_of(map.keys.dtype)));
  }
  return map;
}

}  // namespace

HostTensor string_list(std::vector<std::string> strings) {
  HostTensor list;
  list.dtype = DType::kString;
  list.dims = {std::ssize(strings)};
  list.strings = std::move(strings);
  return list;
}

Result<void> infer_labels(InferContext& c, LabelMapOf map_of) {
  DType dtype = DType::kUndefined;
  if (c.dtype(0) != DType::kUndefined) {
    QUERN_ASSIGN(const LabelMap map, checked_map(c.node(), c.dtype(0), map_of));
    dtype = map.values.dtype;
  }
  c.set(0, dtype, c.shape(0) != nullptr ? std::optional(*c.shape(0)) : std::nullopt);
  return {};
}

Result<bool> expand_labels(Graph& graph, Node& node, LabelMapOf map_of) {
  const DType dtype = node.inputs[0]->type.dtype;
  if (dtype == DType::kUndefined || dtype == DType::kString) return false;
  QUERN_ASSIGN(const LabelMap map, checked_map(node, dtype, map_of));
  if (is_text(map.values)) return false;
  std::vector<int64_t> order = sorted_keys(map);
  // The search is among the keys but NaN. The table: their values, the default, NaN's value.
  const bool has_nan = !order.empty() && is_nan(map.keys, order.back());
  const size_t count = order.size() - (has_nan ? 1 : 0);
  HostTensor keys = list_of(map.keys.dtype, count);
  HostTensor table = list_of(map.values.dtype, order.size() + 1);
  for (size_t i = 0; i < count; ++i) {
    copy_element(map.keys, order[i], keys, static_cast<int64_t>(i));
    copy_element(map.values, order[i], table, static_cast<int64_t>(i));
  }
  copy_element(map.fallback, 0, table, static_cast<int64_t>(count));
  if (has_nan) copy_element(map.values, order.back(), table, static_cast<int64_t>(count + 1));
  Expansion e(graph, node);
  Value* key_list = graph.add_constant("", make_constant(std::move(keys)));
  Value* value_list = graph.add_constant("", make_constant(std::move(table)));
  Value* at = e.add_in("quern", 1, "SortedLookup", {node.inputs[0], key_list},
                       {{"nan_index", static_cast<int64_t>(has_nan ? count + 1 : count)}});
  e.replace(0, e.add_in("", 13, "Gather", {value_list, at}, {{"axis", int64_t{0}}}));
  e.finish();
  return true;
}

Result<void> eval_labels(EvalContext& c, LabelMapOf map_of) {
  const HostTensor& in = c.in(0);
  QUERN_ASSIGN(const LabelMap map, checked_map(c.node(), in.dtype, map_of));
  const std::vector<int64_t> order = sorted_keys(map);
  for (int64_t i = 0; i < in.count(); ++i) {
    const auto found = std::ranges::lower_bound(order, i, [&](int64_t key, int64_t element) {
      return is_less(map.keys, key, in, element);
    });
    const bool is_key = found != order.end() && !is_less(in, i, map.keys, *found);
    copy_element(is_key ? map.values : map.fallback, is_key ? *found : 0, c.out(0), i);
  }
  return {};
}

}  // namespace quern
