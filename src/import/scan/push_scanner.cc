#include "import/scan/push_scanner.h"

#include <algorithm>

namespace quern {

// Messages shorter than this are copied without a look inside: a payload may hide in none of
// them, and what else could be left out is small.
constexpr uint64_t kEnterFrom = 256;
constexpr size_t kPatchedLength = 5;

PushScanner::PushScanner(std::span<const ScanRule> schema, const ScanOptions& options)
    : schema_(schema), options_(options) {
  options_.payload_threshold = std::max<uint64_t>(options_.payload_threshold, 1);
  options_.max_skeleton = std::min<uint64_t>(options_.max_skeleton, UINT32_MAX);
  frames_.push_back({UINT64_MAX, 0, 0});
}

std::unexpected<Error> PushScanner::fail(Error error) {
  state_ = State::kFailed;
  append(error.message, " (at byte ");
  append(error.message, offset_);
  append(error.message, ')');
  return std::unexpected(std::move(error));
}

Result<void> PushScanner::reserve(uint64_t bytes) {
  if (bytes <= options_.max_skeleton && skeleton_.size() <= options_.max_skeleton - bytes) {
    return {};
  }
  return fail({ErrorCode::kLimit,
               cat("the structure of the file takes more than ", options_.max_skeleton, " bytes")});
}

void PushScanner::put_varint(uint64_t value) {
  for (; value >= 0x80; value >>= 7) skeleton_.push_back(static_cast<uint8_t>(value | 0x80));
  skeleton_.push_back(static_cast<uint8_t>(value));
}

Result<void> PushScanner::feed(std::span<const uint8_t> chunk) {
  ranges_.clear();
  for (size_t at = 0; at < chunk.size();) {
    if (state_ >= State::kCopy) {
      if (state_ == State::kFailed) return fail({ErrorCode::kInvalidModel, "scanning has failed"});
      const auto count = static_cast<size_t>(std::min<uint64_t>(left_, chunk.size() - at));
      if (state_ == State::kCopy) {
        const auto from = chunk.begin() + static_cast<ptrdiff_t>(at);
        skeleton_.insert(skeleton_.end(), from, from + static_cast<ptrdiff_t>(count));
      }
      take(count, at);
      at += count;
      continue;
    }
    if (offset_ == frames_.back().end) {
      return fail({ErrorCode::kInvalidModel, "a message ends inside a field"});
    }
    const uint8_t byte = chunk[at++];
    if (shift_ == 63 && byte > 1) {
      return fail({ErrorCode::kInvalidModel, "a varint is longer than 64 bits"});
    }
    ++offset_;
    varint_ |= static_cast<uint64_t>(byte & 0x7f) << shift_;
    shift_ += 7;
    if (byte < 0x80) {
      QUERN_TRY(varint_read());
      varint_ = shift_ = 0;
    }
  }
  return {};
}

Result<void> PushScanner::skip_payload(uint64_t count) {
  ranges_.clear();
  if (count > payload_ahead()) return fail({ErrorCode::kInvalidArgument, "no payload to skip"});
  if (count > 0) take(count, 0);
  return {};
}

Result<void> PushScanner::finish() {
  ranges_.clear();
  if (state_ == State::kTag && shift_ == 0 && frames_.size() == 1) return {};
  return fail({ErrorCode::kInvalidModel, "the file ends too early"});
}

/// A tag, a varint field's value, or a length is complete.
Result<void> PushScanner::varint_read() {
  switch (state_) {
    case State::kTag: {
      tag_ = static_cast<uint32_t>(varint_);
      const uint32_t wire = tag_ & 7;
      if (varint_ > UINT32_MAX || tag_ < 8) {
        return fail({ErrorCode::kInvalidModel, "an invalid protobuf tag"});
      }
      if (wire == 0) {
        state_ = State::kValue;
      } else if (wire == 2) {
        state_ = State::kLength;
      } else if (wire == 1 || wire == 5) {
        left_ = wire == 1 ? 8 : 4;
        if (left_ > frames_.back().end - offset_) {
          return fail({ErrorCode::kInvalidModel, "a message ends inside a field"});
        }
        QUERN_TRY(reserve(5 + left_));
        put_varint(tag_);
        state_ = State::kCopy;
      } else {
        return fail({ErrorCode::kInvalidModel, cat("unknown protobuf wire type ", wire)});
      }
      return {};
    }
    case State::kValue:
      QUERN_TRY(reserve(15));
      put_varint(tag_);
      put_varint(varint_);
      end_field();
      return {};
    default:
      return begin_bytes(varint_);
  }
}

Result<void> PushScanner::begin_bytes(uint64_t length) {
  const Frame& frame = frames_.back();
  if (length > frame.end - offset_) {
    return fail({ErrorCode::kInvalidModel,
                 cat("a field of ", length, " bytes reaches past the end of its message")});
  }
  ScanAction action = ScanAction::kCopy;
  uint8_t child = 0;
  for (const ScanRule& rule : schema_) {
    if (rule.message == frame.message && rule.field == tag_ >> 3) {
      action = rule.action;
      child = rule.child;
    }
  }
  if (action == ScanAction::kEnter && length >= std::min(kEnterFrom, options_.payload_threshold)) {
    if (frames_.size() > options_.max_depth) {
      return fail(
          {ErrorCode::kLimit, cat("messages are nested more than ", options_.max_depth, " deep")});
    }
    QUERN_TRY(reserve(5 + kPatchedLength));
    put_varint(tag_);
    frames_.push_back({offset_ + length, static_cast<uint32_t>(skeleton_.size()), child});
    skeleton_.resize(skeleton_.size() + kPatchedLength);
    state_ = State::kTag;
    return {};
  }
  left_ = length;
  if (action == ScanAction::kSkip) {
    state_ = State::kSkip;
  } else if (action == ScanAction::kPayload && length >= options_.payload_threshold) {
    QUERN_TRY(reserve(15));
    put_varint(uint64_t{kWeightField} << 3);
    put_varint(weights_.size());
    weights_.push_back({offset_, length, tag_ >> 3, static_cast<uint32_t>(skeleton_.size())});
    state_ = State::kPayload;
  } else {
    QUERN_TRY(reserve(length));
    QUERN_TRY(reserve(15 + length));
    put_varint(tag_);
    put_varint(length);
    state_ = State::kCopy;
  }
  if (left_ == 0) end_field();
  return {};
}

/// Moves over bytes of the running copy, skip or payload.
void PushScanner::take(uint64_t count, uint64_t chunk_offset) {
  if (state_ == State::kPayload) {
    ranges_.push_back({static_cast<uint32_t>(weights_.size() - 1), weights_.back().length - left_,
                       chunk_offset, count});
  }
  offset_ += count;
  left_ -= count;
  if (left_ == 0) end_field();
}

/// A field is complete, and so are the messages that end with it.
void PushScanner::end_field() {
  state_ = State::kTag;
  while (frames_.back().end == offset_) {
    const size_t at = frames_.back().length_at;
    const size_t length = skeleton_.size() - at - kPatchedLength;
    for (size_t i = 0; i < kPatchedLength; ++i) {
      const auto more = static_cast<uint8_t>(i + 1 < kPatchedLength ? 0x80 : 0);
      skeleton_[at + i] = static_cast<uint8_t>(length >> (7 * i) & 0x7f) | more;
    }
    frames_.pop_back();
  }
}

}  // namespace quern
