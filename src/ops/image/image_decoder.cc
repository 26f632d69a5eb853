// ImageDecoder: a picture file's bytes to pixels [height, width, channels]. On the host on every
// device: a file is decoded bit after bit.
#include "image/image.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"pixel_format", AttributeKind::kString}};

Result<void> infer(InferContext& c) {
  const std::string_view format = c.node().string_or("pixel_format", "RGB");
  if (format != "RGB" && format != "BGR" && format != "Grayscale") {
    return c.error(cat("pixel_format is '", format, "'"));
  }
  QUERN_TRY(c.expect_rank(0, 1));
  c.set(0, DType::kU8, Shape{c.fresh_dim(0, 0), c.fresh_dim(0, 1), format == "Grayscale" ? 1 : 3});
  return {};
}

Result<void> eval(EvalContext& c) {
  auto decoded = image::decode(c.in(0).bytes);
  if (!decoded) return std::unexpected(std::move(decoded).error().in(c.node().describe()));
  const std::string_view format = c.node().string_or("pixel_format", "RGB");
  image::Image picture = format == "Grayscale" ? image::to_gray(*std::move(decoded))
                                               : image::to_rgb(*std::move(decoded));
  if (format == "BGR") {
    for (size_t i = 0; i + 2 < picture.pixels.size(); i += 3) {
      std::swap(picture.pixels[i], picture.pixels[i + 2]);
    }
  }
  HostTensor& out = c.out(0);
  out.dtype = DType::kU8;
  out.dims = {picture.height, picture.width, picture.channels};
  out.bytes = std::move(picture.pixels);
  return {};
}

}  // namespace

extern const OpDef op_image_decoder;
const OpDef op_image_decoder = {
    .name = "ImageDecoder",
    .since = 20,
    .types = type_bit(DType::kU8),
    .attributes = kAttributes,
    .is_host = true,
    .infer = infer,
    .eval = eval,
};

}  // namespace quern
