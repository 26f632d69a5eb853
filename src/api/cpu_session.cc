#include "api/cpu_session.h"

#ifdef QUERN_CPU

#include <algorithm>
#include <cstring>
#include <list>

#include "cpu/cpu_backend.h"

namespace quern {
namespace {

/// Plans kept: one a binding of dims and of the contents that the host reads.
constexpr size_t kMaxPlans = 16;

/// The tensors of an input from left to right; false where one has no contents.
bool append_leaves(const RunInput& input, std::vector<const HostTensor*>& leaves) {
  if (input.kind == Type::Kind::kTensor) {
    leaves.push_back(input.host.get());
    return input.host != nullptr || input.dtype == DType::kUndefined;
  }
  bool all = true;
  for (const RunInput& element : input.elements) all = append_leaves(element, leaves) && all;
  return all;
}

}  // namespace

struct CpuSession::State {
  struct Plan {
    std::string key;
    Segment segment;
    std::vector<std::vector<uint8_t>> arenas;
    std::vector<BufferRequest> buffers;  ///< without contents: what to free with the plan
  };

  Session& session;
  CpuBackend& backend;
  CpuMemory memory;
  std::unique_ptr<Parallel> parallel;
  std::list<Plan> plans;  ///< most recent first
  uint64_t arena_bytes = 0;

  void release(const Plan& plan) {
    backend.release(plan.segment.steps);
    memory.release(plan.buffers);
  }

  /// The requests without the bytes.
  static std::vector<BufferRequest> names_of(std::vector<BufferRequest> requests) {
    for (BufferRequest& r : requests) r.contents = {};
    return requests;
  }

  Result<void> run_segment(const Segment& segment, std::vector<std::vector<uint8_t>>& arenas,
                           const std::vector<const HostTensor*>& leaves) {
    for (const Port& port : segment.uploads) {
      QUERN_ASSIGN(uint8_t* to, memory.at(port.slice, arenas));
      const auto& bytes = leaves[port.index]->bytes;
      if (!bytes.empty()) std::memcpy(to, bytes.data(), bytes.size());
    }
    return memory.run(segment, backend, arenas, *parallel);
  }

  Result<HostTensor> take(const Port& port, std::vector<std::vector<uint8_t>>& arenas) {
    if (port.on_host) return port.host;
    HostTensor tensor;
    tensor.dtype = port.dtype;
    tensor.dims = port.dims;
    QUERN_ASSIGN(const uint8_t* bytes, memory.at(port.slice, arenas));
    tensor.bytes.assign(bytes, bytes + port.slice.bytes);
    return tensor;
  }

  Result<std::vector<std::shared_ptr<const HostTensor>>> take_reads(
      const Segment& segment, std::vector<std::vector<uint8_t>>& arenas) {
    std::vector<std::shared_ptr<const HostTensor>> out;
    for (const Port& port : segment.reads) {
      QUERN_ASSIGN(HostTensor tensor, take(port, arenas));
      out.push_back(std::make_shared<const HostTensor>(std::move(tensor)));
    }
    return out;
  }

  Result<std::vector<HostValue>> take_outputs(const std::vector<PortValue>& values,
                                              std::vector<std::vector<uint8_t>>& arenas) {
    std::vector<HostValue> out;
    for (const PortValue& value : values) {
      HostValue taken{.kind = value.kind, .tensor = {}, .elements = {}};
      if (value.kind == Type::Kind::kTensor) {
        QUERN_ASSIGN(taken.tensor, take(value.port, arenas));
      } else {
        taken.tensor.dtype = value.dtype;
        QUERN_ASSIGN(taken.elements, take_outputs(value.elements, arenas));
      }
      out.push_back(std::move(taken));
    }
    return out;
  }
};

std::unique_ptr<Backend> CpuSession::make_backend() { return std::make_unique<CpuBackend>(); }
bool CpuSession::is_linked() { return true; }

CpuSession::CpuSession(Session& session, Backend& backend,
                       std::vector<std::vector<uint8_t>>& weights, int threads) {
  std::vector<std::span<uint8_t>> spans(weights.begin(), weights.end());
  state_ = std::make_unique<State>(session, static_cast<CpuBackend&>(backend),
                                   CpuMemory(std::move(spans)), make_parallel(threads),
                                   std::list<State::Plan>(), uint64_t{0});
}

CpuSession::~CpuSession() = default;

uint64_t CpuSession::arena_bytes() const { return state_->arena_bytes; }

Result<std::vector<HostValue>> CpuSession::run(const std::vector<RunInput>& inputs) {
  State& s = *state_;
  QUERN_TRY(s.session.check_inputs(inputs));
  std::vector<const HostTensor*> leaves;
  for (const RunInput& input : inputs) {
    if (!append_leaves(input, leaves)) return invalid_argument("an input has no contents");
  }
  const std::string key = s.session.key_of(inputs);
  for (auto it = s.plans.begin(); it != s.plans.end(); ++it) {
    if (it->key != key) continue;
    s.plans.splice(s.plans.begin(), s.plans, it);
    QUERN_TRY(s.run_segment(it->segment, it->arenas, leaves));
    return s.take_outputs(it->segment.outputs, it->arenas);
  }
  QUERN_ASSIGN(std::unique_ptr<Walk> walk, s.session.start(inputs));
  std::vector<std::shared_ptr<const HostTensor>> values;
  // Plans of a run that waits for the host depend on what it read: they are used once.
  std::list<State::Plan> passing;
  std::vector<std::vector<uint8_t>> arenas;
  s.arena_bytes = 0;
  const auto finish = [&](Result<std::vector<HostValue>> result) {
    for (const State::Plan& plan : passing) s.release(plan);
    return result;
  };
  while (true) {
    auto message = walk->advance(std::move(values));
    if (!message) return finish(std::unexpected(std::move(message).error()));
    auto prepared = s.memory.prepare(*message, s.backend, *s.parallel);
    s.backend.release(message->segment.once);
    passing.push_back(
        {key, std::move(message->segment), {}, State::names_of(std::move(message->buffers))});
    const Segment& segment = passing.back().segment;
    arenas.emplace_back(segment.arena_bytes);
    s.arena_bytes += segment.arena_bytes;
    if (prepared) prepared = s.run_segment(segment, arenas, leaves);
    if (!prepared) return finish(std::unexpected(std::move(prepared).error()));
    if (segment.done) {
      auto outputs = s.take_outputs(segment.outputs, arenas);
      if (passing.size() > 1) return finish(std::move(outputs));
      passing.back().arenas = std::move(arenas);
      s.plans.splice(s.plans.begin(), passing);
      if (s.plans.size() > kMaxPlans) {
        s.release(s.plans.back());
        s.plans.pop_back();
      }
      return outputs;
    }
    auto read = s.take_reads(segment, arenas);
    if (!read) return finish(std::unexpected(std::move(read).error()));
    values = *std::move(read);
  }
}

}  // namespace quern

#else

namespace quern {

struct CpuSession::State {};

std::unique_ptr<Backend> CpuSession::make_backend() { return nullptr; }
bool CpuSession::is_linked() { return false; }
CpuSession::CpuSession(Session&, Backend&, std::vector<std::vector<uint8_t>>&, int) {}
CpuSession::~CpuSession() = default;
uint64_t CpuSession::arena_bytes() const { return 0; }
Result<std::vector<HostValue>> CpuSession::run(const std::vector<RunInput>&) {
  return unsupported("this build has no CPU kernels");
}

}  // namespace quern

#endif
