// Identity: the same value, of any kind.
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_identity;
const OpDef op_identity = {
    .name = "Identity",
    .types = kAllTypes,
    .is_view = true,
    .infer = [](InferContext& c) -> Result<void> {
      c.set(0, c.type(0));
      pass_contents(c);
      return {};
    },
};

}  // namespace quern
