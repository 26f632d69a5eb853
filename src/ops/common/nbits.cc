#include "ops/common/nbits.h"

namespace quern {

Result<NBits> read_nbits(const Node& node) {
  NBits q;
  q.n = node.int_or("N", 0);
  q.k = node.int_or("K", 0);
  q.block = node.int_or("block_size", 0);
  q.bits = node.int_or("bits", 4);
  if (q.bits != 2 && q.bits != 4 && q.bits != 8) {
    return unsupported(cat(node.describe(), ": weights of ", q.bits, " bits, not 2, 4 or 8"));
  }
  if (q.n < 1 || q.n > INT32_MAX || q.k < 1 || q.k > INT32_MAX || q.block < 16 ||
      q.block > (1 << 20) || (q.block & (q.block - 1)) != 0) {
    return invalid_model(cat(node.describe(), ": N ", q.n, ", K ", q.k, ", block_size ", q.block));
  }
  if (const int64_t packed = node.int_or("weight_prepacked", 0); packed != 0) {
    return unsupported(cat(node.describe(), ": weight_prepacked is ", packed,
                           ", expected 0: these weights are packed for another engine"));
  }
  return q;
}

}  // namespace quern
