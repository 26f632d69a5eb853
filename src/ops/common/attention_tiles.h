// Attention of many queries by tiles: attention_tiles.wgsl and attention_merge.wgsl.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ops/common/attention_shape.h"
#include "shader/lower.h"

namespace quern {

/// Blocks of query rows and keys, rows and invocations that share them, whether tiles of f16 keys
/// and values have f32, and into how many slices the keys are cut, each by workgroups of its own.
struct AttentionTiles {
  int64_t bq = 16, bk = 32, rows = 1, lanes = 8;
  bool wide = false;
  int64_t slices = 1;
};
std::string name_of(const AttentionTiles& form);

/// What suits the shape; none for fewer query rows than a tile has, and where tiles have no room or
/// do not pay off.
std::optional<AttentionTiles> suited_attention_tiles(const LowerContext& ctx,
                                                     const AttentionShape& s);
/// What a tuner may try.
std::vector<AttentionTiles> attention_tiles_forms(const LowerContext& ctx, const AttentionShape& s);

/// Dispatches it: `call` has the bindings and parameters that attention's kernels have in common.
Result<void> dispatch_attention_tiles(LowerContext& ctx, const AttentionShape& s, KernelCall call,
                                      const AttentionTiles& form);
/// Makes the programs that another binding of the dims may take.
Result<void> prepare_attention_tiles(LowerContext& ctx, const AttentionShape& s,
                                     const KernelCall& call);

}  // namespace quern
