// torch.export archives, .pt2: a zip with the program as JSON and the tensors' storages as entries.
#pragma once

#include <memory>

#include "import/convert/importer.h"

namespace quern {

/// Of a zip of `size` bytes. kUnsupported for the other zips that PyTorch writes, with what to
/// export instead.
std::unique_ptr<Importer> make_torch_importer(uint64_t size, const ConvertOptions& options);

/// What to do with weights alone, and with TorchScript.
std::string torch_advice(Format format);

}  // namespace quern
