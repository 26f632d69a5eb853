// DepthToSpace and SpaceToDepth: how a pixel's place in its block and a channel are numbered.
#pragma once

#include "base/result.h"
#include "ir/op_context.h"
#include "ops/op_def.h"

namespace quern {

inline constexpr AttributeField kBlockAttributes[] = {{"blocksize", AttributeKind::kInt, true},
                                                      {"mode", AttributeKind::kString}};

/// The attribute `blocksize`, checked.
Result<int64_t> block_size(const Node& node);
/// Is `mode` CRD (places are numbered inside channels), not DCR (channels inside places)?
Result<bool> is_column_row_depth(const Node& node);
/// The deep channel of `channel` of `channels` and place `inner` of `places` in the block.
Result<Expr> block_channel(ExprContext& c, Expr channel, Expr channels, Expr inner, Expr places);

}  // namespace quern
