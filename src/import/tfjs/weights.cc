#include "import/tfjs/weights.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace quern::tfjs {
namespace {

using tensorflow::Emitter;
using tensorflow::Tensor;

constexpr size_t kMostShards = 100'000;
/// Ranges that are closer than this are read as one.
constexpr uint64_t kGap = 4096;

DType dtype_of(std::string_view name) {
  if (name == "float32") return DType::kF32;
  if (name == "float16") return DType::kF16;
  if (name == "int32") return DType::kI32;
  if (name == "uint8") return DType::kU8;
  if (name == "uint16") return DType::kU16;
  if (name == "bool") return DType::kBool;
  return DType::kUndefined;
}

Result<Weight> read_weight(const Json& json) {
  Weight out;
  out.name = text_of(member(json, "name"));
  out.dtype = text_of(member(json, "dtype"));
  for (const Json& dim : items_of(member(json, "shape"))) {
    out.dims.push_back(integer_of(dim).value_or(-1));
  }
  const auto count = element_count(out.dims);
  if (!count) return invalid_model(cat("weight '", out.name, "': ", count.error().message));
  if (out.dtype == "string" || out.dtype == "complex64") {
    // What they hold is not read; where they lie matters to those behind. Strings say how long they
    // are only in their bytes.
    out.bytes = out.dtype == "string" ? 0 : static_cast<uint64_t>(*count) * 8;
    return out;
  }
  const Json& quantization = member(json, "quantization");
  std::string_view stored = out.dtype;
  if (quantization.is_object()) {
    stored = text_of(member(quantization, "dtype"));
    out.scale = number_of(member(quantization, "scale"));
    out.minimum = number_of(member(quantization, "min"));
    if (stored != "float16" && stored != "uint8" && stored != "uint16") {
      return unsupported(cat("weight '", out.name, "' is quantised as '", stored, "'"));
    }
    if (stored != "float16" && (!out.scale || !out.minimum)) {
      return invalid_model(cat("weight '", out.name, "' is quantised without scale and minimum"));
    }
  }
  out.stored = dtype_of(stored);
  if (out.stored == DType::kUndefined || dtype_of(out.dtype) == DType::kUndefined) {
    return unsupported(cat("weight '", out.name, "' is of type '", out.dtype, "'"));
  }
  out.bytes = byte_size(out.stored, static_cast<uint64_t>(*count));
  return out;
}

}  // namespace

Result<void> Weights::read_manifest(const Json& manifest) {
  for (const Json& json : items_of(manifest)) {
    Group group{shards_.size(), 0, weights_.size(), 0};
    for (const Json& path : items_of(member(json, "paths"))) {
      const std::string_view name = text_of(path);
      if (!is_inside_folder(name)) {
        return invalid_model(cat("the shard '", name, "' is outside of the model's folder"));
      }
      shards_.emplace_back(name);
    }
    if (shards_.size() > kMostShards) return limit_exceeded(cat(shards_.size(), " shards"));
    bool after_strings = false;
    for (const Json& item : items_of(member(json, "weights"))) {
      QUERN_ASSIGN(Weight weight, read_weight(item));
      if (after_strings) {
        return unsupported(cat("weight '", weight.name, "' lies behind strings"));
      }
      after_strings = weight.dtype == "string" && *element_count(weight.dims) > 0;
      if (!by_name_.emplace(weight.name, weights_.size()).second) {
        return invalid_model(cat("two weights of the name '", weight.name, "'"));
      }
      weights_.push_back(std::move(weight));
    }
    group.shards = shards_.size() - group.first_shard;
    group.weights = weights_.size() - group.first_weight;
    groups_.push_back(group);
  }
  return {};
}

Result<void> Weights::place(const std::vector<uint64_t>& sizes) {
  if (sizes.size() != shards_.size()) return internal_error("sizes of other shards");
  for (const Group& group : groups_) {
    size_t shard = group.first_shard;
    const size_t end = shard + group.shards;
    uint64_t at = 0;
    for (size_t i = 0; i < group.weights; ++i) {
      Weight& weight = weights_[group.first_weight + i];
      uint64_t left = weight.bytes;
      while (left > 0) {
        if (shard >= end) {
          return invalid_model(
              cat("the shards of weight '", weight.name, "' end ", left, " bytes too early"));
        }
        const uint64_t here = std::min(left, sizes[shard] - at);
        if (here > 0) weight.pieces.push_back({shard, at, here});
        at += here;
        left -= here;
        if (at == sizes[shard]) {
          ++shard;
          at = 0;
        }
      }
    }
  }
  return {};
}

