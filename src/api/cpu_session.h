// Runs of a session on the CPU; a stub where no CPU kernels are linked in.
#pragma once

#include <memory>
#include <vector>

#include "api/session.h"

namespace quern {

class CpuSession {
 public:
  /// The backend for such a session; null where no CPU kernels are linked in.
  static std::unique_ptr<Backend> make_backend();
  static bool is_linked();

  /// `weights` are padded to 16 bytes and outlive this object, as do session and backend.
  CpuSession(Session& session, Backend& backend, std::vector<std::vector<uint8_t>>& weights,
             int threads);
  ~CpuSession();

  /// All outputs, in the graph's order. Inputs are those of Session::inputs, with their contents.
  Result<std::vector<HostValue>> run(const std::vector<RunInput>& inputs);
  /// Bytes of the last run's arenas, and its largest live set.
  [[nodiscard]] uint64_t arena_bytes() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace quern
