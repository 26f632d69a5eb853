// SavedModels: whatever the bytes of saved_model.pb or of the checkpoint's index, an error or a
// model that ONNX can say. Shards hold zeros.
#include <cstdlib>

#include "import/convert/importer.h"
#include "import/convert/onnx_writer.h"
#include "import/onnx/testing.h"
#include "import/saved_model/sstable.h"
#include "ir/verify.h"

namespace {

using quern::Bytes;
using quern::testing::Pb;

constexpr uint64_t kShard = 1 << 16;

Pb node(std::string_view name, std::string_view op, const std::vector<std::string>& inputs) {
  return Pb().bytes(1, name).bytes(2, op).strings(3, inputs);
}

/// y = x * w, with w a variable of that name.
std::string product() {
  Pb graph;
  graph.message(1, node("x", "Placeholder", {})).message(1, node("w", "VariableV2", {}));
  graph.message(1, node("y", "Mul", {"x", "w"}));
  const auto port = [](std::string_view name) {
    return Pb().bytes(1, name).message(2, Pb().bytes(1, name));
  };
  const Pb ports = Pb().message(1, port("x")).message(2, port("y"));
  const Pb signature = Pb().bytes(1, "serving_default").message(2, ports);
  return Pb().varint(1, 1).message(2, Pb().message(2, graph).message(5, signature)).data();
}

void append_block(std::vector<uint8_t>& out, Bytes content) {
  const size_t begin = out.size();
  out.insert(out.end(), content.begin(), content.end());
  out.push_back(0);
  const uint32_t checksum = quern::masked_crc32c({Bytes(out).subspan(begin)});
  for (int i = 0; i < 4; ++i) out.push_back(static_cast<uint8_t>(checksum >> (8 * i)));
}

/// A table of one block with these contents, of fewer than 128 * 128 bytes.
std::vector<uint8_t> table_of(Bytes content) {
  std::vector<uint8_t> out;
  append_block(out, content);
  const auto low = [](size_t n) { return static_cast<uint8_t>(n | 0x80); };
  const auto high = [](size_t n) { return static_cast<uint8_t>(n >> 7 & 0x7f); };
  const uint8_t index[] = {0, 1, 3, 'z', 0, low(content.size()), high(content.size()), 0, 0, 0, 0};
  const size_t at = out.size();
  append_block(out, index);
  std::vector<uint8_t> footer = {0, 0, low(at), high(at), sizeof index};
  footer.resize(40);
  for (const uint8_t byte : {0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb}) {
    footer.push_back(byte);
  }
  out.insert(out.end(), footer.begin(), footer.end());
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace quern;  // NOLINT(google-build-using-namespace)
  if (size == 0) return 0;
  const Bytes rest{data + 1, size - 1};
  std::string model = product();
  std::vector<uint8_t> index(rest.begin(), rest.end());
  switch (data[0] % 3) {
    case 0:  // the index as it is
      break;
    case 1:  // a block of it: what is around it would be broken first
      if (rest.size() >= 1 << 14) return 0;
      index = table_of(rest);
      break;
    default: {
      model = cat("\x08\x01", text_of(rest));
      // A header of one shard, and a tensor "w" of no dims.
      const uint8_t zeros[4] = {};
      const std::string entry = Pb().varint(1, 1)
                                    .varint(5, 4)
                                    .fixed32(6, std::bit_cast<float>(masked_crc32c({zeros})))
                                    .data();
      const std::string block =
          cat(std::string_view("\0\0\2\x08\1\0\1", 7),
              std::string(1, static_cast<char>(entry.size())), "w", entry, std::string(4, '\0'));
      index = table_of({reinterpret_cast<const uint8_t*>(block.data()), block.size()});
    }
  }
  const auto read = [&](const ByteRange& range) -> Result<std::vector<uint8_t>> {
    const bool is_index = range.file == "variables/variables.index";
    std::vector<uint8_t> out(range.length);
    if (range.is_size) {
      store_bits(DType::kU64, out.data(), 0, is_index ? index.size() : kShard);
    } else if (is_index) {
      return index;
    } else if (range.offset > kShard || range.length > kShard - range.offset) {
      std::abort();
    }
    return out;
  };
  const auto file = Bytes{reinterpret_cast<const uint8_t*>(model.data()), model.size()};
  for (const uint64_t inline_below : {uint64_t{0}, UINT64_MAX}) {
    const auto imported =
        import_bytes(file, {.memory_limit = 16 << 20, .inline_below = inline_below}, read);
    if (!imported) continue;
    if (!verify(*imported->graph)) std::abort();
    if (const auto written = write_onnx(*imported); !written) continue;
  }
  return 0;
}
