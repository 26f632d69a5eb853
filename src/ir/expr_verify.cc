#include "ir/expr.h"
#include "ir/expr_eval.h"
#include "ir/expr_ops.h"

namespace quern {
namespace {

constexpr uint32_t kMaxLoops = 64;  // so that a set of loop variables is one word
constexpr uint32_t kNone = UINT32_MAX;

class Verifier {
 public:
  explicit Verifier(const ExprProgram& program) : program_(program) {}

  Result<void> run() {
    if (program_.loops > kMaxLoops) {
      return limit_exceeded(
          cat("an expression has ", program_.loops, " loop variables, more than ", kMaxLoops));
    }
    param_types_.resize(program_.params.size(), kNone);
    QUERN_TRY(extents("the domain", program_.domain));
    for (size_t i = 0; i < program_.inputs.size(); ++i) {
      const ExprInput& input = program_.inputs[i];
      if (bit_width(input.dtype) == 0 || bit_width(input.dtype) > 64 ||
          input.dtype == DType::kC64) {
        return broken(cat("input ", i, " has element type ", name_of(input.dtype)));
      }
      QUERN_TRY(extents(cat("input ", i), input.dims));
    }
    for (size_t id = 0; id < program_.nodes.size(); ++id) {
      if (auto ok = node(id); !ok) {
        return std::unexpected(
            std::move(ok.error()).in(cat("%", id, " = ", op_name(program_.nodes[id]))));
      }
    }
    return outputs();
  }

 private:
  static std::string_view op_name(const ExprNode& node) {
    return node.op <= ExprOp::kArgMaxLast ? name_of(node.op) : "unknown";
  }
  static std::unexpected<Error> broken(std::string message) {
    return internal_error(cat("expression: ", message));
  }

  Result<void> param(uint32_t slot, Scalar type) {
    if (slot >= program_.params.size()) return broken(cat("no parameter ", slot));
    uint32_t& known = param_types_[slot];
    if (known != kNone && known != static_cast<uint32_t>(type)) {
      return broken(cat("parameter ", slot, " is used as ", name_of(type), " and as ",
                        name_of(static_cast<Scalar>(known))));
    }
    known = static_cast<uint32_t>(type);
    return {};
  }

  Result<void> extents(std::string_view what, const std::vector<Extent>& dims) {
    __int128 count = 1;
    for (const Extent& e : dims) {
      if (e.value < 0 || e.value > INT32_MAX) {
        return broken(cat(what, " has extent ", e.value, ", past an i32 index"));
      }
      count *= e.value;
      if (count > int64_t{1} << 53) return broken(cat(what, " has too many elements"));
      if (!e.baked()) QUERN_TRY(param(static_cast<uint32_t>(e.param), Scalar::kI32));
    }
    return {};
  }

  Result<void> leaf(const ExprNode& node) {
    switch (node.op) {
      case ExprOp::kParam:
        if (node.type == Scalar::kBool) return broken("a bool parameter");
        return param(node.slot, node.type);
      case ExprOp::kIndex:
        if (node.slot >= program_.domain.size()) return broken(cat("no axis ", node.slot));
        break;
      case ExprOp::kLoop:
        if (node.slot >= program_.loops) return broken(cat("no loop variable ", node.slot));
        break;
      default:
        return {};
    }
    return node.type == Scalar::kI32 ? Result<void>{} : broken("an index that is not i32");
  }

  Result<void> load(const ExprNode& node) {
    if (node.slot >= program_.inputs.size()) return broken(cat("no input ", node.slot));
    const ExprInput& input = program_.inputs[node.slot];
    const size_t arity = node.op == ExprOp::kLoad ? input.dims.size() : 1;
    if (node.args.size() != arity) {
      return broken(cat(node.args.size(), " indices, expected ", arity));
    }
    for (Expr arg : node.args) {
      if (type(arg) != Scalar::kI32) return broken("an index that is not i32");
    }
    if (node.type != compute_type(input.dtype)) return broken(cat("type ", name_of(node.type)));
    return {};
  }

