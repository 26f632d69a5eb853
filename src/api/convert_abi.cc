// The C ABI of the module quern-formats, beside those calls of api/abi.h that it shares:
// quern_alloc, quern_free, quern_result_data, quern_result_size. Conventions are those of abi.h.
#include <cstdlib>
#include <cstring>
#include <memory>

#include "api/abi.h"
#include "api/words.h"
#include "import/convert/importer.h"
#include "import/convert/onnx_writer.h"

using namespace quern;  // NOLINT(google-build-using-namespace): this file is only the boundary

struct QuernConverter {
  std::unique_ptr<Importer> importer;
  std::vector<ByteRange> wanted;
};

namespace {

std::vector<uint8_t>& last_result() {
  static std::vector<uint8_t> bytes;
  return bytes;
}

int answer(std::vector<uint8_t> bytes) {
  last_result() = std::move(bytes);
  return 0;
}

int failure(const Error& error) {
  last_result().assign(error.message.begin(), error.message.end());
  return 1 + static_cast<int>(error.code);
}

Result<std::vector<uint8_t>> advance(QuernConverter& converter, std::span<const uint8_t> bytes) {
  std::vector<std::span<const uint8_t>> parts;
  for (const ByteRange& range : converter.wanted) {
    if (range.length > bytes.size()) return invalid_argument("too few bytes for the ranges");
    parts.push_back(bytes.first(static_cast<size_t>(range.length)));
    bytes = bytes.subspan(static_cast<size_t>(range.length));
  }
  if (!bytes.empty()) return invalid_argument("more bytes than the ranges have");
  QUERN_ASSIGN(converter.wanted, converter.importer->advance(parts));
  WordWriter out;
  out.word(converter.wanted.size());
  for (const ByteRange& range : converter.wanted) {
    out.wide(range.offset);
    out.wide(range.length);
    out.word(range.is_size ? 1 : 0);
    out.blob(range.file.data(), range.file.size());
  }
  return out.take();
}

}  // namespace

#ifdef __EMSCRIPTEN__
QUERN_EXPORT void* quern_alloc(size_t size) { return std::malloc(size); }
QUERN_EXPORT void quern_free(void* memory) { std::free(memory); }
QUERN_EXPORT const uint8_t* quern_result_data() { return last_result().data(); }
QUERN_EXPORT size_t quern_result_size() { return last_result().size(); }

/// The format of a file that begins with these bytes: result, text: name_of(format_of(head)).
QUERN_EXPORT int quern_format_of(const uint8_t* head, size_t size) {
  const std::string_view name = name_of(format_of({head, size}));
  return answer({name.begin(), name.end()});
}
#endif

/// Begins a file of `size` bytes. Tensors of fewer than `inline_below` bytes are put into the
/// model. Result: the converter's address, a word; an error where there is no importer for it.
QUERN_EXPORT int quern_convert_new(const uint8_t* head, size_t head_size, double size,
                                   double inline_below, double memory_limit) {
  ConvertOptions options;
  options.inline_below = static_cast<uint64_t>(inline_below);
  options.memory_limit = static_cast<uint64_t>(memory_limit);
  auto importer = make_importer({head, head_size}, static_cast<uint64_t>(size), options);
  if (!importer) return failure(importer.error());
  WordWriter out;
  out.wide(reinterpret_cast<uintptr_t>(new QuernConverter{*std::move(importer), {}}));
  return answer(out.take());
}

QUERN_EXPORT void quern_convert_free(QuernConverter* converter) { delete converter; }

/// Takes the bytes of the ranges wanted last, one after the other. Result: a count, then the ranges
/// wanted now: offset, length (wide both), 1 for the file's size instead (8 bytes), and the name of
/// the file as a blob, "" for the model's own; none: the model can be taken.
QUERN_EXPORT int quern_convert_advance(QuernConverter* converter, const uint8_t* bytes,
                                       size_t size) {
  auto wanted = advance(*converter, {bytes, size});
  return wanted ? answer(*std::move(wanted)) : failure(wanted.error());
}

/// Result: the model as ONNX. Weights that stay in the file are external data of a file `name`.
QUERN_EXPORT int quern_convert_onnx(QuernConverter* converter, const uint8_t* name, size_t size) {
  auto model = converter->importer->take();
  if (!model) return failure(model.error());
  OnnxWriteOptions options;
  options.own_file.assign(reinterpret_cast<const char*>(name), size);
  auto onnx = write_onnx(*model, options);
  return onnx ? answer(*std::move(onnx)) : failure(onnx.error());
}
