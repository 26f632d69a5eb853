// The walk over a graph in one binding: shapes are numbers, branches are chosen, loops repeat,
// and every node for the device becomes steps.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "ir/graph.h"
#include "ops/op_def.h"
#include "passes/placement.h"
#include "plan/plan.h"

namespace quern {

/// Whose memory a Storage is in.
enum class StorageKind : uint8_t {
  kTemporary,  ///< the segment's arena
  kWeight,     ///< the model's weight table
  kConstant,   ///< a constant pool
  kLoaded,     ///< made once from constants: persistent, or freed after the load program
};

struct StorageInfo {
  StorageKind kind = StorageKind::kTemporary;
  uint64_t bytes = 0;
  uint32_t index = 0;           ///< weight number, or segment number of a temporary
  bool planned = false;         ///< `slice` is final
  bool used_by_run = false;     ///< kLoaded: read by a step of a run
  uint32_t first = UINT32_MAX;  ///< live range in steps of its segment (or of the load program)
  uint32_t last = 0;
  Slice slice;
  const Value* value = nullptr;  ///< whose it is, for messages
  /// Of a window (docs/large-tensors.md): the storage that it is a range of, and where it begins.
  Storage parent;
  uint64_t offset = 0;
};

/// What a value is during the walk. Contents may be on the host, on the device, or both.
struct RunTensor {
  TensorInfo info;
  std::shared_ptr<const HostTensor> host;
  Storage storage;
  /// Of a container (docs/sequences.md), which is a list of references.
  std::shared_ptr<const std::vector<RunTensor>> elements;
  Type::Kind kind = Type::Kind::kTensor;

  [[nodiscard]] bool on_device() const { return storage.id != UINT32_MAX; }
  /// Its own contents are somewhere: else it is a graph input or weight not asked for yet.
  [[nodiscard]] bool is_held() const { return host || elements || on_device(); }
};

/// An input of a run: a tensor, or a tree of them.
struct RunInput {
  Type::Kind kind = Type::Kind::kTensor;
  DType dtype =
      DType::kUndefined;  ///< of a container: its innermost elements'; undefined: left out
  Dims dims;
  std::shared_ptr<const HostTensor> host;  ///< contents, where the host needs them
  std::vector<RunInput> elements;          ///< of a container
  uint32_t leaf = 0;                       ///< number of a tensor among all of the run's inputs
};

/// A node with everything that lowering needs. For a fused node `body` holds the frames of the
/// inner nodes, in order, and `inner` their index by node id.
struct LowerJob {
  OpFrame frame;
  std::vector<Storage> inputs;  ///< absent inputs have no storage
  std::vector<Storage> outputs;
  std::vector<OpFrame> body;  ///< empty unless the node is a fusion
};

/// Axes whose extents are numbers in every binding, by the type found at load.
uint32_t baked_axes(const Type& type, size_t rank);

class Tuning;
class Walk;

/// Turns jobs into steps: for the GPU (plan/gpu_backend.h) or the CPU (cpu/cpu_backend.h).
class Backend {
 public:
  virtual ~Backend() = default;
  virtual Result<void> lower(const LowerJob& job, Walk& walk) = 0;
  /// Is this a node that it can compute in no form? A model that has one is refused at load.
  [[nodiscard]] virtual bool lacks(const Node& node, const OpDef& def) const = 0;
  /// Null where kernels have no forms to choose from.
  virtual Tuning* tuning() { return nullptr; }
  /// Programs not yet handed out.
  virtual std::vector<ProgramEntry> take_programs() { return {}; }
  /// Steps that write f32 elements as f16, for `node`.
  virtual Result<void> narrow(const Node& node, Storage from, Storage to, int64_t count,
                              Walk& walk);
};

/// By Value::id: results of load programs of one graph, and where they are.
using LoadedValues = std::map<uint32_t, Slice>;

/// A node that is in no graph, made during a walk for a part of another one's work.
struct MadeNode {
  Node node;
  Value output;
};

/// What all walks of a session share.
struct SessionMemory {
  std::map<std::string, std::unique_ptr<MadeNode>> made;  ///< jobs keep pointers to them
  std::map<ConstantPtr, Slice> constants;         ///< inline constants that are on the device
  std::map<ConstantPtr, Slice> narrow_constants;  ///< the same, as f16
  std::map<uint32_t, Slice> narrow_weights;       ///< by weight number: what was made of it
  uint32_t next_constant_pool = 0;
  uint32_t next_persistent = 0;
};

/// Bounds of a walk: a model file is hostile.
struct WalkLimits {
  uint64_t arena_bytes = uint64_t{4} << 30;
  uint64_t buffer_bytes = UINT64_MAX;  ///< of one buffer, and so of a tensor; 256-byte aligned
  uint64_t host_bytes = uint64_t{256} << 20;  ///< values computed on the host
  uint32_t steps = 1u << 20;
  uint32_t loop_iterations = 1u << 16;
  uint32_t depth = 32;
};

/// A node that ran on the host, for the report.
struct HostNode {
  uint32_t node = 0;
  uint64_t elements = 0;
};

/// A node that made steps for the device, each time it did (plan/work.h).
struct DeviceNode {
  uint32_t node = 0;
  uint64_t flops = 0;
  uint64_t bytes = 0;
};

class Walk {
 public:
  /// All arguments outlive the walk.
  Walk(Graph& graph, const Placement& placement, Backend& backend, SessionMemory& memory,
       LoadedValues& loaded, const WalkLimits& limits);