Result<std::vector<ByteRange>> Weights::wanted(const ConvertOptions& options) {
  uint64_t total = 0;
  for (size_t i = 0; i < weights_.size(); ++i) {
    const Weight& weight = weights_[i];
    if (weight.stored == DType::kUndefined) continue;
    const auto width = static_cast<uint64_t>(bit_width(weight.stored)) / 8;
    uint64_t at = 0;
    for (const Piece& piece : weight.pieces) {
      if (weight.bytes < options.inline_below) {
        wanted_.push_back({i, at, piece});
        total += piece.length;
      } else {
        // What of an element lies in this shard, and the rest in others: at most at both ends.
        const uint64_t head = std::min((width - at % width) % width, piece.length);
        const uint64_t tail = head == piece.length ? 0 : (at + piece.length) % width;
        if (head > 0) wanted_.push_back({i, at, {piece.shard, piece.offset, head}, true});
        if (tail > 0) {
          wanted_.push_back({i,
                             at + piece.length - tail,
                             {piece.shard, piece.offset + piece.length - tail, tail},
                             true});
        }
      }
      at += piece.length;
    }
  }
  if (total > options.memory_limit) {
    return limit_exceeded(cat("weights take more than ", options.memory_limit, " bytes"));
  }
  std::ranges::sort(wanted_, [](const Wanted& a, const Wanted& b) {
    return std::pair(a.piece.shard, a.piece.offset) < std::pair(b.piece.shard, b.piece.offset);
  });
  size_t shard = SIZE_MAX;
  for (const Wanted& one : wanted_) {
    const bool joins = !ranges_.empty() && shard == one.piece.shard &&
                       one.piece.offset <= ranges_.back().offset + ranges_.back().length + kGap;
    if (!joins) {
      shard = one.piece.shard;
      ranges_.push_back({one.piece.offset, 0, shards_[shard]});
    }
    ByteRange& range = ranges_.back();
    range.length = std::max(range.length, one.piece.offset + one.piece.length - range.offset);
  }
  return ranges_;
}

Result<void> Weights::take(std::span<const std::span<const uint8_t>> bytes) {
  if (bytes.size() != ranges_.size()) return internal_error("other ranges were asked for");
  size_t range = 0;
  for (const Wanted& one : wanted_) {
    const auto holds = [&](const ByteRange& r) {
      return r.file == shards_[one.piece.shard] && one.piece.offset >= r.offset &&
             one.piece.offset + one.piece.length <= r.offset + r.length;
    };
    while (range < ranges_.size() && !holds(ranges_[range])) ++range;
    if (range == ranges_.size()) return internal_error("a range that was not asked for");
    const uint64_t skip = one.piece.offset - ranges_[range].offset;
    if (skip + one.piece.length > bytes[range].size()) {
      return invalid_model(cat("the shard '", shards_[one.piece.shard], "' ends early"));
    }
    const auto part =
        bytes[range].subspan(static_cast<size_t>(skip), static_cast<size_t>(one.piece.length));
    Weight& weight = weights_[one.weight];
    if (!one.of_element) {
      weight.contents.resize(static_cast<size_t>(weight.bytes));
      std::memcpy(weight.contents.data() + one.at, part.data(), part.size());
      continue;
    }
    for (size_t i = 0; i < part.size(); ++i) split_bytes_[{one.weight, one.at + i}] = part[i];
  }
  return {};
}

const Weight* Weights::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &weights_[found->second];
}

std::string Weights::find_below(std::string_view owner, std::string_view name) const {
  std::string out;
  for (const Weight& weight : weights_) {
    const std::string_view path = weight.name;
    const size_t last = path.rfind('/');
    if (last == path.npos || path.substr(last + 1) != name) continue;
    const std::string_view folder = path.substr(0, last);
    // The owner is a whole run of parts of the path.
    const size_t at = folder.find(owner);
    if (at == folder.npos || owner.empty()) continue;
    const size_t end = at + owner.size();
    const bool whole =
        (at == 0 || folder[at - 1] == '/') && (end == folder.size() || folder[end] == '/');
    if (!whole) continue;
    if (!out.empty()) return "";
    out = weight.name;
  }
  return out;
}

