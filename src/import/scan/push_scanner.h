// A push scanner for protobuf files: keeps the structure, passes on the large payloads.
//
// A file arrives in chunks of any size. Messages that a schema names are entered, and everything
// but the large payloads is copied to a *skeleton*, itself a valid protobuf message. A payload
// becomes a *weight*: the caller learns which bytes of its own chunk belong to it, and while one
// is running need not hand its bytes over at all. Offsets are 64-bit; lengths inside the skeleton,
// unknown when a message starts, are 5-byte varints patched when it ends.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"

namespace quern {

/// In the skeleton, the varint field that stands for a payload; its value is the weight's number.
inline constexpr uint32_t kWeightField = (1u << 29) - 1;

/// What becomes of a bytes field. Others are copied.
enum class ScanAction : uint8_t {
  kCopy,
  kSkip,     ///< left out of the skeleton
  kEnter,    ///< a message of kind `child`
  kPayload,  ///< a weight where it is large, else copied
};

/// One line of a schema. Message kind 0 is the file itself; fields without a line are copied.
struct ScanRule {
  uint8_t message;
  uint8_t field;
  ScanAction action;
  uint8_t child = 0;
};

struct ScanOptions {
  uint64_t payload_threshold = 65536;          ///< payloads of at least so many bytes are weights
  uint64_t max_skeleton = uint64_t{64} << 20;  ///< bytes, below 4 GiB; kLimit past it
  uint32_t max_depth = 128;                    ///< of messages entered (three a subgraph)
};

/// A weight found in the file.
struct ScannedWeight {
  uint64_t file_offset = 0;
  uint64_t length = 0;
  uint32_t field = 0;         ///< the payload's field number
  uint32_t skeleton_end = 0;  ///< where its kWeightField ends: tells it from a forged one
};

/// Bytes [chunk_offset, chunk_offset + length) of a chunk are a weight's, from `weight_offset`.
struct WeightRange {
  uint32_t weight = 0;
  uint64_t weight_offset = 0;
  uint64_t chunk_offset = 0;
  uint64_t length = 0;
};

class PushScanner {
 public:
  PushScanner(std::span<const ScanRule> schema, const ScanOptions& options);

  /// Takes the next bytes of the file. An error (kInvalidModel with the byte's offset, or kLimit)
  /// is final.
  [[nodiscard]] Result<void> feed(std::span<const uint8_t> chunk);
  /// So many of the coming bytes are payload: `skip_payload` may stand for feeding them.
  [[nodiscard]] uint64_t payload_ahead() const { return state_ == State::kPayload ? left_ : 0; }
  /// Passes over `count` <= payload_ahead() bytes, which make one range with chunk_offset 0.
  [[nodiscard]] Result<void> skip_payload(uint64_t count);
  /// The file is complete; an error where it ends inside a field.
  [[nodiscard]] Result<void> finish();

  /// The weight bytes of the latest feed or skip_payload.
  [[nodiscard]] const std::vector<WeightRange>& ranges() const { return ranges_; }
  /// Weights found so far, by number.
  [[nodiscard]] const std::vector<ScannedWeight>& weights() const { return weights_; }
  /// The structure; complete after finish().
  [[nodiscard]] std::span<const uint8_t> skeleton() const { return skeleton_; }
  [[nodiscard]] std::vector<uint8_t> take_skeleton() { return std::move(skeleton_); }
  /// The number of bytes taken.
  [[nodiscard]] uint64_t offset() const { return offset_; }

 private:
  enum class State : uint8_t { kTag, kValue, kLength, kCopy, kSkip, kPayload, kFailed };
  struct Frame {
    uint64_t end;        // file offset
    uint32_t length_at;  // skeleton offset of its length
    uint8_t message;
  };

  Result<void> varint_read();
  Result<void> begin_bytes(uint64_t length);
  void take(uint64_t count, uint64_t chunk_offset);
  void end_field();
  Result<void> reserve(uint64_t bytes);
  void put_varint(uint64_t value);
  std::unexpected<Error> fail(Error error);

  std::span<const ScanRule> schema_;
  ScanOptions options_;
  State state_ = State::kTag;
  uint64_t offset_ = 0;
  uint64_t varint_ = 0;
  uint32_t shift_ = 0;  // bits of varint_ read
  uint32_t tag_ = 0;
  uint64_t left_ = 0;  // bytes of the running copy, skip or payload
  std::vector<Frame> frames_;
  std::vector<uint8_t> skeleton_;
  std::vector<ScannedWeight> weights_;
  std::vector<WeightRange> ranges_;
};

}  // namespace quern