  /// Begins a run; the inputs are those of the graph in order (nothing where it has a default).
  Result<void> start(std::vector<RunInput> inputs);
  /// Goes on until done or until the host needs a value; `read` are the values asked for by the
  /// last segment, in its order.
  Result<PlanMessage> advance(std::vector<std::shared_ptr<const HostTensor>> read);

  /// Types and dims of the values that the last segment asked for.
  [[nodiscard]] std::vector<TensorInfo> requested() const;
  /// Which node waits for them, in words; empty where the walk waits for nothing.
  [[nodiscard]] std::string waiting() const;
  [[nodiscard]] const std::vector<HostNode>& host_nodes() const { return host_nodes_; }
  [[nodiscard]] const std::vector<DeviceNode>& device_nodes() const { return device_nodes_; }
  [[nodiscard]] Graph& graph() const { return graph_; }

  // For backends.
  [[nodiscard]] const StorageInfo& info(Storage s) const { return storages_[s.id]; }
  /// Are the present steps those of a load program?
  [[nodiscard]] bool loading() const { return loading_; }
  /// Memory for the node being lowered.
  Result<Storage> temporary(uint64_t bytes);
  /// A constant on the device with these bytes, for this plan.
  Storage table(const std::vector<uint8_t>& bytes);
  /// Adds a step over whole storages; `slices` of the step are filled in when memory is planned.
  Result<void> emit(Step step, std::vector<Storage> storages, std::span<const uint32_t> params);
  /// A range of a storage; the offset is a multiple of 256. Equal ranges give equal storages.
  Storage window(Storage whole, uint64_t offset, uint64_t bytes);
  /// What the storage is, in words: "tensor 'x'" or "a temporary".
  [[nodiscard]] std::string describe(Storage s) const;
  /// How far the present list of steps has come; and back to there.
  struct Mark {
    size_t steps = 0;
    size_t params = 0;
  };
  [[nodiscard]] Mark mark() const;
  void rewind(Mark mark);
  /// Copies bytes; offsets and size are multiples of 4.
  Result<void> emit_copy(uint32_t node, Storage from, Storage to, std::array<uint64_t, 2> offsets,
                         uint64_t bytes);

 private:
  /// A graph being walked: the main graph, or the body of a control node.
  struct Frame {
    Graph* graph = nullptr;
    size_t next = 0;  ///< the node to visit
    Node* owner = nullptr;
    int64_t iteration = 0;  ///< of a Loop
    int64_t trips = 0;
    std::vector<std::vector<RunTensor>> collected;  ///< scan outputs, one entry an iteration
  };
  struct PendingStep {
    Step step;
    std::vector<Storage> storages;
    std::array<uint64_t, 2> copy_offsets = {0, 0};  ///< of copies: in source and target
    uint64_t copy_bytes = 0;
  };
  /// A pool of constants that goes out with the next message.
  struct Pool {
    uint32_t index = UINT32_MAX;
    std::vector<uint8_t> bytes;
  };
  /// A graph input that steps read.
  struct Upload {
    uint32_t leaf = 0;
    Storage storage;
    DType dtype = DType::kUndefined;
    Dims dims;
  };
  enum class Progress : uint8_t { kNext, kSuspend, kEntered };
  using Elements = std::vector<RunTensor>;

  // walk.cc
  Result<PlanMessage> go_on(std::vector<std::shared_ptr<const HostTensor>> read);
  /// After an error: takes back what the session would believe sent.
  void give_up();
  Result<RunTensor> given(const RunInput& input, bool on_host);
  Result<Progress> visit(Node& node);
  Result<OpFrame> frame_of(const Node& node, const OpDef& def,
                           const std::vector<const RunTensor*>& inputs, bool all_host);
  Result<bool> fetch(const Value* value);  ///< false: asked for, the walk must wait
  Result<void> run_on_host(const Node& node, const OpDef& def);
  Result<void> run_on_device(const Node& node, const OpDef& def);
  Result<void> alias(const Node& node, const OpDef& def);
  Result<std::vector<OpFrame>> frames_of_body(const Node& node, const OpFrame& outer);
  Result<std::vector<const RunTensor*>> operands(const Node& node);
  Result<RunTensor*> tensor(const Value* value);
  Result<Storage> device_storage(const Value* value);
  Result<Storage> weight_storage(const Value& value, uint64_t bytes);
  /// The elements as they are, or f32 as f16.
  static std::vector<uint8_t> stored_bytes(const HostTensor& host, bool narrow);
  Result<Storage> upload_host(RunTensor& tensor, std::string_view name);
  /// The value as it is now, held: what another value or a list may refer to.
  Result<RunTensor> reference(const Value* value);
  void set(const Value* value, RunTensor tensor);
  Result<void> set_host(RunTensor& tensor, HostTensor host);