Tensor Weights::in_shards(Emitter& b, const Weight& weight, size_t number) {
  const auto width = static_cast<uint64_t>(bit_width(weight.stored)) / 8;
  const auto in_file = [&](uint64_t count, Dims dims, const Piece& piece, uint64_t skip) {
    const Tensor x = b.weight({weight.name, weight.stored, std::move(dims), count * width,
                               shards_[piece.shard], piece.offset + skip},
                              table);
    x.value->name = weight.name;
    return x;
  };
  if (weight.pieces.size() == 1)
    return in_file(weight.bytes / width, weight.dims, weight.pieces[0], 0);
  // Whole elements of each shard; those in two shards were read.
  std::vector<Tensor> parts;
  uint64_t at = 0;
  for (const Piece& piece : weight.pieces) {
    const uint64_t end = at + piece.length;
    const uint64_t first = (at + width - 1) / width, last = end / width;
    // The element that this piece ends, which began in another.
    if (at % width != 0 && first * width <= end) {
      std::vector<uint8_t> bytes(static_cast<size_t>(width));
      for (uint64_t i = 0; i < width; ++i) {
        const auto found = split_bytes_.find({number, (first - 1) * width + i});
        if (found == split_bytes_.end()) {
          b.invalid(cat("weight '", weight.name, "' is not complete"));
        } else {
          bytes[static_cast<size_t>(i)] = found->second;
        }
      }
      parts.push_back(b.constant({weight.stored, {1}, std::move(bytes), {}}));
    }
    if (last > first) {
      const auto count = static_cast<int64_t>(last - first);
      parts.push_back(in_file(last - first, {count}, piece, first * width - at));
    }
    at = end;
  }
  return b.reshape_ints(b.concat(parts, 0), weight.dims);
}

Tensor Weights::stored(Emitter& b, const Weight& weight) {
  if (weight.bytes == 0 || weight.contents.size() == weight.bytes) {
    std::vector<uint8_t> bytes = weight.contents;
    if (weight.stored == DType::kBool) {
      for (uint8_t& byte : bytes) byte = byte != 0;
    }
    return b.constant({weight.stored, weight.dims, std::move(bytes), {}});
  }
  return in_shards(b, weight, static_cast<size_t>(&weight - weights_.data()));
}

Tensor Weights::load(Emitter& b, std::string_view name) {
  const Weight* weight = find(name);
  const auto nothing = [&](ErrorCode code, std::string_view why) {
    b.fail(code, cat("weight '", name, "': ", why));
    return b.scalar(DType::kF32, 0);
  };
  if (weight == nullptr) return nothing(ErrorCode::kInvalidModel, "the manifest does not have it");
  if (weight->stored == DType::kUndefined) {
    return nothing(ErrorCode::kUnsupported, cat("it is of type ", weight->dtype));
  }
  const auto [entry, is_new] = loaded_.try_emplace(std::string(name));
  if (!is_new) return entry->second;
  Tensor& out = entry->second;
  const DType dtype = dtype_of(weight->dtype);
  const bool is_scaled = weight->scale && weight->stored != DType::kF16;
  constexpr uint64_t kSmall = 65536;
  if ((is_scaled || dtype != weight->stored) && weight->contents.size() == weight->bytes &&
      weight->bytes < kSmall) {
    // Small ones are made what they are at once.
    HostTensor host;
    host.dtype = dtype;
    host.dims = weight->dims;
    const auto count = *element_count(weight->dims);
    host.bytes.resize(byte_size(dtype, static_cast<uint64_t>(count)));
    for (int64_t i = 0; i < count; ++i) {
      double value = load_float(weight->stored, weight->contents.data(), i);
      if (is_scaled) value = value * *weight->scale + *weight->minimum;
      if (is_float(dtype)) {
        host.set_float(i, value);
      } else if (!std::isnan(value)) {
        host.set_int(i, static_cast<int64_t>(std::clamp(value + (value < 0 ? -0.5 : 0.5),
                                                        -2147483648.0, 2147483647.0)));
      }
    }
    out = b.constant(std::move(host));
  } else {
    out = stored(b, *weight);
    if (is_scaled) {
      out = b.cast(out, DType::kF32);
      out = b.binary("Mul", out, b.scalar(DType::kF32, *weight->scale));
      out = b.binary("Add", out, b.scalar(DType::kF32, *weight->minimum));
      if (is_integer(dtype)) out = b.unary("Round", out);
    }
    out = b.cast(out, dtype);
  }
  if (out.value->name.empty()) out.value->name = name;
  return out;
}

}  // namespace quern::tfjs
