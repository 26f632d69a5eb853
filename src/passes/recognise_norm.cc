// Normalisations: LayerNorm and RMSNorm around a square root, GroupNorm around an
// InstanceNormalization.

#include <algorithm>

#include "passes/recognise.h"
#include "passes/recognise_match.h"

namespace quern {
namespace {

/// The first of the axes that a ReduceMean with keepdims takes the mean over, if they are the last
/// ones of its input.
std::optional<size_t> last_axes_from(const Node& mean) {
  const Shape* shape = shape_of(mean.input(0));
  if (shape == nullptr || !mean.is("ReduceMean") || mean.int_or("keepdims", 1) != 1) {
    return std::nullopt;
  }
  std::vector<int64_t> axes;
  if (const std::vector<int64_t>* attribute = mean.ints("axes")) {
    axes = *attribute;
  } else if (const auto input = ints_of(mean.input(1))) {
    axes = *input;
  }
  const auto rank = static_cast<int64_t>(shape->size());
  for (int64_t& axis : axes) axis += axis < 0 ? rank : 0;
  std::ranges::sort(axes);
  for (size_t i = 0; i < axes.size(); ++i) {
    if (axes[i] != rank - static_cast<int64_t>(axes.size() - i)) return std::nullopt;
  }
  if (axes.empty()) return std::nullopt;
  return static_cast<size_t>(axes[0]);
}

/// `a` where `v` is a * a.
Value* root_of_square(const Value* v) {
  if (const Node* mul = made_by(v, "Mul")) {
    return mul->inputs[0] == mul->inputs[1] ? mul->inputs[0] : nullptr;
  }
  const Node* pow = made_by(v, "Pow");
  return pow != nullptr && is_scalar(pow->input(1), 2) ? pow->inputs[0] : nullptr;
}

/// y / sqrt(mean(y * y, the last axes) + epsilon).
struct Normalised {
  Value* y = nullptr;  ///< what is squared
  Node* square = nullptr;
  Node* mean = nullptr;
  Node* result = nullptr;    ///< the division, or the product with the inverse root
  Value* divided = nullptr;  ///< what is divided: y, or the same again
  size_t axis = 0;
  double epsilon = 0;
};

/// From the square root upward and downward.
std::optional<Normalised> match_normalised(const Matcher& m, Node& root) {
  Normalised n;
  // Upward: epsilon, mean, square.
  bool inverse = false;
  if (root.is("Pow")) {
    const auto power = scalar_of(root.input(1));
    if (power != 0.5 && power != -0.5) return std::nullopt;
    inverse = *power < 0;
  }
  Node* add = made_by(root.input(0), "Add");
  if (add == nullptr || m.only_user(add->outputs[0]) != &root) return std::nullopt;
  for (Value* operand : add->inputs) {
    const auto epsilon = scalar_of(other_operand(*add, operand));
    if (!epsilon || *epsilon < 0 || m.only_user(operand) != add) continue;
    n.mean = made_by(operand, "ReduceMean");
    n.epsilon = *epsilon;
  }
  if (n.mean == nullptr) return std::nullopt;
  const auto axis = last_axes_from(*n.mean);
  if (!axis || m.only_user(n.mean->inputs[0]) != n.mean) return std::nullopt;
  n.axis = *axis;
  n.y = root_of_square(n.mean->inputs[0]);
  if (n.y == nullptr) return std::nullopt;
  n.square = n.mean->inputs[0]->producer;

  // Downward: y / s, y * (1 / s).
  Value* s = root.outputs[0];
  Node* user = m.only_user(s);
  if (user == nullptr) return std::nullopt;
  if (!inverse && (user->is("Reciprocal") ||
                   (user->is("Div") && user->inputs[1] == s && is_scalar(user->inputs[0], 1)))) {
    s = user->outputs[0];
    user = m.only_user(s);
    inverse = true;
    if (user == nullptr) return std::nullopt;
  }
  if (inverse ? !user->is("Mul") : !(user->is("Div") && user->inputs[1] == s)) return std::nullopt;
  n.result = user;
  n.divided = other_operand(*user, s);
  if (n.divided == nullptr || !same_type(user->outputs[0], n.divided)) return std::nullopt;
  if (n.divided->type.dtype == DType::kF64) return std::nullopt;  // the kernels work in f32
  return n;
}

/// The value before a widening Cast, or null.
Value* before_cast(const Value* v) {
  const Node* cast = made_by(v, "Cast");
  if (cast == nullptr || !is_float(cast->inputs[0]->type.dtype)) return nullptr;
  return bit_width(cast->inputs[0]->type.dtype) < bit_width(v->type.dtype) ? cast->inputs[0]
                                                                           : nullptr;
}

/// A normalisation being put together: what it reads and where it ends so far.
struct Norm {
  Value* x = nullptr;
  Node* root = nullptr;
  Dims dims;  ///< of the normalised axes
  Value* scale = nullptr;
  Value* bias = nullptr;

