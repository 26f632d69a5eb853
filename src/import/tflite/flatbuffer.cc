#include "import/tflite/flatbuffer.h"

#include <algorithm>

namespace quern::tflite {
namespace {

constexpr uint32_t kLongestText = 1 << 16;
constexpr uint64_t kMostLookups = uint64_t{1} << 26;

}  // namespace

bool FileParts::charge(uint64_t bytes) {
  charged_ += std::min(bytes, 2 * limit_ + 1);
  if (charged_ <= 2 * limit_) return true;
  fail("its parts take more memory than is allowed");
  return false;
}

bool FileParts::want(uint64_t offset, uint64_t length) {
  if (offset > size_ || length > size_ - offset) {
    fail(cat("bytes ", offset, " to ", offset, "+", length, " of a file of ", size_, " bytes"));
    return false;
  }
  if (length == 0) return true;
  looked_up_ += length / kPage + 1;
  if (looked_up_ > kMostLookups) {
    fail("its parts lie over each other");
    return false;
  }
  for (uint64_t page = offset / kPage; page <= (offset + length - 1) / kPage; ++page) {
    if (!pages_.contains(page)) missing_[page] = true;
  }
  return true;
}

bool FileParts::read(uint64_t offset, void* to, size_t length) {
  if (length == 0) return true;
  if (offset > size_ || length > size_ - offset) return want(offset, length) && false;
  auto* out = static_cast<uint8_t*>(to);
  while (length > 0) {
    const auto found = pages_.find(offset / kPage);
    if (found == pages_.end()) {
      want(offset, length);
      return false;
    }
    const size_t inside = offset % kPage;
    const size_t part =
        std::min(length, found->second.size() - std::min(found->second.size(), inside));
    if (part == 0) return false;
    std::memcpy(out, found->second.data() + inside, part);
    out += part;
    offset += part;
    length -= part;
  }
  return true;
}

std::vector<uint8_t> FileParts::bytes(uint64_t offset, uint64_t length) {
  if (!want(offset, length)) return {};
  for (uint64_t page = offset / kPage; length > 0 && page <= (offset + length - 1) / kPage;
       ++page) {
    if (!pages_.contains(page)) return {};
  }
  if (!charge(length)) return {};
  std::vector<uint8_t> out(length);
  if (!read(offset, out.data(), out.size())) return {};
  return out;
}

std::vector<ByteRange> FileParts::missing() {
  std::vector<ByteRange> out;
  for (const auto& [page, unused] : missing_) {
    const uint64_t offset = page * kPage;
    const uint64_t length = std::min(kPage, size_ - offset);
    if (!out.empty() && out.back().offset + out.back().length == offset) {
      out.back().length += length;
    } else {
      out.push_back({offset, length});
    }
  }
  missing_.clear();
  return out;
}

Result<void> FileParts::add(const ByteRange& range, std::span<const uint8_t> bytes) {
  if (bytes.size() != range.length) return internal_error("a range of another size");
  if (range.length > left_) {
    return limit_exceeded("the model's structure takes more memory than is allowed");
  }
  left_ -= range.length;
  for (uint64_t at = 0; at < range.length; at += kPage) {
    const auto part = bytes.subspan(at, std::min(kPage, range.length - at));
    pages_[(range.offset + at) / kPage].assign(part.begin(), part.end());
  }
  return {};
}

Table::Table(FileParts* file, uint64_t at) {
  int32_t back = 0;
  if (!file->read(at, &back, sizeof back)) return;
  const int64_t vtable = static_cast<int64_t>(at) - back;
  if (vtable < 0) {
    file->fail(cat("the table at ", at, " begins before the file"));
    return;
  }
  uint16_t sizes[2] = {};
  if (!file->read(static_cast<uint64_t>(vtable), sizes, sizeof sizes)) return;
  if (sizes[0] < 4 || sizes[1] < 4) {
    file->fail(cat("the table at ", at, " has no fields"));
    return;
  }
  if (!file->want(static_cast<uint64_t>(vtable), sizes[0]) || !file->want(at, sizes[1])) return;
  file_ = file;
  at_ = at;
  vtable_ = static_cast<uint64_t>(vtable);
  vtable_size_ = sizes[0];
  size_ = sizes[1];
}

uint64_t Table::place(unsigned id, size_t width) const {
  const size_t slot = 4 + size_t{2} * id;
  if (file_ == nullptr || slot + 2 > vtable_size_) return 0;
  uint16_t offset = 0;
  if (!file_->read(vtable_ + slot, &offset, sizeof offset) || offset == 0) return 0;
  if (offset < 4 || offset + width > size_) {
    file_->fail(cat("field ", id, " lies outside of the table at ", at_));
    return 0;
  }
  return at_ + offset;
}

uint64_t Table::target(unsigned id) const {
  const uint64_t at = place(id, 4);
  uint32_t offset = 0;
  if (at == 0 || !file_->read(at, &offset, sizeof offset)) return 0;
  return at + offset;
}

Table Table::table(unsigned id) const {
  const uint64_t at = target(id);
  return at == 0 ? Table() : Table(file_, at);
}

Vector Table::vector(unsigned id, size_t width) const {
  const uint64_t at = target(id);
  uint32_t count = 0;
  if (at == 0 || !file_->read(at, &count, sizeof count)) return {};
  if (at + 4 > file_->size() || count > (file_->size() - at - 4) / width) {
    file_->fail(cat("the vector at ", at, " has ", count, " elements of ", width, " bytes"));
    return {};
  }
  return {file_, at + 4, count, width};
}

std::string Table::text(unsigned id) const {
  const Vector letters = vector(id, 1);
  if (letters.size() > kLongestText) {
    file_->fail(cat("a name of ", letters.size(), " bytes"));
    return {};
  }
  const std::vector<uint8_t> bytes = letters.bytes();
  return {bytes.begin(), bytes.end()};
}

std::vector<uint8_t> Vector::bytes() const {
  if (file_ == nullptr) return {};
  return file_->bytes(at_, uint64_t{count_} * width_);
}

Table Vector::table(uint32_t i) const {
  const uint64_t at = at_ + uint64_t{4} * i;
  uint32_t offset = 0;
  if (file_ == nullptr || i >= count_ || !file_->read(at, &offset, sizeof offset)) return {};
  return {file_, at + offset};
}

Table root_of(FileParts& file) {
  uint32_t offset = 0;
  if (!file.read(0, &offset, sizeof offset)) return {};
  return {&file, offset};
}

}  // namespace quern::tflite
