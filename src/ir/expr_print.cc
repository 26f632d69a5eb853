#include <bit>

#include "ir/expr.h"
#include "ir/expr_ops.h"

namespace quern {
namespace {

void append_extents(std::string& out, const std::vector<Extent>& extents) {
  out += '[';
  for (size_t i = 0; i < extents.size(); ++i) {
    if (i != 0) out += ", ";
    if (extents[i].baked()) {
      append(out, extents[i].value);
    } else {
      out += cat("p", extents[i].param);
    }
  }
  out += ']';
}

void append_constant(std::string& out, Scalar type, int64_t bits) {
  if (type == Scalar::kF32) {
    append(out, static_cast<float>(std::bit_cast<double>(bits)));
  } else if (type == Scalar::kF64) {
    append(out, std::bit_cast<double>(bits));
  } else if (type == Scalar::kU64) {
    append(out, static_cast<uint64_t>(bits));
  } else if (type == Scalar::kBool) {
    append(out, bits != 0);
  } else {
    append(out, bits);
  }
}

}  // namespace

// One line an input, node and output:
//   domain [p0, 768]
//   in 0: f16[p0, 768]
//   %3: f32 = load 0[%1, %2]
//   out 0: f16 = %3
// Parameters print as p<slot>, loop variables as l<slot>; their values are not printed.
std::string print(const ExprProgram& program) {
  std::string out = "domain ";
  append_extents(out, program.domain);
  out += '\n';
  for (size_t i = 0; i < program.inputs.size(); ++i) {
    const ExprInput& input = program.inputs[i];
    out += cat(input.is_anchor ? "anchor " : "in ", i, ": ", name_of(input.dtype));
    append_extents(out, input.dims);
    out += '\n';
  }
  for (size_t id = 0; id < program.nodes.size(); ++id) {
    const ExprNode& node = program.nodes[id];
    out += cat("%", id, ": ", name_of(node.type), " = ");
    switch (node.op) {
      case ExprOp::kConst:
        append_constant(out, node.type, node.bits);
        break;
      case ExprOp::kParam:
        out += cat("p", node.slot);
        break;
      case ExprOp::kIndex:
        out += cat("index ", node.slot);
        break;
      case ExprOp::kLoop:
        out += cat("l", node.slot);
        break;
      default:
        out += name_of(node.op);
        break;
    }
    if (is_load(node.op)) out += cat(" ", node.slot);
    if (node.op == ExprOp::kNarrow) out += cat(" ", name_of(static_cast<DType>(node.slot)));
    if (is_reduction(node.op)) out += cat(" l", node.slot, " <");
    if (!is_leaf(node.op)) {
      out += is_load(node.op) ? "[" : " ";
      for (size_t k = 0; k < node.args.size(); ++k) {
        if (k != 0) out += is_reduction(node.op) ? ": " : ", ";
        out += cat("%", node.args[k].id);
      }
      if (is_load(node.op)) out += ']';
    }
    out += '\n';
  }
  for (size_t k = 0; k < program.outputs.size(); ++k) {
    out += cat("out ", k, ": ", name_of(program.outputs[k].dtype), " = %",
               program.outputs[k].value.id, "\n");
  }
  return out;
}

}  // namespace quern
