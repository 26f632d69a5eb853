// Runs one operator through its expansion into simpler ones, for tests: every node on the host.
#pragma once

#include "ops/op_testing.h"

namespace quern::optest {

/// The outputs of a node, expanded as far as definitions go.
Result<std::vector<HostTensor>> run_expanded(const OpCall& call,
                                             const std::vector<std::optional<HostTensor>>& inputs);
/// Their texts, separated by "; ", or the error's.
std::string expanded_text(const OpCall& call, const std::vector<std::optional<HostTensor>>& inputs);

}  // namespace quern::optest
