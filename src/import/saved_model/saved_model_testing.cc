#include "import/saved_model/saved_model_testing.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "import/convert/run_testing.h"
#include "import/saved_model/sstable.h"

namespace quern::testing {
namespace {

std::string fixed32(uint32_t value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

std::string varint(uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  return out += static_cast<char>(value);
}

std::span<const uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

Pb shape_proto(const std::vector<int64_t>& dims) {
  Pb out;
  for (const int64_t dim : dims) out.message(2, Pb().varint(1, dim));
  return out;
}

/// Adds a block to a table; gives its handle.
std::string add_block(std::string& out, const std::vector<std::pair<std::string, std::string>>& of,
                      const TableOptions& options) {
  std::string block, restarts, last;
  uint32_t count = 0;
  for (size_t i = 0; i < of.size(); ++i) {
    const auto& [key, value] = of[i];
    size_t shared = 0;
    if (i % 3 == 0) {
      restarts += fixed32(static_cast<uint32_t>(block.size()));
      ++count;
    } else {
      while (shared < std::min(last.size(), key.size()) && last[shared] == key[shared]) ++shared;
    }
    block += varint(shared) + varint(key.size() - shared) + varint(value.size());
    block += key.substr(shared) + value;
    last = key;
  }
  block += restarts + fixed32(count);
  const std::string handle = varint(out.size()) + varint(block.size());
  block += options.compression;
  const uint32_t checksum = masked_crc32c({bytes_of(block)}) ^ (options.wrong_checksum ? 1 : 0);
  out += block + fixed32(checksum);
  return handle;
}

}  // namespace

std::string table_file(const std::map<std::string, std::string>& entries,
                       const TableOptions& options) {
  std::string out;
  std::vector<std::pair<std::string, std::string>> block, index;
  for (const auto& entry : entries) {
    block.push_back(entry);
    if (block.size() < options.per_block && entry.first != entries.rbegin()->first) continue;
    index.emplace_back(entry.first, add_block(out, block, options));
    block.clear();
  }
  std::string footer = add_block(out, {}, {});
  footer += add_block(out, index, {});
  footer.resize(40);
  return out + footer + fixed32(0x8b80fb57) + fixed32(0xdb477524);
}

CheckpointWriter& CheckpointWriter::raw(const std::string& key, int dtype,
                                        const std::vector<int64_t>& dims, std::string_view bytes,
                                        const Pb& entry) {
  const size_t shard = entries_.size() % shards_.size();
  Pb out = entry;
  out.varint(1, dtype).message(2, shape_proto(dims)).varint(3, static_cast<int64_t>(shard));
  out.varint(4, static_cast<int64_t>(shards_[shard].size()));
  out.varint(5, static_cast<int64_t>(bytes.size()));
  const uint32_t checksum = masked_crc32c({bytes_of(bytes)});
  out.fixed32(6, std::bit_cast<float>(checksum));
  shards_[shard] += bytes;
  entries_[key] = out.data();
  return *this;
}

CheckpointWriter& CheckpointWriter::floats(const std::string& key, const std::vector<int64_t>& dims,
                                           const std::vector<float>& values) {
  return raw(key, 1, dims, {reinterpret_cast<const char*>(values.data()), values.size() * 4});
}

CheckpointWriter& CheckpointWriter::text(const std::string& key, std::string_view value) {
  return raw(key, 7, {}, varint(value.size()) + fixed32(0) + std::string(value));
}

Files CheckpointWriter::files(const TableOptions& options) const {
  Files out;
  auto entries = entries_;
  entries[""] = Pb().varint(1, static_cast<int64_t>(shards_.size())).data();
  out["variables/variables.index"] = table_file(entries, options);
  for (size_t i = 0; i < shards_.size(); ++i) {
    out[cat("variables/variables.data-0000", i, "-of-0000", shards_.size())] = shards_[i];
  }
  return out;
}

TfAttribute tf_type(const std::string& name, int type) { return {name, Pb().varint(6, type)}; }
TfAttribute tf_text(const std::string& name, std::string_view text) {
  return {name, Pb().bytes(2, text)};
}
TfAttribute tf_shape(const std::string& name, const std::vector<int64_t>& dims) {
  return {name, Pb().message(7, shape_proto(dims))};
}
TfAttribute tf_function(const std::string& name, std::string_view function) {
  return {name, Pb().message(10, Pb().bytes(1, function))};
}
TfAttribute tf_functions(const std::string& name, const std::vector<std::string>& functions) {
  Pb list;
  for (const std::string& function : functions) list.message(9, Pb().bytes(1, function));
  return {name, Pb().message(1, list)};
}
TfAttribute tf_texts(const std::vector<std::string>& values) {
  Pb tensor;
  tensor.varint(1, 7).message(2, shape_proto({static_cast<int64_t>(values.size())}));
  return {"value", Pb().message(8, tensor.strings(8, values))};
}
TfAttribute tf_number(int value) {
  return {"value", Pb().message(8, Pb().varint(1, 3).message(2, Pb()).varint(7, value))};
}

Pb tf_node(std::string_view name, std::string_view op, const std::vector<std::string>& inputs,
           const std::vector<TfAttribute>& attributes) {
  Pb out;
  out.bytes(1, name).bytes(2, op).strings(3, inputs);
  for (const auto& [key, value] : attributes) {
    out.message(5, Pb().bytes(1, key).message(2, value));
  }
  return out;
}

Pb tf_graph(const std::vector<Pb>& nodes, const std::vector<TfFunction>& functions) {
  Pb out, library;
  for (const Pb& node : nodes) out.message(1, node);
  for (const TfFunction& function : functions) {
    Pb signature = Pb().bytes(1, function.name), body;
    for (const auto& [name, type] : function.inputs) {
      signature.message(2, Pb().bytes(1, name).varint(3, type));
    }
    for (const auto& [name, value] : function.results) {
      signature.message(3, Pb().bytes(1, name).varint(3, 1));
      body.message(4, Pb().bytes(1, name).bytes(2, value));
    }
    body.message(1, signature);
    for (const Pb& node : function.nodes) body.message(3, node);
    library.message(1, body);
  }
  return out.message(2, library);
}

std::string saved_model(const Pb& graph, const std::vector<TfSignature>& signatures,
                        const Pb& objects) {
  Pb meta;
  meta.message(1, Pb().bytes(4, "serve").bytes(5, "2.17.0")).message(2, graph);
  for (const TfSignature& signature : signatures) {
    Pb ports;
    const auto add = [&](uint32_t field, const auto& list) {
      for (const auto& [name, tensor] : list) {
        ports.message(field, Pb().bytes(1, name).message(2, Pb().bytes(1, tensor).varint(2, 1)));
      }
    };
    add(1, signature.inputs);
    add(2, signature.outputs);
    meta.message(5, Pb().bytes(1, signature.name).message(2, ports));
  }
  meta.message(7, objects);
  return Pb().varint(1, 1).message(2, meta).data();
}

Result<Model> import_files(const Files& files, uint64_t inline_below) {
  ConvertOptions options;
  options.inline_below = inline_below;
  const auto read = [&](const ByteRange& range) -> Result<std::vector<uint8_t>> {
    const auto found = files.find(range.file);
    if (found == files.end()) return invalid_argument(cat("there is no '", range.file, "'"));
    const std::span<const uint8_t> file = bytes_of(found->second);
    if (range.is_size) {
      std::vector<uint8_t> bytes(8);
      store_bits(DType::kU64, bytes.data(), 0, file.size());
      return bytes;
    }
    if (range.offset > file.size() || range.length > file.size() - range.offset) {
      return internal_error(cat("a range outside of '", range.file, "'"));
    }
    const auto part =
        file.subspan(static_cast<size_t>(range.offset), static_cast<size_t>(range.length));
    return std::vector<uint8_t>(part.begin(), part.end());
  };
  return import_bytes(bytes_of(files.at("saved_model.pb")), options, read);
}

std::string run_folder(const Files& files, const std::vector<std::vector<double>>& inputs,
                       const std::vector<Dims>& dims) {
  std::string folder = cat(std::filesystem::temp_directory_path().c_str(), "/quern-XXXXXX");
  if (mkdtemp(folder.data()) == nullptr) return "error: no folder";
  std::filesystem::create_directory(folder + "/variables");
  for (const auto& [name, content] : files) {
    std::FILE* file = std::fopen(cat(folder, "/", name).c_str(), "wb");
    if (file == nullptr) return "error: no file";
    std::fwrite(content.data(), 1, content.size(), file);
    std::fclose(file);
  }
  std::string result = run_path(folder, inputs, dims);
  std::filesystem::remove_all(folder);
  return result;
}

}  // namespace quern::testing
