// Importers of formats other than ONNX. They are no part of the core: a module of their own turns a
// file's structure into ONNX, whose tensors name the ranges of the file where their bytes lie, and
// the core takes that as it takes every model with external data. docs/formats.md says more.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ir/graph.h"

namespace quern {

enum class Format : uint8_t {
  kOnnx,
  kTorchExport,   ///< .pt2
  kTorchScript,   ///< a zip with code/
  kTorchWeights,  ///< a zip or bare pickle of torch.save
  kZip,           ///< with none of these layouts
  kTensorFlowJs,  ///< model.json
  kJson,
  kTfLite,
  kTensorFlow,  ///< a GraphDef or SavedModel
  kHdf5,
  kSafetensors,
  kUnknown,
};
std::string_view name_of(Format format);

/// The format that a file's first bytes show, all of them where it is shorter than 64; a zip is
/// kZip, and its list of files tells which (format_of_zip). Names and extensions mean nothing.
Format format_of(std::span<const uint8_t> head);
/// The same by the names of a zip's entries.
Format format_of_zip(const std::vector<std::string_view>& names);

/// Bytes [offset, offset + length) of a file; or, where `is_size` is set, its size: 8 bytes, little
/// endian (`length` is 8 then).
struct ByteRange {
  uint64_t offset = 0;
  uint64_t length = 0;
  std::string file = {};  ///< beside the model file, a path that stays in its folder; "": itself
  bool is_size = false;
};

struct ConvertOptions {
  /// Of everything that is held at once: structure, small tensors, decompressed ones.
  uint64_t memory_limit = uint64_t{512} << 20;
  /// Tensors below are put into the model; others stay where they are in the file.
  uint64_t inline_below = 65536;
};

/// One file on its way to a model. Asks for ranges until it has what it needs:
///   auto wanted = importer.begin(); while (!wanted.empty()) wanted = importer.take(bytes of them).
class Importer {
 public:
  virtual ~Importer() = default;
  /// What it wants of the file next, none at the end; `bytes` are those of the ranges wanted last,
  /// in order. Ranges lie inside the file and take at most options.memory_limit together.
  virtual Result<std::vector<ByteRange>> advance(
      std::span<const std::span<const uint8_t>> bytes) = 0;
  /// At the end: the model. Weights whose WeightInfo::file is "" lie in the file itself.
  virtual Result<Model> take() = 0;
};

/// The importer for a file of `size` bytes, by its first bytes. kUnsupported for formats that are
/// known, but not read; kInvalidModel for others, ONNX too, which the core reads by itself.
Result<std::unique_ptr<Importer>> make_importer(std::span<const uint8_t> head, uint64_t size,
                                                const ConvertOptions& options = {});

/// Reads a range of another file than the model's.
using ReadRange = std::function<Result<std::vector<uint8_t>>(const ByteRange&)>;

/// The whole file in memory, for tests and for formats that have no weights to leave in place;
/// `read_other` reads the files beside it.
Result<Model> import_bytes(std::span<const uint8_t> file, const ConvertOptions& options = {},
                           const ReadRange& read_other = {});

/// Does the name of a file beside the model stay in the model's folder: relative, without "..", and
/// no URL?
bool is_inside_folder(std::string_view path);

}  // namespace quern
