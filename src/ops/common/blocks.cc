#include "ops/common/blocks.h"

namespace quern {

Result<int64_t> block_size(const Node& node) {
  const int64_t size = node.int_or("blocksize", 0);
  if (size < 1 || size > 1 << 15) {
    return invalid_model(cat(node.describe(), ": blocksize is ", size));
  }
  return size;
}

Result<bool> is_column_row_depth(const Node& node) {
  const std::string_view mode = node.string_or("mode", "DCR");
  if (mode != "DCR" && mode != "CRD") {
    return invalid_model(cat(node.describe(), ": mode is '", mode, "', not 'DCR' or 'CRD'"));
  }
  return mode == "CRD";
}

Result<Expr> block_channel(ExprContext& c, Expr channel, Expr channels, Expr inner, Expr places) {
  QUERN_ASSIGN(bool depth_last, is_column_row_depth(c.node()));
  if (depth_last) return c.b.add(c.b.mul(channel, places), inner);
  return c.b.add(c.b.mul(inner, channels), channel);
}

}  // namespace quern
