// Reductions: loops of one invocation, or of a workgroup and a tree in its memory.
#include <algorithm>

#include "ir/expr_ops.h"
#include "shader/elements.h"
#include "shader/expr_text.h"

namespace quern {
namespace {

// Sums are taken in blocks of blocks of this many numbers, so that the rounding errors of a long
// sum don't add up; that survives compilers that reassociate, where Kahan's method does not.
constexpr int64_t kBlock = 32;

uint64_t bit_of(uint32_t slot) { return uint64_t{1} << (slot & 63); }

bool is_float_sum(const ExprNode& node) {
  return node.op == ExprOp::kReduceSum && is_float(node.type);
}

// `a` and `b` of the type `type` reduced.
std::string combine(ExprOp op, Scalar type, const std::string& a, const std::string& b) {
  ExprOp as = ExprOp::kAdd;
  switch (op) {
    case ExprOp::kReduceProd:
      as = ExprOp::kMul;
      break;
    case ExprOp::kReduceMin:
      as = ExprOp::kMin;
      break;
    case ExprOp::kReduceMax:
      as = ExprOp::kMax;
      break;
    case ExprOp::kReduceAny:
      as = ExprOp::kOr;
      break;
    case ExprOp::kReduceAll:
      as = ExprOp::kAnd;
      break;
    default:
      break;
  }
  return op_text({as, type, 0, 0, {}}, type, {a, b});
}

}  // namespace

// for (variable = from; variable < extent; variable += step) { body: value }
struct ExprText::Loop {
  std::string variable, from, extent, step;
  std::string body;
  std::string value;
  int64_t count = -1;  // of iterations at most, where known
};

// The loop of a reduction, with its body written. Where it is shared, nested reductions by the same
// operator (over several axes) become one loop.
ExprText::Loop ExprText::loop_of(uint32_t id, bool shared) {
  std::vector<const ExprNode*> nest = {&program_.nodes[id]};
  uint64_t slots = bit_of(nest[0]->slot);
  while (shared && !is_arg_reduction(nest[0]->op)) {
    const Expr inner = nest.back()->args[1];
    const ExprNode& node = program_.at(inner);
    if (node.op != nest[0]->op || !options_.given[inner.id].empty() ||
        (facts_[inner.id].loops & slots) == 0 || facts_[node.args[0].id].loops != 0) {
      break;
    }
    nest.push_back(&node);
    slots |= bit_of(node.slot);
  }

  Loop loop;
  loop.variable = fresh("k");
  loop.from = shared ? "i32(lid)" : "0";
  loop.step = shared ? cat(options_.shared_by) : "1";
  loop.count = 1;
  std::string variables;
  std::string rest = loop.variable;
  for (size_t k = nest.size(); k-- > 0;) {  // the innermost varies fastest
    const Expr extent = nest[k]->args[0];
    const std::string& text = texts_[extent.id];
    const ExprNode& node = program_.at(extent);
    loop.count = node.op == ExprOp::kConst && loop.count >= 0 ? loop.count * node.bits : -1;
    loop.extent += cat(loop.extent.empty() ? "" : " * ", text);
    if (nest.size() == 1) {
      loop_names_[nest[k]->slot] = loop.variable;
      break;
    }
    const std::string name = fresh("k");
    loop_names_[nest[k]->slot] = name;
    if (k == 0) {
      variables += cat("let ", name, " = ", rest, ";\n");
    } else {
      const std::string next = fresh("t");
      variables += cat("let ", next, " = ", rest, " / ", text, ";\nlet ", name, " = ", rest, " - ",
                       next, " * ", text, ";\n");
      rest = next;
    }
  }
  if (shared && loop.count > 0) {
    loop.count = (loop.count + options_.shared_by - 1) / options_.shared_by;
  }

  std::string outside = std::move(body_);
  body_ = std::move(variables);
  open_loops_ |= slots;
  const Expr body = nest.back()->args[1];
  write_scope({&body, 1}, slots);
  open_loops_ &= ~slots;
  loop.value = texts_[body.id];
  loop.body = std::move(body_);
  body_ = std::move(outside);
  return loop;
}

void ExprText::write_loop(const Loop& loop, const std::string& accumulate) {
  const std::string step = loop.step == "1" ? "++" : cat(" += ", loop.step);
  body_ += cat("for (var ", loop.variable, " = ", loop.from, "; ", loop.variable, " < ",
               loop.extent, "; ", loop.variable, step, ") {\n", loop.body, accumulate, "}\n");
}

// Adds the values of a loop to `sum`, in one, two or three levels of partial sums.
void ExprText::write_sum(const Loop& loop, const std::string& sum) {
  const int levels = loop.count < 0 || loop.count > 2 * kBlock * kBlock ? 3
                     : loop.count > 2 * kBlock                          ? 2
                                                                        : 1;
  if (levels == 1) return write_loop(loop, cat(sum, " += ", loop.value, ";\n"));
  const std::string& k = loop.variable;
  const auto step = static_cast<int64_t>(std::max<uint32_t>(options_.shared_by, 1));
  const int64_t stride = loop.step == "1" ? 1 : step;
  body_ += cat("var ", k, " = ", loop.from, ";\nlet ", k, "e = ", loop.extent, ";\n");
  std::string end = cat(k, "e");
  std::string into = sum;
  for (int level = levels; level > 1; --level) {
    const int64_t block = level == 3 ? kBlock * kBlock : kBlock;
    const std::string part = cat(sum, "_", level);
    body_ += cat("while (", k, " < ", end, ") {\nvar ", part, " = 0f;\nlet ", part, "e = min(", k,
                 " + ", block * stride, ", ", end, ");\n");
    end = cat(part, "e");
    into = part;
  }
  body_ += cat("for (; ", k, " < ", end, "; ", k, " += ", loop.step, ") {\n", loop.body, into,
               " += ", loop.value, ";\n}\n");
  for (int level = 2; level <= levels; ++level) {
    const std::string outer = level == levels ? sum : cat(sum, "_", level + 1);
    body_ += cat(outer, " += ", sum, "_", level, ";\n}\n");
  }
}

// Puts each invocation's `value` into workgroup memory; gives the array's name.
std::string ExprText::share(Scalar type, const std::string& value, std::string_view suffix) {
  const std::string_view element = wgsl_type(type);
  const std::string_view tag = element == "vec2<u32>" ? "x64" : element;
  std::string name = cat("w_", tag, suffix);
  const std::string declaration =
      cat("var<workgroup> ", name, ": array<", element, ", ", options_.shared_by, ">;\n");
  if (shared_.find(declaration) == std::string::npos) shared_ += declaration;
  body_ += cat(name, "[lid] = ", value, ";\n");
  return name;
}

void ExprText::write_reduction(uint32_t id) {
  const ExprNode& node = program_.nodes[id];
  const bool shared = options_.shared_by > 1 && open_loops_ == 0;
  const Loop loop = loop_of(id, shared);
  if (is_arg_reduction(node.op)) return write_arg_reduction(id, loop, shared);

  const std::string sum = fresh("a");
  body_ += cat("var ", sum, " = ", constant_text(node.type, reduction_identity(node.op, node.type)),
               ";\n");
  if (is_float_sum(node)) {
    write_sum(loop, sum);
  } else {
    write_loop(loop, cat(sum, " = ", combine(node.op, node.type, sum, loop.value), ";\n"));
  }
  texts_[id] = sum;
  if (!shared) return;
  const std::string array = share(node.type, sum, "");
  texts_[id] = fresh("r");
  const std::string other = cat(array, "[lid + s]");
  body_ += cat("workgroupBarrier();\nfor (var s = ", options_.shared_by / 2,
               "u; s > 0u; s >>= 1u) {\nif (lid < s) {\n", sum, " = ",
               combine(node.op, node.type, sum, other), ";\n", array, "[lid] = ", sum,
               ";\n}\nworkgroupBarrier();\n}\nlet ", texts_[id], " = ", array,
               "[0];\nworkgroupBarrier();\n");
}

void ExprText::write_arg_reduction(uint32_t id, const Loop& loop, bool shared) {
  const ExprNode& node = program_.nodes[id];
  const Scalar type = program_.at(node.args[1]).type;
  const std::string at = fresh("a");  // -1: nothing yet
  const std::string best = cat(at, "v");
  const std::string value = cat(at, "n");
  body_ += cat("var ", at, " = -1;\nvar ", best, ": ", wgsl_type(type), ";\n");
  write_loop(loop, cat("let ", value, " = ", loop.value, ";\nif (", at, " < 0 || ",
                       arg_replaces_text(node.op, type, value, best), ") {\n", best, " = ", value,
                       ";\n", at, " = ", loop.variable, ";\n}\n"));
  texts_[id] = fresh("r");
  if (!shared) {
    body_ += cat("let ", texts_[id], " = max(", at, ", 0);\n");
    return;
  }
  // Of two candidates the one of the larger index is asked whether it replaces the other.
  const std::string values = share(type, best, "v");
  const std::string places = share(Scalar::kI32, at, "");
  body_ += cat("workgroupBarrier();\nfor (var s = ", options_.shared_by / 2,
               "u; s > 0u; s >>= 1u) {\nif (lid < s) {\nlet o = ", places, "[lid + s];\nlet ",
               value, " = ", values, "[lid + s];\nif (o >= 0 && (", at, " < 0 || select(!",
               arg_replaces_text(node.op, type, best, value), ", ",
               arg_replaces_text(node.op, type, value, best), ", o > ", at, "))) {\n", at,
               " = o;\n", best, " = ", value, ";\n", values, "[lid] = ", best, ";\n", places,
               "[lid] = ", at, ";\n}\n}\nworkgroupBarrier();\n}\nlet ", texts_[id], " = max(",
               places, "[0], 0);\nworkgroupBarrier();\n");
}

}  // namespace quern
