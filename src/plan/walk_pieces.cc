// Tensors out of pieces and pieces out of tensors, while the walk goes over the graph: what a loop
// collects, ConcatFromSequence, SplitToSequence. Only here is it known how many there are. Where
// all operands are on the host the work is done there; on the device, pieces that are whole ranges
// of words are copied, others go through nodes made for the occasion.

#include <algorithm>
#include <cstring>

#include "ops/common/variadic.h"
#include "ops/compose.h"
#include "plan/walk.h"

namespace quern {
namespace {

constexpr int kMadeVersion = 13;  // of the operator set that the made nodes are of

/// Elements of the axes before `axis`, and of those from it on.
struct Extents {
  int64_t outer = 1;
  int64_t inner = 1;
};
Extents extents(const Dims& dims, size_t axis) {
  Extents e;
  for (size_t a = 0; a < dims.size(); ++a) (a < axis ? e.outer : e.inner) *= dims[a];
  return e;
}

void copy_elements(const HostTensor& from, int64_t at, HostTensor& to, int64_t target,
                   int64_t count) {
  if (to.dtype == DType::kString) {
    std::copy_n(from.strings.begin() + at, count, to.strings.begin() + target);
    return;
  }
  const int64_t width = bit_width(to.dtype);
  if (width % 8 == 0) {
    if (count == 0) return;
    std::memcpy(to.bytes.data() + target * width / 8, from.bytes.data() + at * width / 8,
                static_cast<size_t>(count * width / 8));
    return;
  }
  for (int64_t i = 0; i < count; ++i) {
    store_bits(to.dtype, to.bytes.data(), target + i,
               load_bits(from.dtype, from.bytes.data(), at + i));
  }
}

/// Whole words, as copies take them.
bool is_words(DType dtype, int64_t count) {
  return static_cast<uint64_t>(count) * static_cast<uint64_t>(bit_width(dtype)) % 32 == 0;
}

HostTensor int_vector(int64_t value) { return HostTensor::of_ints(DType::kI64, {1}, {value}); }

}  // namespace

Result<RunTensor> Walk::run_made(const Node& owner, std::string_view op, int64_t number,
                                 std::span<RunTensor> operands, uint32_t host_operands) {
  const std::string key = cat(op, " ", number, " ", owner.id, " ", operands.size());
  std::unique_ptr<MadeNode>& made = memory_.made[key];
  if (!made) {
    made = std::make_unique<MadeNode>();
    Node& node = made->node;
    node.id = owner.id;
    node.name = owner.name;
    node.op = op;
    node.version = kMadeVersion;
    if (op == "Concat") node.attributes["axis"] = number;
    if (op == "Cast") node.attributes["to"] = number;
    node.inputs.resize(operands.size());
    node.outputs = {&made->output};
    made->output.producer = &node;
  }
  const OpDef* def = find_op(made->node);
  if (def == nullptr) return internal_error(cat("operator ", op, " is not known"));
  std::vector<const RunTensor*> inputs;
  for (const RunTensor& t : operands) inputs.push_back(&t);
  LowerJob job;
  QUERN_ASSIGN(job.frame, frame_of(made->node, *def, inputs, false));
  for (size_t i = 0; i < operands.size(); ++i) {
    Storage s;
    if ((host_operands >> std::min<size_t>(i, 31) & 1) == 0) {
      QUERN_ASSIGN(s, upload_host(operands[i], owner.name));
    }
    job.inputs.push_back(s);
  }
  RunTensor out;
  out.info = job.frame.outputs[0];
  out.storage = add_storage(StorageKind::kTemporary,
                            byte_size(out.info.dtype, static_cast<uint64_t>(out.info.count())));
  job.outputs = {out.storage};
  QUERN_TRY(backend_.lower(job, *this));
  return out;
}

Result<void> Walk::reshape(RunTensor& t, Dims dims) {
  t.info.dims = std::move(dims);
  t.info.baked = 0;
  if (!t.host) return {};
  HostTensor copy = *t.host;
  copy.dims = t.info.dims;
  return set_host(t, std::move(copy));
}

Result<RunTensor> Walk::join(const Node& owner, Elements parts, int64_t axis, bool stacked) {
  if (parts.empty()) return invalid_model(cat(owner.describe(), ": there is nothing to join"));
  const auto rank = std::ssize(parts[0].info.dims) + (stacked ? 1 : 0);
  if (axis < -rank || axis >= rank) {
    return invalid_model(
        cat(owner.describe(), ": axis ", axis, " is out of range for rank ", rank));
  }
  const auto at = static_cast<size_t>(axis < 0 ? axis + rank : axis);
  Dims dims = parts[0].info.dims;
  if (stacked) dims.insert(dims.begin() + static_cast<std::ptrdiff_t>(at), 1);
  RunTensor out;
  out.info.present = true;
  out.info.dtype = parts[0].info.dtype;
  out.info.dims = dims;
  out.info.dims[at] = 0;
  bool all_host = true;
  bool none_device = true;
  for (RunTensor& part : parts) {
    if (part.elements) return invalid_model(cat(owner.describe(), ": a part is no tensor"));
    Dims& own = part.info.dims;
    if (stacked && own.size() + 1 == dims.size()) {
      own.insert(own.begin() + static_cast<std::ptrdiff_t>(at), 1);
    }
    bool fits = part.info.dtype == out.info.dtype && own.size() == dims.size();
    for (size_t a = 0; fits && a < own.size(); ++a) fits = a == at || own[a] == dims[a];
    if (!fits) {
      return invalid_model(cat(owner.describe(), ": parts ", dims, " and ", own,
                               " differ in type, rank or extents"));
    }
    part.info.baked = 0;  // which parts there are differs from run to run
    out.info.dims[at] += own[at];
    all_host = all_host && part.host;
    none_device = none_device && !part.on_device();
  }
  QUERN_ASSIGN(const int64_t count, element_count(out.info.dims));
  const Extents whole = extents(out.info.dims, at);
  if (all_host && (none_device || out.info.dtype == DType::kString)) {
    QUERN_ASSIGN(HostTensor joined, HostTensor::zeros(out.info.dtype, out.info.dims));
    int64_t first = 0;
    for (const RunTensor& part : parts) {
      const int64_t length = extents(part.info.dims, at).inner;
      for (int64_t o = 0; o < whole.outer; ++o) {
        copy_elements(*part.host, o * length, joined, o * whole.inner + first, length);
      }
      first += length;
    }
    QUERN_TRY(set_host(out, std::move(joined)));
    return out;
  }
  std::erase_if(parts, [](const RunTensor& part) { return part.info.count() == 0; });
  if (parts.size() == 1) {
    QUERN_TRY(upload_host(parts[0], owner.name));
    parts[0].host.reset();
    return std::move(parts[0]);
  }
  const bool copies = whole.outer == 1 && std::ranges::all_of(parts, [](const RunTensor& part) {
                        return is_words(part.info.dtype, part.info.count());
                      });
  if (copies || count == 0) {
    out.storage = add_storage(StorageKind::kTemporary,
                              byte_size(out.info.dtype, static_cast<uint64_t>(count)));
    touch(out.storage);
    uint64_t offset = 0;
    for (RunTensor& part : parts) {
      const uint64_t bytes = byte_size(part.info.dtype, static_cast<uint64_t>(part.info.count()));
      QUERN_ASSIGN(const Storage from, upload_host(part, owner.name));
      QUERN_TRY(emit_copy(owner.id, from, out.storage, {0, offset}, bytes));
      offset += bytes;
    }
    return out;
  }
  // A tree of nodes with as many inputs as a kernel can bind.
  while (parts.size() > 1) {
    Elements next;
    for (size_t first = 0; first < parts.size(); first += kMaxKernelInputs) {
      const size_t n = std::min(kMaxKernelInputs, parts.size() - first);
      if (n == 1) {
        next.push_back(std::move(parts[first]));
        continue;
      }
      QUERN_ASSIGN(RunTensor part, run_made(owner, "Concat", static_cast<int64_t>(at),
                                            std::span(parts).subspan(first, n), 0));
      next.push_back(std::move(part));
    }
    parts = std::move(next);
  }
  return std::move(parts[0]);
}

Result<RunTensor> Walk::cut(const Node& owner, RunTensor& data, size_t axis, int64_t start,
                            int64_t length) {
  RunTensor out;
  out.info.present = true;
  out.info.dtype = data.info.dtype;
  out.info.dims = data.info.dims;
  out.info.dims[axis] = length;
  const Extents whole = extents(data.info.dims, axis);
  const Extents part = extents(out.info.dims, axis);
  const int64_t row = data.info.dims[axis] == 0 ? 0 : whole.inner / data.info.dims[axis];
  if (data.host && !data.on_device()) {
    QUERN_ASSIGN(HostTensor piece, HostTensor::zeros(out.info.dtype, out.info.dims));
    for (int64_t o = 0; o < whole.outer; ++o) {
      copy_elements(*data.host, o * whole.inner + start * row, piece, o * part.inner, part.inner);
    }
    QUERN_TRY(set_host(out, std::move(piece)));
    return out;
  }
  const int64_t count = out.info.count();
  if (whole.outer == 1 && is_words(out.info.dtype, start * row) &&
      is_words(out.info.dtype, count)) {
    const uint64_t bytes = byte_size(out.info.dtype, static_cast<uint64_t>(count));
    out.storage = add_storage(StorageKind::kTemporary, bytes);
    touch(out.storage);
    if (count == 0) return out;
    const uint64_t offset = byte_size(out.info.dtype, static_cast<uint64_t>(start * row));
    QUERN_ASSIGN(const Storage from, upload_host(data, owner.name));
    QUERN_TRY(emit_copy(owner.id, from, out.storage, {offset, 0}, bytes));
    return out;
  }
  RunTensor operands[4] = {data, {}, {}, {}};
  const int64_t numbers[] = {start, start + length, static_cast<int64_t>(axis)};
  for (size_t i = 0; i < 3; ++i) {
    RunTensor& t = operands[i + 1];
    t.info.present = true;
    QUERN_TRY(set_host(t, int_vector(numbers[i])));
  }
  return run_made(owner, "Slice", static_cast<int64_t>(axis), operands, 0b1110);
}

}  // namespace quern
