#include "shader/expr_text.h"

#include <algorithm>
#include <bit>

#include "ir/expr_ops.h"
#include "shader/elements.h"

namespace quern {
namespace {

// Longer or deeper expressions get a variable.
constexpr size_t kMaxInline = 120;
constexpr uint8_t kMaxDepth = 6;

bool is_pair(Scalar t) { return t == Scalar::kI64 || t == Scalar::kU64; }

bool is_identifier(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

}  // namespace

std::vector<ParamField> param_fields(const ExprProgram& program) {
  std::vector<ParamField> fields;
  const auto add = [&](uint32_t slot, Scalar type) {
    const auto it = std::lower_bound(fields.begin(), fields.end(), slot,
                                     [](const ParamField& f, uint32_t s) { return f.slot < s; });
    if (it == fields.end() || it->slot != slot) fields.insert(it, {slot, type});
  };
  const auto add_extents = [&](const std::vector<Extent>& extents) {
    for (const Extent& e : extents) {
      if (!e.baked()) add(static_cast<uint32_t>(e.param), Scalar::kI32);
    }
  };
  add_extents(program.domain);
  for (const ExprInput& input : program.inputs) add_extents(input.dims);
  for (const ExprNode& node : program.nodes) {
    if (node.op == ExprOp::kParam) add(node.slot, node.type);
  }
  return fields;
}

std::string param_declaration(const ExprProgram& program, std::string_view prefix) {
  std::vector<std::string> fields;
  for (const ParamField& f : param_fields(program)) {
    const bool word = is_pair(f.type) || f.type == Scalar::kBool;
    fields.push_back(cat(prefix, f.slot, ": ", word ? "u32" : wgsl_type(f.type)));
    if (is_pair(f.type)) fields.push_back(cat(prefix, f.slot, "h: u32"));
  }
  return join(fields, ", ");
}

std::string extent_text(const Extent& extent, std::string_view param_prefix, bool as_u32) {
  if (extent.baked()) return cat(extent.value, as_u32 ? "u" : "");
  const std::string name = cat(param_prefix, extent.param);
  return as_u32 ? cat("u32(", name, ")") : name;
}

std::string count_text(const std::vector<Extent>& extents, std::string_view param_prefix) {
  uint64_t baked = 1;
  std::string product;
  for (const Extent& e : extents) {
    if (e.baked()) {
      baked *= static_cast<uint64_t>(e.value);
    } else {
      product += cat(product.empty() ? "" : " * ", extent_text(e, param_prefix, true));
    }
  }
  if (product.empty()) return cat(baked, "u");
  return baked == 1 ? product : cat(product, " * ", baked, "u");
}

ExprText::ExprText(const ExprProgram& program, const std::vector<NodeFacts>& facts, Options options)
    : program_(program),
      facts_(facts),
      options_(std::move(options)),
      texts_(program.nodes.size()),
      depths_(program.nodes.size(), 0),
      loop_names_(program.loops) {
  options_.given.resize(program.nodes.size());
}

std::vector<std::string> ExprText::write(std::span<const Expr> values) {
  write_scope(values, 0);
  std::vector<std::string> texts;
  for (const Expr e : values) texts.push_back(texts_[e.id]);
  return texts;
}

// Writes what `values` need and belongs to the scope of the loops `own` (0: of none): nodes that
// use one of them, and no loop that is not open. Nodes come in order, so arguments come first.
void ExprText::write_scope(std::span<const Expr> values, uint64_t own) {
  std::vector<bool> seen(program_.nodes.size(), false);
  std::vector<uint8_t> uses(program_.nodes.size(), 0);
  std::vector<uint32_t> stack;
  std::vector<uint32_t> members;
  const auto belongs = [&](uint32_t id) {
    const uint64_t loops = facts_[id].loops;
    return (loops & ~open_loops_) == 0 && (own == 0 ? loops == 0 : (loops & own) != 0);
  };
  const auto visit = [&](Expr e, uint8_t weight) {
    uses[e.id] = static_cast<uint8_t>(std::min(2, uses[e.id] + weight));
    if (!seen[e.id]) stack.push_back(e.id);
    seen[e.id] = true;
  };
  for (const Expr e : values) visit(e, 1);
  while (!stack.empty()) {
    const uint32_t id = stack.back();
    stack.pop_back();
    const ExprNode& node = program_.nodes[id];
    const bool member = belongs(id);
    if (member) members.push_back(id);
    if (!options_.given[id].empty()) continue;
    const bool flat = options_.forms != nullptr && (*options_.forms)[id] == LoadForm::kFlat;
    if (flat) continue;  // its index is `i`
    // What a loop uses again and again is computed once, before it.
    const uint8_t weight = member && !is_reduction(node.op) ? 1 : 2;
    for (const Expr arg : node.args) visit(arg, weight);
  }
  std::sort(members.begin(), members.end());
  for (const uint32_t id : members) write_node(id, uses[id] < 2);
}

void ExprText::write_node(uint32_t id, bool may_inline) {
  const ExprNode& node = program_.nodes[id];
  depths_[id] = 0;
  if (!options_.given[id].empty()) {
    texts_[id] = options_.given[id];
    return;
  }
  if (is_reduction(node.op)) return write_reduction(id);
  std::string text = node_text(id);
  if (is_leaf(node.op)) {
    texts_[id] = std::move(text);
    return;
  }
  uint8_t depth = 0;
  for (const Expr arg : node.args) depth = std::max(depth, depths_[arg.id]);
  ++depth;
  if (is_identifier(text) || (may_inline && depth < kMaxDepth && text.size() < kMaxInline)) {
    texts_[id] = std::move(text);
    depths_[id] = depth;
    return;
  }
  texts_[id] = fresh("v");
  body_ += cat("let ", texts_[id], " = ", text, ";\n");
}

std::string ExprText::node_text(uint32_t id) {
  const ExprNode& node = program_.nodes[id];
  switch (node.op) {
    case ExprOp::kConst:
      return constant_text(node.type, node.bits);
    case ExprOp::kParam:
      return param_text(node.slot, node.type);
    case ExprOp::kLoop:
      return loop_names_[node.slot];
    case ExprOp::kIndex:
      used_axes_ |= 1u << (node.slot & 31);
      return cat("i", node.slot);
    case ExprOp::kLoad:
    case ExprOp::kLoadFlat:
      return options_.load(node.slot, load_index({id}));
    default:
      break;
  }
  if (node.op == ExprOp::kCast && is_float(node.type)) {  // of few bits: exact
    const ExprNode& arg = program_.at(node.args[0]);
    if (is_load(arg.op) && arg.type == Scalar::kU32 &&
        bit_width(program_.inputs[arg.slot].dtype) < 32) {
      return cat("f32(", texts_[node.args[0].id], ")");
    }
  }
  if (node.op == ExprOp::kRound && is_float(node.type)) {
    const ExprNode& arg = program_.at(node.args[0]);
    if (arg.op == ExprOp::kDiv) {
      return cat("round_div_f32(", texts_[arg.args[0].id], ", ", texts_[arg.args[1].id], ")");
    }
  }
  std::vector<std::string> args;
  bool constant = true;
  for (const Expr arg : node.args) {
    args.push_back(texts_[arg.id]);
    constant = constant && program_.at(arg).op == ExprOp::kConst;
  }
  if (constant) {  // a constant expression that overflows or divides by zero is an error
    const std::string name = fresh("c");
    body_ += cat("var ", name, " = ", args[0], ";\n");
    args[0] = name;
  }
  return op_text(node, program_.at(node.args.back()).type, args);
}

std::string ExprText::param_text(uint32_t slot, Scalar type) const {
  std::string name = cat(options_.param_prefix, slot);
  if (is_pair(type)) return cat("vec2<u32>(", name, ", ", name, "h)");
  if (type == Scalar::kBool) return cat("(", name, " != 0u)");
  for (const ParamField& f : param_fields(program_)) {
    if (f.slot == slot && wgsl_type(f.type) != wgsl_type(type)) {
      return cat("bitcast<", wgsl_type(type), ">(", name, ")");
    }
  }
  return name;
}

// An index that comes from data is held inside its axis.
std::string ExprText::clamped(Expr index, const std::string& last) {
  const std::string& text = texts_[index.id];
  return facts_[index.id].from_data ? cat("clamp(", text, ", 0, ", last, ")") : text;
}

std::string ExprText::load_index(Expr load) {
  const ExprNode& node = program_.at(load);
  if (options_.forms != nullptr && (*options_.forms)[load.id] == LoadForm::kFlat) {
    used_flat_ = true;
    return "i";
  }
  const std::vector<Extent>& dims = program_.inputs[node.slot].dims;
  const auto last = [&](const Extent& e) {
    return e.baked() ? cat(std::max<int64_t>(e.value - 1, 0))
                     : cat(extent_text(e, options_.param_prefix, false), " - 1");
  };
  if (node.op == ExprOp::kLoadFlat) {
    int64_t baked = 1;
    bool all_baked = true;
    for (const Extent& e : dims) {
      baked *= e.baked() ? e.value : 1;
      all_baked = all_baked && e.baked();
    }
    const std::string count = all_baked
                                  ? cat(std::max<int64_t>(baked - 1, 0))
                                  : cat("i32(", count_text(dims, options_.param_prefix), ") - 1");
    return cat("u32(", clamped(node.args[0], count), ")");
  }
  std::string flat;
  for (size_t k = 0; k < dims.size(); ++k) {
    if (dims[k].baked() && dims[k].value == 1) continue;
    const ExprNode& arg = program_.at(node.args[k]);
    const bool zero = arg.op == ExprOp::kConst && arg.bits == 0;
    if (!flat.empty()) flat += cat(" * ", extent_text(dims[k], options_.param_prefix, false));
    if (zero) continue;
    const std::string index = clamped(node.args[k], last(dims[k]));
    if (flat.empty()) {
      flat = index;
    } else {
      flat = k + 1 < dims.size() ? cat("(", flat, " + ", index, ")") : cat(flat, " + ", index);
    }
  }
  return flat.empty() ? "0u" : cat("u32(", flat, ")");
}

}  // namespace quern
