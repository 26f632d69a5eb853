// The pickles that torch.save writes for a dictionary of tensors, by which archives of PyTorch
// before 2.9 name their weights. A pickle is a program; this reads only the opcodes that such a
// dictionary takes, and only the five functions that rebuild tensors, as data. Nothing is executed,
// and anything else is refused. After CPython's Lib/pickletools.py and torch/_utils.py.
#pragma once

#include <map>
#include <string>

#include "import/torch/weights.h"

namespace quern::torch {

/// The tensors by name; payloads are the storages' keys ("0" of the entry data/0). kUnsupported
/// for other objects than dense tensors, by name.
Result<std::map<std::string, StoredTensor>> read_tensor_pickle(std::span<const uint8_t> bytes);

}  // namespace quern::torch
