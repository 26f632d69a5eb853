#include <algorithm>
#include <bit>
#include <cmath>

#include "ir/expr.h"
#include "ir/expr_ops.h"

namespace quern {
namespace {

template <class T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void put_extents(std::string& out, const std::vector<Extent>& extents) {
  put(out, static_cast<uint32_t>(extents.size()));
  for (const Extent& e : extents) {
    put(out, e.param);
    put(out, e.baked() ? e.value : int64_t{e.multiple});
  }
}

void put_node(std::string& out, const ExprNode& node) {
  put(out, node.op);
  put(out, node.type);
  put(out, node.slot);
  put(out, node.bits);
  put(out, static_cast<uint32_t>(node.args.size()));
  for (Expr arg : node.args) put(out, arg.id);
}

ExprBuilder::Range whole(Scalar type) {
  switch (type) {
    case Scalar::kI32:
      return {INT32_MIN, INT32_MAX};
    case Scalar::kU32:
      return {0, UINT32_MAX};
    case Scalar::kBool:
      return {0, 1};
    default:
      return {INT64_MIN, INT64_MAX};  // u64: as bits, never used
  }
}

}  // namespace

Scalar compute_type(DType type) {
  switch (type) {
    case DType::kF64:
      return Scalar::kF64;
    case DType::kI64:
      return Scalar::kI64;
    case DType::kU64:
      return Scalar::kU64;
    case DType::kBool:
      return Scalar::kBool;
    default:
      break;
  }
  if (is_signed_int(type)) return Scalar::kI32;
  return is_unsigned_int(type) ? Scalar::kU32 : Scalar::kF32;
}

DType storage_type(Scalar type) {
  switch (type) {
    case Scalar::kF32:
      return DType::kF32;
    case Scalar::kF64:
      return DType::kF64;
    case Scalar::kI32:
      return DType::kI32;
    case Scalar::kU32:
      return DType::kU32;
    case Scalar::kI64:
      return DType::kI64;
    case Scalar::kU64:
      return DType::kU64;
    default:
      return DType::kBool;
  }
}

int64_t ExprProgram::domain_count() const {
  int64_t count = 1;
  for (const Extent& e : domain) count *= e.value;
  return count;
}

std::string ExprProgram::key() const {
  std::string out;
  put(out, static_cast<uint32_t>(nodes.size()));
  for (const ExprNode& node : nodes) put_node(out, node);
  put_extents(out, domain);
  put(out, static_cast<uint32_t>(inputs.size()));
  for (const ExprInput& input : inputs) {
    put(out, input.dtype);
    put(out, input.is_anchor);
    put_extents(out, input.dims);
  }
  put(out, static_cast<uint32_t>(outputs.size()));
  for (const ExprOutput& output : outputs) {
    put(out, output.value.id);
    put(out, output.dtype);
  }
  put(out, loops);
  return out;
}

ExprBuilder::ExprBuilder(ExprProgram& program) : program_(program) {
  for (uint32_t id = 0; id < program_.nodes.size(); ++id) {
    std::string key;
    put_node(key, program_.nodes[id]);
    interned_.try_emplace(std::move(key), id);
    record_facts(program_.nodes[id]);
  }
}

Expr ExprBuilder::intern(ExprNode node) {
  std::string key;
  put_node(key, node);
  const auto id = static_cast<uint32_t>(program_.nodes.size());
  const auto [it, is_new] = interned_.try_emplace(std::move(key), id);
  if (is_new) {
    record_facts(node);
    program_.nodes.push_back(std::move(node));
  }
  return {it->second};
}

void ExprBuilder::record_facts(const ExprNode& node) {
  ranges_.push_back(range_of(node));
  uint64_t loops = node.op == ExprOp::kLoop ? uint64_t{1} << node.slot % 64 : 0;
  for (Expr arg : node.args) loops |= loops_[arg.id];
  loops_.push_back(loops);
}

Expr ExprBuilder::fail(Scalar type, std::string_view what) {
  if (first_error_.empty()) first_error_ = what;
  return constant_int(type, 0);
}

Result<void> ExprBuilder::check() const {
  if (!first_error_.empty()) return internal_error(cat("expression: ", first_error_));
  return {};
}

Expr ExprBuilder::constant(Scalar type, double value) {
  return intern({ExprOp::kConst, type, 0, from_double(type, value), {}});
}

Expr ExprBuilder::constant_int(Scalar type, int64_t value) {
  return intern({ExprOp::kConst, type, 0, from_int(type, value), {}});
}

Expr ExprBuilder::param(Scalar type, int64_t value) {
  const auto slot = static_cast<uint32_t>(program_.params.size());
  program_.params.push_back(value);
  return intern({ExprOp::kParam, type, slot, 0, {}});
}

Expr ExprBuilder::extent(const Extent& extent) {
  if (extent.baked()) return i32(extent.value);
  return intern({ExprOp::kParam, Scalar::kI32, static_cast<uint32_t>(extent.param), 0, {}});
}

Expr ExprBuilder::index(uint32_t axis) {
  if (axis >= program_.domain.size()) return fail(Scalar::kI32, "index of an axis past the rank");
  const Extent& e = program_.domain[axis];
  if (e.baked() && e.value == 1) return i32(0);
  return intern({ExprOp::kIndex, Scalar::kI32, axis, 0, {}});
}

Expr ExprBuilder::load(uint32_t input, std::span<const Expr> index) {
  if (input >= program_.inputs.size()) return fail(Scalar::kF32, "load of an input past the last");
  const ExprInput& in = program_.inputs[input];
  const Scalar type = compute_type(in.dtype);
  if (index.size() != in.dims.size()) {
    return fail(type, cat("load of input ", input, " of rank ", in.dims.size(), " at ",
                          index.size(), " indices"));
  }
  ExprNode node{ExprOp::kLoad, type, input, 0, {index.begin(), index.end()}};
  for (size_t k = 0; k < index.size(); ++k) {
    if (type_of(index[k]) != Scalar::kI32) return fail(type, "an index that is not i32");
    // An index of the element itself must lie inside, so along an extent of 1 it is 0.
    const ExprOp op = program_.at(index[k]).op;
    if (op == ExprOp::kIndex && in.dims[k].baked() && in.dims[k].value == 1) node.args[k] = i32(0);
  }
  return intern(std::move(node));
}

Expr ExprBuilder::load_flat(uint32_t input, Expr flat) {
  if (input >= program_.inputs.size()) return fail(Scalar::kF32, "load of an input past the last");
  const Scalar type = compute_type(program_.inputs[input].dtype);
  if (type_of(flat) != Scalar::kI32) return fail(type, "an index that is not i32");
  return intern({ExprOp::kLoadFlat, type, input, 0, {flat}});
}

Expr ExprBuilder::make(ExprNode node) {
  if (is_leaf(node.op)) {
    return node.op == ExprOp::kIndex ? index(node.slot) : intern(std::move(node));
  }
  const Scalar arg_type = type_of(node.args.back());
  if (!accepts(node.op, arg_type)) {
    return fail(node.type, cat(name_of(node.op), " of ", name_of(arg_type)));
  }
  if (is_commutative(node.op)) {  // constants to the right, else by age
    const bool left = is_constant(node.args[0]);
    const bool right = is_constant(node.args[1]);
    if (left != right ? left : node.args[1].id < node.args[0].id) {
      std::swap(node.args[0], node.args[1]);
    }
  }
  const Expr folded = fold(node);
  return folded == Expr{} ? intern(std::move(node)) : folded;
}

Expr ExprBuilder::unary(ExprOp op, Expr a) {
  const Scalar type = type_of(a);
  if (!is_unary(op) || op == ExprOp::kCast || op == ExprOp::kNarrow || op == ExprOp::kBitcast) {
    return fail(type, cat(name_of(op), " is not an operator of one argument"));
  }
  return make({op, result_type(op, type), 0, 0, {a}});
}

Expr ExprBuilder::binary(ExprOp op, Expr a, Expr b) {
  const Scalar type = type_of(a);
  if (!is_binary(op)) return fail(type, cat(name_of(op), " is not an operator of two arguments"));
  if (type_of(b) != type) {
    return fail(result_type(op, type),
                cat(name_of(op), " of ", name_of(type), " and ", name_of(type_of(b))));
  }
  return make({op, result_type(op, type), 0, 0, {a, b}});
}

Expr ExprBuilder::select(Expr condition, Expr if_true, Expr if_false) {
  const Scalar type = type_of(if_true);
  if (type_of(condition) != Scalar::kBool || type_of(if_false) != type) {
    return fail(type, cat("select by ", name_of(type_of(condition)), " of ", name_of(type), " and ",
                          name_of(type_of(if_false))));
  }
  return make({ExprOp::kSelect, type, 0, 0, {condition, if_true, if_false}});
}

Expr ExprBuilder::cast(Expr a, Scalar type) {
  return type_of(a) == type ? a : make({ExprOp::kCast, type, 0, 0, {a}});
}

Expr ExprBuilder::narrow(Expr a, DType dtype) {
  const Scalar type = type_of(a);
  if (type == Scalar::kBool || storage_type(type) == dtype) return a;
  if (is_float(dtype) != is_float(type) || dtype == DType::kBool || bit_width(dtype) == 0) {
    return fail(type, cat("narrow of ", name_of(type), " to ", name_of(dtype)));
  }
  if (is_float(type)) {
    if (dtype == DType::kF64) return a;
  } else {
    // Does the type hold every value that `a` can have?
    const Range r = range(a);
    const int bits = bit_width(dtype) - (is_signed_int(dtype) ? 1 : 0);
    const int64_t upper = bits >= 63 ? INT64_MAX : (int64_t{1} << bits) - 1;
    const int64_t lower = is_signed_int(dtype) ? -upper - 1 : 0;
    if (type != Scalar::kU64 && r.lower >= lower && r.upper <= upper) return a;
    if (bit_width(dtype) >= width_of(type)) {
      return cast(cast(a, compute_type(dtype)), type);  // same width, other sign: wraps and back
    }
  }
  return make({ExprOp::kNarrow, type, static_cast<uint32_t>(dtype), 0, {a}});
}

Expr ExprBuilder::bitcast(Expr a, Scalar type) {
  const Scalar from = type_of(a);
  if (from == type) return a;
  if (width_of(from) != width_of(type) || from == Scalar::kBool) {
    return fail(type, cat("bitcast of ", name_of(from), " to ", name_of(type)));
  }
  return make({ExprOp::kBitcast, type, 0, 0, {a}});
}

Expr ExprBuilder::loop() { return intern({ExprOp::kLoop, Scalar::kI32, program_.loops++, 0, {}}); }

// Which loop variable of one body stands for which of the other; and a bound on the work.
struct ExprBuilder::Renaming {
  std::vector<std::pair<uint32_t, uint32_t>> pairs;
  int budget = 1000;
};

bool ExprBuilder::equal_renamed(Expr a, Expr b, Renaming& renaming) const {
  uint64_t renamed = 0;
  for (const auto& [from, to] : renaming.pairs) {
    renamed |= uint64_t{1} << from % 64 | uint64_t{1} << to % 64;
  }
  if (((loops_[a.id] | loops_[b.id]) & renamed) == 0) return a == b;  // nothing to rename
  const ExprNode& x = program_.at(a);
  const ExprNode& y = program_.at(b);
  if (x.op == ExprOp::kLoop && y.op == ExprOp::kLoop) {
    for (const auto& [from, to] : renaming.pairs) {
      if (x.slot == from || y.slot == to) return x.slot == from && y.slot == to;
    }
    return x.slot == y.slot;
  }
  if (x.op != y.op || x.type != y.type || x.bits != y.bits || x.args.size() != y.args.size() ||
      --renaming.budget < 0) {
    return false;
  }
  if (!is_reduction(x.op)) {
    if (x.slot != y.slot) return false;
    for (size_t i = 0; i < x.args.size(); ++i) {
      if (!equal_renamed(x.args[i], y.args[i], renaming)) return false;
    }
    return true;
  }
  if (!equal_renamed(x.args[0], y.args[0], renaming)) return false;
  renaming.pairs.emplace_back(x.slot, y.slot);
  const bool equal = equal_renamed(x.args[1], y.args[1], renaming);
  renaming.pairs.pop_back();
  return equal;
}

Expr ExprBuilder::reduce(ExprOp op, Expr variable, Expr extent, Expr body) {
  const ExprNode loop = program_.at(variable);
  const Scalar type = result_type(op, type_of(body));
  if (!is_reduction(op) || loop.op != ExprOp::kLoop || type_of(extent) != Scalar::kI32 ||
      !accepts(op, type_of(body))) {
    return fail(type, cat(name_of(op), " of ", name_of(type_of(body)), " over ", name_of(loop.op),
                          " below ", name_of(type_of(extent))));
  }
  int64_t count = 0;
  if (is_constant(extent, &count) && count <= 0) {
    return intern({ExprOp::kConst, type, 0, reduction_identity(op, type), {}});
  }
  for (uint32_t id = 0; id < program_.nodes.size(); ++id) {
    const ExprNode& other = program_.nodes[id];
    if (other.op != op || other.args[0] != extent || other.slot == loop.slot) continue;
    Renaming renaming{{{loop.slot, other.slot}}};
    if (equal_renamed(body, other.args[1], renaming)) return {id};
  }
  return intern({op, type, loop.slot, 0, {extent, body}});
}

bool ExprBuilder::is_constant(Expr e, int64_t* value) const {
  const ExprNode& node = program_.at(e);
  if (node.op != ExprOp::kConst) return false;
  if (value != nullptr) *value = node.bits;
  return true;
}

ExprBuilder::Range ExprBuilder::range_of(const ExprNode& node) const {
  Range all = whole(node.type);
  const auto clip = [&](__int128 lower, __int128 upper) {
    if (lower < all.lower || upper > all.upper) return all;  // may wrap
    return Range{static_cast<int64_t>(lower), static_cast<int64_t>(upper)};
  };
  if (is_float(node.type) || node.type == Scalar::kU64) return all;
  if (node.op == ExprOp::kConst) return {node.bits, node.bits};
  if (node.op == ExprOp::kLoop) return {0, INT32_MAX - 1};
  if (node.op == ExprOp::kIndex) {
    const Extent& e = program_.domain[node.slot];
    return {0, e.baked() && e.value > 0 ? e.value - 1 : INT32_MAX - 1};
  }
  if (is_load(node.op) && node.slot < program_.inputs.size()) {  // a narrower element type
    const DType dtype = program_.inputs[node.slot].dtype;
    const int bits = bit_width(dtype) - (is_signed_int(dtype) ? 1 : 0);
    if (!is_integer(dtype) || bits > 32) return all;
    const int64_t upper = (int64_t{1} << bits) - 1;
    return {is_signed_int(dtype) ? -upper - 1 : 0, upper};
  }
  if (node.args.empty() || is_reduction(node.op)) return all;
  const Scalar arg_type = type_of(node.args.back());
  if (is_float(arg_type) || arg_type == Scalar::kU64) return all;
  const Range a = range(node.args[0]);
  if (node.op == ExprOp::kCast) return node.type == Scalar::kBool ? all : clip(a.lower, a.upper);
  if (node.args.size() < 2) return all;
  const Range b = range(node.args[1]);
  switch (node.op) {
    case ExprOp::kAdd:
      return clip(__int128{a.lower} + b.lower, __int128{a.upper} + b.upper);
    case ExprOp::kSub:
      return clip(__int128{a.lower} - b.upper, __int128{a.upper} - b.lower);
    case ExprOp::kMul: {
      const __int128 p[] = {__int128{a.lower} * b.lower, __int128{a.lower} * b.upper,
                            __int128{a.upper} * b.lower, __int128{a.upper} * b.upper};
      return clip(*std::min_element(p, p + 4), *std::max_element(p, p + 4));
    }
    case ExprOp::kDiv:
      if (b.lower <= 0 || a.lower < 0) return all;
      return {a.lower / b.upper, a.upper / b.lower};
    case ExprOp::kRem:
    case ExprOp::kMod:
      if (b.lower <= 0) return all;
      if (a.lower >= 0) return {0, std::min(a.upper, b.upper - 1)};
      return node.op == ExprOp::kMod ? Range{0, b.upper - 1} : all;
    case ExprOp::kMin:
      return {std::min(a.lower, b.lower), std::min(a.upper, b.upper)};
    case ExprOp::kMax:
      return {std::max(a.lower, b.lower), std::max(a.upper, b.upper)};
    case ExprOp::kSelect: {
      const Range c = range(node.args[2]);
      return {std::min(b.lower, c.lower), std::max(b.upper, c.upper)};
    }
    default:
      return all;
  }
}

}  // namespace quern