  // walk_control.cc
  Result<Progress> visit_if(Node& node);
  Result<Progress> visit_loop(Node& node);
  Result<Progress> leave(Frame& frame);
  Result<void> begin_iteration(Frame& frame, const RunTensor& condition,
                               std::vector<RunTensor> carried);
  Result<void> finish_loop(Frame& frame, std::vector<RunTensor> carried);

  // walk_sequence.cc
  Result<Progress> visit_sequence(Node& node);
  Result<RunTensor> sequence_at(Node& node);
  Result<RunTensor> changed_sequence(Node& node);
  Result<RunTensor> split_to_sequence(Node& node);
  Result<RunTensor> concat_from_sequence(Node& node);
  Result<RunTensor> optional_element(Node& node);
  Result<std::shared_ptr<const Elements>> elements_of(const Node& node, size_t input);
  Result<int64_t> position(const Node& node, size_t input, int64_t count, bool may_append);

  // walk_map.cc
  Result<RunTensor> zip_map(Node& node);
  Result<RunTensor> dict_vectorizer(Node& node);
  Result<RunTensor> cast_map(Node& node);
  /// Keys (on the host) and values of input 0.
  Result<std::shared_ptr<const Elements>> map_of(const Node& node);
  /// Some values as a row; 0, or "", where a place is -1.
  Result<RunTensor> picked(const Node& owner, const RunTensor& values,
                           const std::vector<int64_t>& places);

  // walk_pieces.cc
  /// The same elements under other dims.
  Result<void> reshape(RunTensor& tensor, Dims dims);
  /// The parts one after the other along an axis; `stacked`: each is one index of a new axis.
  Result<RunTensor> join(const Node& owner, Elements parts, int64_t axis, bool stacked);
  /// A range of a tensor along an axis.
  Result<RunTensor> cut(const Node& owner, RunTensor& data, size_t axis, int64_t start,
                        int64_t length);
  /// A node made for the occasion; `number` is a Concat's axis or the type that a Cast makes.
  Result<RunTensor> run_made(const Node& owner, std::string_view op, int64_t number,
                             std::span<RunTensor> operands, uint32_t host_operands);

  // walk_memory.cc
  Storage add_storage(StorageKind kind, uint64_t bytes);
  Storage add_planned(StorageKind kind, uint64_t bytes, Slice slice);
  /// A tensor lies in one buffer.
  [[nodiscard]] Result<void> check_size(const Value& value, uint64_t bytes) const;
  Slice add_constant(Pool& pool, const std::vector<uint8_t>& bytes);
  void touch(Storage s);
  void keep_to_end(Storage s);
  void keep_environment();
  Result<PlanMessage> close_segment(bool done);
  Result<void> plan_run(Segment& segment);
  void plan_once(std::vector<BufferRequest>& requests);
  std::vector<Step> finish_steps(std::vector<PendingStep>& pending);
  Port port_of(const RunTensor& tensor, uint32_t index) const;
  PortValue ports_of(const RunTensor& tensor, uint32_t& leaf) const;
  void keep_to_end(const RunTensor& tensor);
  void flush_pool(Pool& pool, bool plan_owned, std::vector<BufferRequest>& requests);

  Graph& graph_;
  const Placement& placement_;
  Backend& backend_;
  SessionMemory& memory_;
  LoadedValues& results_;
  WalkLimits limits_;

  std::vector<RunInput> inputs_;
  std::vector<RunTensor> environment_;  ///< by Value::id
  std::vector<Frame> frames_;
  std::vector<StorageInfo> storages_;
  std::map<std::array<uint64_t, 3>, Storage> windows_;    ///< by parent, offset and bytes
  std::vector<PendingStep> steps_;                        ///< of the present segment
  std::vector<PendingStep> once_;                         ///< of the load program
  std::vector<std::pair<const Value*, Storage>> loaded_;  ///< what the load program makes
  std::vector<std::pair<uint32_t, Storage>> narrowed_;    ///< weights that it makes f16
  std::vector<uint8_t> params_;
  std::vector<Upload> uploads_;
  std::vector<const Value*> requests_;  ///< values that the host waits for
  Pool session_pool_;
  Pool plan_pool_;
  std::vector<HostNode> host_nodes_;
  std::vector<DeviceNode> device_nodes_;
  uint64_t host_bytes_ = 0;
  uint32_t segment_ = 0;
  uint32_t total_steps_ = 0;
  std::optional<uint32_t>
      lowered_;  ///< whose steps these are: of a fusion its own, not the anchor's
  bool loading_ = false;
};

}  // namespace quern