  Result<void> node(size_t id) {
    const ExprNode& node = program_.nodes[id];
    if (node.op > ExprOp::kArgMaxLast || node.type > Scalar::kBool) return broken("no such op");
    for (Expr arg : node.args) {
      if (arg.id >= id) return broken(cat("argument %", arg.id, " is not an earlier node"));
    }
    if (is_leaf(node.op)) {
      if (!node.args.empty()) return broken("a leaf with arguments");
      return leaf(node);
    }
    if (is_load(node.op)) return load(node);
    const size_t arity = is_unary(node.op) ? 1 : node.op == ExprOp::kSelect ? 3 : 2;
    if (node.args.size() != arity) {
      return broken(cat(node.args.size(), " arguments, expected ", arity));
    }
    const Scalar arg = type(node.args.back());
    if (!accepts(node.op, arg)) return broken(cat("does not take ", name_of(arg)));
    if (is_reduction(node.op)) {
      if (node.slot >= program_.loops) return broken(cat("no loop variable ", node.slot));
      if (type(node.args[0]) != Scalar::kI32) return broken("an extent that is not i32");
    } else if (is_binary(node.op) && type(node.args[0]) != arg) {
      return broken(cat("of ", name_of(type(node.args[0])), " and ", name_of(arg)));
    } else if (node.op == ExprOp::kSelect &&
               (type(node.args[0]) != Scalar::kBool || type(node.args[1]) != arg)) {
      return broken(cat("by ", name_of(type(node.args[0])), " of ", name_of(type(node.args[1])),
                        " and ", name_of(arg)));
    }
    return conversion(node, arg);
  }

  Result<void> conversion(const ExprNode& node, Scalar arg) {
    if (node.op == ExprOp::kCast) return {};
    if (node.op == ExprOp::kBitcast) {
      if (node.type == Scalar::kBool || width_of(node.type) != width_of(arg)) {
        return broken(cat("of ", name_of(arg), " to ", name_of(node.type)));
      }
      return {};
    }
    if (node.op == ExprOp::kNarrow) {
      const auto dtype = static_cast<DType>(node.slot);
      const bool fits = is_float(arg) ? is_float(dtype) : is_integer(dtype);
      if (node.slot > static_cast<uint32_t>(DType::kI2) || !fits) {
        return broken(cat("of ", name_of(arg), " to element type ", node.slot));
      }
    }
    if (node.type != result_type(node.op, arg)) return broken(cat("type ", name_of(node.type)));
    return {};
  }

  Result<void> outputs() {
    const std::vector<uint64_t> free = free_loops(program_);
    for (size_t k = 0; k < program_.outputs.size(); ++k) {
      const ExprOutput& output = program_.outputs[k];
      if (output.value.id >= program_.nodes.size()) return broken(cat("output ", k, ": no node"));
      const ExprNode& node = program_.at(output.value);
      if (bit_width(output.dtype) == 0 || bit_width(output.dtype) > 64 ||
          output.dtype == DType::kC64 || compute_type(output.dtype) != node.type) {
        return broken(cat("output ", k, " of element type ", name_of(output.dtype), " is a ",
                          name_of(node.type)));
      }
      if (free[output.value.id] != 0) {
        return broken(cat("output ", k, " uses a loop variable outside its reduction"));
      }
    }
    return nesting();
  }

  // No reduction may bind a variable that one around it binds.
  Result<void> nesting() {
    std::vector<uint64_t> bound(program_.nodes.size());  // by reductions at or below the node
    for (size_t id = 0; id < bound.size(); ++id) {
      const ExprNode& node = program_.nodes[id];
      for (Expr arg : node.args) bound[id] |= bound[arg.id];
      if (!is_reduction(node.op)) continue;
      if ((bound[node.args[1].id] >> node.slot & 1) != 0) {
        return broken(cat("%", id, " nests two reductions over loop variable ", node.slot));
      }
      bound[id] |= uint64_t{1} << node.slot;
    }
    return {};
  }

  [[nodiscard]] Scalar type(Expr e) const { return program_.at(e).type; }

  const ExprProgram& program_;
  std::vector<uint32_t> param_types_;  // Scalar, or kNone
};

}  // namespace

Result<void> verify(const ExprProgram& program) { return Verifier(program).run(); }

}  // namespace quern
