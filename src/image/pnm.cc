// PBM, PGM, PPM: bits, grays or RGB, as text or binary. Samples are scaled to 255.

#include <algorithm>

#include "image/image.h"

namespace quern::image {
namespace {

class Scanner {
 public:
  explicit Scanner(Bytes file) : file_(file) {}

  /// The next number of a header or text; -1 at the end.
  int64_t number() {
    skip_space();
    int64_t value = -1;
    while (at_ < file_.size() && file_[at_] >= '0' && file_[at_] <= '9') {
      value = std::min<int64_t>(std::max<int64_t>(value, 0) * 10 + (file_[at_++] - '0'), INT32_MAX);
    }
    return value;
  }
  /// A bit, which need not be apart from the next.
  int64_t bit() {
    skip_space();
    return at_ < file_.size() ? file_[at_++] - '0' : -1;
  }
  void skip(size_t count) { at_ += count; }
  [[nodiscard]] Bytes rest() const { return file_.subspan(std::min(at_, file_.size())); }

 private:
  void skip_space() {
    while (at_ < file_.size()) {
      if (file_[at_] == '#') {
        while (at_ < file_.size() && file_[at_] != '\n') ++at_;
      } else if (file_[at_] != ' ' && (file_[at_] < '\t' || file_[at_] > '\r')) {
        return;
      } else {
        ++at_;
      }
    }
  }

  Bytes file_;
  size_t at_ = 0;
};

}  // namespace

Result<Image> decode_pnm(Bytes file) {
  const auto fail = [](std::string_view what) { return invalid_argument(cat("PNM file: ", what)); };
  const int kind = file[1] - '0';
  const bool is_binary = kind > 3;
  const int content = is_binary ? kind - 3 : kind;  // 1 bits, 2 grays, 3 RGB
  Scanner in(file);
  in.skip(2);
  const int64_t width = in.number();
  const int64_t height = in.number();
  const int64_t most = content == 1 ? 1 : in.number();
  if (width < 1 || height < 1 || most < 1 || most > 65535) return fail("its header is wrong");
  QUERN_ASSIGN(Image image, new_image(static_cast<uint64_t>(width), static_cast<uint64_t>(height),
                                      content == 3 ? 3 : 1));
  const auto scaled = [&](int64_t value) {
    return static_cast<uint8_t>((std::min(value, most) * 255 + most / 2) / most);
  };
  if (!is_binary) {
    for (uint8_t& pixel : image.pixels) {
      const int64_t value = content == 1 ? in.bit() : in.number();
      if (value < 0) return fail("it ends early");
      pixel = content == 1 ? (value == 0 ? 255 : 0) : scaled(value);
    }
    return image;
  }
  in.skip(1);  // one white space
  const Bytes data = in.rest();
  const size_t row =
      content == 1 ? (size_t{image.width} + 7) / 8 : image.row_bytes() * (most > 255 ? 2 : 1);
  if (data.size() / row < image.height) return fail("it ends early");
  for (size_t y = 0; y < image.height; ++y) {
    const Bytes from = data.subspan(y * row, row);
    uint8_t* to = &image.pixels[y * image.row_bytes()];
    for (size_t i = 0; i < image.row_bytes(); ++i) {
      if (content == 1) {
        to[i] = (from[i / 8] >> (7 - i % 8) & 1) != 0 ? 0 : 255;  // 1 is black
      } else {
        to[i] = scaled(most > 255 ? from[i * 2] * 256 + from[i * 2 + 1] : from[i]);
      }
    }
  }
  return image;
}

}  // namespace quern::image
