// The parts of a Scan node.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "ir/graph.h"

namespace quern {

/// Inputs are [sequence_lens (version 8)], states, scan inputs; the body's are states and slices of
/// the scan inputs. Outputs of both are states and scan outputs.
struct ScanForm {
  Graph* body = nullptr;
  bool is_batched = false;  ///< version 8: axis 0 is a batch, axis 1 is what is scanned
  size_t first = 0;         ///< input: the first state
  size_t states = 0;
  size_t scans = 0;
  std::vector<int64_t> input_axes;  ///< as given; one a scan input; batched: all 0
  std::vector<bool> input_reversed;
  std::vector<int64_t> output_axes;  ///< one a scan output
  std::vector<bool> output_reversed;

  [[nodiscard]] size_t outputs() const { return output_axes.size(); }
};

/// An error where attributes, inputs and body do not fit each other.
Result<ScanForm> scan_form(const Node& node);

}  // namespace quern
