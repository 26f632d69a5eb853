// The plan: what one binding of a model does on a device, as data.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "ir/graph.h"
#include "ir/tensor.h"
#include "shader/lower.h"

namespace quern {

/// The buffers that slices refer to.
enum class BufferKind : uint8_t {
  kArena = 0,       ///< index: the segment of the run; temporaries, inputs and outputs
  kWeight = 1,      ///< index: the model's weight table
  kConstants = 2,   ///< index: number of a constant pool, one a message that needs one
  kPersistent = 3,  ///< index: number; results of load programs, kept for the session
  kOnce = 4,        ///< index: number; temporaries of a load program, freed after it
};

struct Slice {
  BufferKind buffer = BufferKind::kArena;
  uint32_t index = 0;
  uint64_t offset = 0;
  uint64_t bytes = 0;
};

enum class StepKind : uint8_t { kDispatch = 0, kCopy = 1 };

/// One command. Barriers are WebGPU's own, between dispatches.
struct Step {
  StepKind kind = StepKind::kDispatch;
  uint32_t node = 0;           ///< Node::id, for the report and profiles
  uint32_t program = 0;        ///< session-wide program number
  std::vector<Slice> slices;   ///< bindings in order; for a copy: source, target
  uint32_t params_offset = 0;  ///< bytes into the params blob, a multiple of 256
  uint32_t params_bytes = 0;   ///< 0: the program has no uniform
  std::array<uint32_t, 3> workgroups = {1, 1, 1};
};

/// A tensor that goes in or out.
struct Port {
  uint32_t index = 0;  ///< leaf of the inputs or outputs (docs/sequences.md); of a read: its place
  DType dtype = DType::kUndefined;
  Dims dims;
  bool on_host = false;
  Slice slice;      ///< where not on the host
  HostTensor host;  ///< where on the host
};

/// A value that goes out: a tensor, or a container of such.
struct PortValue {
  Type::Kind kind = Type::Kind::kTensor;
  DType dtype = DType::kUndefined;  ///< of a container: its innermost elements'
  Port port;                        ///< of a tensor
  std::vector<PortValue> elements;
};

/// One list of commands between two decisions of the host.
struct Segment {
  std::vector<Port> uploads;  ///< inputs to write before the steps
  std::vector<Step> once;     ///< steps of load programs: run the first time only
  std::vector<Step> steps;
  std::vector<Port> reads;         ///< values that the host needs to go on
  std::vector<PortValue> outputs;  ///< all of the graph's in the last segment, else none
  std::vector<uint8_t> params;     ///< uniform data, 256-byte slices
  uint64_t arena_bytes = 0;
  /// Where that is not 0, the arena is several buffers of so many bytes (the last one shorter), and
  /// offsets count through them; no tensor lies across a border.
  uint64_t arena_buffer_bytes = 0;
  uint64_t live_bytes = 0;  ///< largest live set: the lower bound of arena_bytes
  bool done = false;        ///< the last of the run
};

/// A program as it first occurs.
struct ProgramEntry {
  uint32_t number = 0;
  std::string label;
  ShaderText text;
};

/// Memory that the session has to make before a segment runs.
struct BufferRequest {
  BufferKind kind = BufferKind::kConstants;
  uint32_t index = 0;
  uint64_t bytes = 0;
  bool plan_owned = false;        ///< freed with the plan of this segment, not with the session
  std::vector<uint8_t> contents;  ///< constant pools
};

/// Everything the runtime gets from one call: what is new for the session, and a segment.
struct PlanMessage {
  std::vector<ProgramEntry> programs;
  std::vector<BufferRequest> buffers;
  Segment segment;
};

/// The transferable form: docs/plan-format.md. All integers are little-endian u32 words, 64-bit
/// ones as two words, strings and blobs padded to words.
std::vector<uint8_t> serialize(const PlanMessage& message);

/// Readable text of a segment: one line a step.
std::string print(const Segment& segment);

}  // namespace quern