  [[nodiscard]] Value* out() const { return root->outputs[0]; }
};

/// The extents from `axis` on, where they are numbers.
std::optional<Dims> dims_from(const Shape& shape, size_t axis) {
  return constant_dims(Shape(shape.begin() + static_cast<ptrdiff_t>(axis), shape.end()));
}

/// Where the norm works in a wider type and its result is cast back to the type of what was
/// widened, both casts belong to it: that is how the operators are defined.
void take_casts(const Matcher& m, Norm& norm) {
  Value* narrow = before_cast(norm.x);
  Node* cast = m.only_user(norm.out());
  if (narrow == nullptr || cast == nullptr || !cast->is("Cast")) return;
  if (!same_type(cast->outputs[0], narrow) || norm.x->type.dtype != DType::kF32) return;
  norm.x = narrow;
  norm.root = cast;
}

/// The operand that an elementwise `op` after the norm combines it with, if it has an element for
/// each of the normalised ones: as a value with just those dims, null if there is none.
Value* take_operand(Matcher& m, Norm& norm, std::string_view op) {
  Node* user = m.only_user(norm.out());
  if (user == nullptr || !user->is(op)) return nullptr;
  Value* operand = other_operand(*user, norm.out());
  const Shape* shape = shape_of(operand);
  if (shape == nullptr || operand->type.dtype != norm.out()->type.dtype ||
      !same_type(user->outputs[0], norm.out())) {
    return nullptr;
  }
  const auto dims = constant_dims(*shape);
  if (!dims || dims->size() < norm.dims.size()) return nullptr;
  const auto extra = static_cast<ptrdiff_t>(dims->size() - norm.dims.size());
  if (!std::ranges::equal(dims->begin() + extra, dims->end(), norm.dims.begin(), norm.dims.end()) ||
      std::any_of(dims->begin(), dims->begin() + extra, [](int64_t d) { return d != 1; })) {
    return nullptr;
  }
  if (extra != 0) {
    if (!operand->constant) return nullptr;
    operand = m.with_dims(operand, norm.dims);
  }
  norm.root = user;
  return operand;
}

/// Scale and bias after the norm; a scale of ones where there is none.
bool take_scale_and_bias(Matcher& m, Norm& norm, bool with_bias) {
  constexpr int64_t kMaxOnes = 1 << 16;
  norm.scale = take_operand(m, norm, "Mul");
  if (norm.scale == nullptr) {
    const auto count = element_count(norm.dims);
    if (!count || *count > kMaxOnes) return false;
    norm.scale = m.constant_fill(norm.out()->type.dtype, norm.dims, 1);
  }
  if (with_bias) norm.bias = take_operand(m, norm, "Add");
  return true;
}

bool match_layer_norm(Matcher& m, Node& sqrt) {
  const auto n = match_normalised(m, sqrt);
  if (!n) return false;
  // y is x - mean(x); exports may have written it twice.
  const Node* sub = made_by(n->y, "Sub");
  const Node* again = made_by(n->divided, "Sub");
  if (sub == nullptr || again == nullptr || sub->inputs != again->inputs) return false;
  Value* x = sub->inputs[0];
  const Node* mean = made_by(sub->inputs[1], "ReduceMean");
  if (mean == nullptr || mean->inputs[0] != x || last_axes_from(*mean) != n->axis) return false;
  const bool owned =
      sub == again
          ? m.used_only_by(n->y, {n->square, n->result}) && m.used_only_by(mean->outputs[0], {sub})
          : m.used_only_by(n->y, {n->square}) && m.used_only_by(n->divided, {n->result}) &&
                m.used_only_by(mean->outputs[0], {sub, again});
  const auto dims = dims_from(*shape_of(x), n->axis);
  if (!owned || !dims || !same_type(x, n->y)) return false;

  Norm norm{.x = x, .root = n->result, .dims = *dims};
  take_casts(m, norm);
  if (!take_scale_and_bias(m, norm, true)) return false;
  Replacement by{.op = "LayerNormalization", .inputs = {norm.x, norm.scale}, .version = 17};
  if (norm.bias != nullptr) by.inputs.push_back(norm.bias);
  by.attributes["axis"] = static_cast<int64_t>(n->axis) - static_cast<int64_t>(shape_of(x)->size());
  by.attributes["epsilon"] = static_cast<float>(n->epsilon);
  m.replace(norm.root, std::move(by));
  return true;
}

bool match_rms_norm(Matcher& m, Node& sqrt) {
  const auto n = match_normalised(m, sqrt);
  if (!n || n->divided != n->y) return false;
  const auto dims = dims_from(*shape_of(n->y), n->axis);
  if (!dims) return false;
  Norm norm{.x = n->y, .root = n->result, .dims = *dims};
  const int64_t axis = static_cast<int64_t>(n->axis) - static_cast<int64_t>(shape_of(n->y)->size());
  take_casts(m, norm);
  if (!take_scale_and_bias(m, norm, false)) return false;
  Replacement by{.op = "RMSNormalization", .inputs = {norm.x, norm.scale}, .version = 23};
  by.attributes["axis"] = axis;
  by.attributes["epsilon"] = static_cast<float>(n->epsilon);
  m.replace(norm.root, std::move(by));
  return true;
}

/// Is it a constant with all elements `want`?
bool is_all(const Value* v, double want) {
  if (v == nullptr || !v->constant || !v->constant->is_inline()) return false;
  const HostTensor& host = v->constant->host;
  if (!is_float(host.dtype)) return false;
  for (int64_t i = 0; i < host.count(); ++i) {
    if (host.float_at(i) != want) return false;
  }
  return true;
}

/// A constant of [channels, 1, ...] that an elementwise `op` after the norm combines it with, as
/// [channels].
Value* take_channels(Matcher& m, Norm& norm, std::string_view op) {
  Node* user = m.only_user(norm.out());
  if (user == nullptr || !user->is(op)) return nullptr;
  const Value* operand = other_operand(*user, norm.out());
  if (operand == nullptr || !operand->constant || operand->type.dtype != norm.out()->type.dtype ||
      !same_type(user->outputs[0], norm.out())) {
    return nullptr;
  }
  const Dims& dims = operand->constant->dims;
  const size_t rank = shape_of(norm.out())->size();
  if (dims.size() + 1 < rank || dims.size() > rank) return nullptr;
  for (size_t i = 0; i < dims.size(); ++i) {
    const bool channel = dims.size() - i == rank - 1;
    if (dims[i] != (channel ? norm.dims[0] : 1)) return nullptr;
  }
  norm.root = user;
  return m.with_dims(operand, norm.dims);
}

bool match_group_norm(Matcher& m, Node& instance) {
  const Value* grouped = instance.input(0);
  const Shape* groups = shape_of(grouped);
  Node* split = made_by(grouped, "Reshape");
  Node* join = m.only_user(instance.outputs[0]);
  if (groups == nullptr || groups->size() < 3 || split == nullptr || join == nullptr ||
      !join->is("Reshape") || m.only_user(grouped) != &instance || !is_all(instance.input(1), 1) ||
      !is_all(instance.input(2), 0)) {
    return false;
  }
  Value* x = split->inputs[0];
  const Shape* shape = shape_of(x);
  if (shape == nullptr || shape->size() < 3 || !same_type(x, join->outputs[0])) return false;
  const auto channels = (*shape)[1].constant();
  const auto count = (*groups)[1].constant();
  if (!channels || !count || *count < 1 || *channels % *count != 0 || (*groups)[0] != (*shape)[0]) {
    return false;
  }
  Norm norm{.x = x, .root = join, .dims = {*channels}};
  norm.scale = take_channels(m, norm, "Mul");
  if (norm.scale == nullptr) norm.scale = m.constant_fill(x->type.dtype, norm.dims, 1);
  norm.bias = take_channels(m, norm, "Add");
  if (norm.bias == nullptr) norm.bias = m.constant_fill(x->type.dtype, norm.dims, 0);
  Replacement by{.op = "GroupNormalization", .inputs = {x, norm.scale, norm.bias}, .version = 21};
  by.attributes["num_groups"] = *count;
  by.attributes["epsilon"] = instance.float_or("epsilon", 1e-5f);
  m.replace(norm.root, std::move(by));
  return true;
}

}  // namespace

int find_layer_norm(Graph& graph) {
  Matcher m(graph);
  return m.each({"Sqrt", "Pow"}, [&](Node& node) { return match_layer_norm(m, node); });
}

int find_rms_norm(Graph& graph) {
  Matcher m(graph);
  return m.each({"Sqrt", "Pow"}, [&](Node& node) { return match_rms_norm(m, node); });
}

int find_group_norm(Graph& graph) {
  Matcher m(graph);
  return m.each({"InstanceNormalization"}, [&](Node& node) { return match_group_norm(m, node); });
}

}  // namespace quern
