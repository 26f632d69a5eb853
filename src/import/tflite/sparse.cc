// Sparse tensors, as a tree of levels over blocks (tensorflow/lite/schema/schema.fbs,
// SparsityParameters): levels are dense, or compressed sparse rows.
#include <cstring>

#include "import/tflite/call.h"

namespace quern::tflite {
namespace {

constexpr size_t kMostLevels = 16;

struct Level {
  bool is_sparse = false;
  int64_t size = 0;  // of a dense one
  std::vector<int64_t> segments, indices;
  int64_t stride = 0;  // in elements of the dense tensor
  int64_t extent = 0;
};

std::vector<int64_t> index_list(const Table& level, unsigned field) {
  std::vector<int64_t> out;
  const auto add = [&](const auto& list) { out.assign(list.begin(), list.end()); };
  const Table inner = level.table(field + 1);
  switch (level.number<uint8_t>(field)) {
    case 1:
      add(inner.vector(0, 4).numbers<int32_t>());
      break;
    case 2:
      add(inner.vector(0, 2).numbers<uint16_t>());
      break;
    case 3:
      add(inner.vector(0, 1).numbers<uint8_t>());
      break;
    default:
      break;
  }
  return out;
}

class Densifier {
 public:
  Densifier(std::vector<Level> levels, const std::vector<uint8_t>& values, size_t width,
            uint64_t count)
      : levels_(std::move(levels)),
        values_(values),
        width_(width),
        steps_(count * kMostLevels + kMostLevels),
        out_(count * width) {}

  Result<std::vector<uint8_t>> run() {
    if (!visit(0, 0, 0)) return invalid_model("its sparse indices lie outside of it");
    return std::move(out_);
  }

 private:
  /// `row`: which of the level's rows; `place`: of its elements in the dense tensor.
  bool visit(size_t depth, int64_t row, int64_t place) {
    if (steps_-- == 0) return false;
    if (depth == levels_.size()) {
      const size_t from = next_++ * width_;
      if (from + width_ > values_.size()) return false;
      std::memcpy(out_.data() + static_cast<size_t>(place) * width_, values_.data() + from, width_);
      return true;
    }
    const Level& level = levels_[depth];
    if (!level.is_sparse) {
      for (int64_t i = 0; i < level.size; ++i) {
        if (!visit(depth + 1, row * level.size + i, place + i * level.stride)) return false;
      }
      return true;
    }
    if (static_cast<size_t>(row) + 1 >= level.segments.size()) return false;
    const int64_t end = level.segments[static_cast<size_t>(row) + 1];
    for (int64_t i = level.segments[static_cast<size_t>(row)]; i < end; ++i) {
      if (i < 0 || static_cast<size_t>(i) >= level.indices.size()) return false;
      const int64_t index = level.indices[static_cast<size_t>(i)];
      if (index < 0 || index >= level.extent) return false;
      if (!visit(depth + 1, i, place + index * level.stride)) return false;
    }
    return true;
  }

  std::vector<Level> levels_;
  const std::vector<uint8_t>& values_;
  size_t width_;
  size_t next_ = 0;
  uint64_t steps_ = 0;  ///< that are left: rows of hostile files may repeat
  std::vector<uint8_t> out_;
};

}  // namespace

Result<std::vector<uint8_t>> densify(const TensorInfo& tensor, const std::vector<uint8_t>& values,
                                     size_t width, uint64_t limit) {
  const auto order = tensor.sparsity.vector(0, 4).numbers<int32_t>();
  const auto blocks = tensor.sparsity.vector(1, 4).numbers<int32_t>();
  const Vector tables = tensor.sparsity.vector(2, 4);
  const size_t rank = tensor.shape.size();
  if (order.size() != rank + blocks.size() || tables.size() != order.size() ||
      order.size() > kMostLevels || width == 0) {
    return invalid_model(
        cat(order.size(), " sparse levels of ", rank, " axes and ", blocks.size(), " blocks"));
  }
  const Dims shape(tensor.shape.begin(), tensor.shape.end());
  const auto count = element_count(shape);
  if (!count || static_cast<uint64_t>(*count) > limit / width) {
    return limit_exceeded("its dense form takes more memory than is allowed");
  }
  Dims strides(rank, 1);
  for (size_t i = rank; i-- > 1;) strides[i - 1] = strides[i] * shape[i];
  std::vector<Level> levels(order.size());
  std::vector<bool> seen(order.size());
  Dims block_sizes(rank, 1);
  for (size_t i = 0; i < levels.size(); ++i) {
    const Table table = tables.table(static_cast<uint32_t>(i));
    Level& level = levels[i];
    level.is_sparse = table.number<uint8_t>(0) == 1;
    level.size = table.number<int32_t>(1);
    level.segments = index_list(table, 2);
    level.indices = index_list(table, 4);
    const auto axis = static_cast<size_t>(order[i]);
    if (order[i] < 0 || axis >= order.size() || seen[axis]) {
      return invalid_model("its traversal order is no permutation");
    }
    seen[axis] = true;
    if (axis < rank) continue;
    const int32_t whole = blocks[axis - rank];
    if (level.is_sparse || whole < 0 || static_cast<size_t>(whole) >= rank || level.size < 1 ||
        block_sizes[static_cast<size_t>(whole)] != 1) {
      return invalid_model("its blocks are broken");
    }
    block_sizes[static_cast<size_t>(whole)] = level.size;
  }
  for (size_t i = 0; i < levels.size(); ++i) {
    const auto axis = static_cast<size_t>(order[i]);
    Level& level = levels[i];
    if (axis >= rank) {
      level.stride = strides[static_cast<size_t>(blocks[axis - rank])];
      level.extent = level.size;
    } else {
      level.stride = strides[axis] * block_sizes[axis];
      level.extent = shape[axis] / block_sizes[axis];
      if (shape[axis] % block_sizes[axis] != 0 ||
          (!level.is_sparse && level.size != level.extent)) {
        return invalid_model("its sparse levels have other sizes than its shape");
      }
    }
  }
  return Densifier(std::move(levels), values, width, static_cast<uint64_t>(*count)).run();
}

}  // namespace quern::tflite
