#include "import/torch/archive.h"

#include <algorithm>
#include <map>

#include "import/json/json.h"
#include "import/torch/graph.h"
#include "import/zip/zip.h"

namespace quern {
namespace {

using torch::Payload;

/// An entry to be read, and the range that was asked for.
struct Wanted {
  const ZipEntry* entry = nullptr;
  bool header_only = false;
};

class TorchImporter : public Importer {
 public:
  TorchImporter(uint64_t size, const ConvertOptions& options)
      : file_size_(size), options_(options), left_(options.memory_limit) {}

  Result<std::vector<ByteRange>> advance(std::span<const std::span<const uint8_t>> bytes) override {
    switch (state_) {
      case State::kBegin: {
        state_ = State::kEnd;
        const uint64_t tail = std::min(file_size_, kZipTail);
        return std::vector<ByteRange>{{file_size_ - tail, tail}};
      }
      case State::kEnd: {
        if (bytes.size() != 1) return internal_error("one range was asked for");
        QUERN_ASSIGN(directory_, read_zip_end(bytes[0], file_size_));
        QUERN_TRY(charge(directory_.size));
        state_ = State::kDirectory;
        return std::vector<ByteRange>{{directory_.offset, directory_.size}};
      }
      case State::kDirectory: {
        if (bytes.size() != 1) return internal_error("one range was asked for");
        QUERN_ASSIGN(entries_, read_zip_directory(bytes[0], directory_));
        QUERN_TRY(find_structure());
        state_ = State::kStructure;
        return ranges();
      }
      case State::kStructure: {
        QUERN_TRY(read_wanted(bytes));
        QUERN_TRY(parse_structure());
        QUERN_TRY(want_payloads());
        state_ = wanted_.empty() ? State::kDone : State::kPayloads;
        return ranges();
      }
      case State::kPayloads:
        QUERN_TRY(read_wanted(bytes));
        state_ = State::kDone;
        return std::vector<ByteRange>{};
      case State::kDone:
        break;
    }
    return std::vector<ByteRange>{};
  }

  Result<Model> take() override {
    if (state_ != State::kDone) return internal_error("the archive is not read yet");
    return torch::build_model(program_, [this](torch::Weights& weights) {
      weights.payloads = std::move(payloads_);
      weights.tensors = std::move(tensors_);
      return Result<void>();
    });
  }

 private:
  enum class State : uint8_t { kBegin, kEnd, kDirectory, kStructure, kPayloads, kDone };

  Result<void> charge(uint64_t bytes) {
    if (bytes > left_) {
      return limit_exceeded(
          cat("the archive's structure takes more than ", options_.memory_limit, " bytes"));
    }
    left_ -= bytes;
    return {};
  }

  const ZipEntry* find(std::string_view name) const {
    const auto found = std::ranges::find(entries_, name, &ZipEntry::name);
    return found == entries_.end() ? nullptr : &*found;
  }

  Result<void> find_structure() {
    std::vector<std::string_view> names;
    for (const ZipEntry& entry : entries_) names.push_back(entry.name);
    const Format format = format_of_zip(names);
    if (format != Format::kTorchExport) {
      const std::string advice = torch_advice(format);
      return advice.empty() ? unsupported("a zip file that holds no model of a known format")
                            : unsupported(advice);
    }
    if (find("serialized_exported_program.json") != nullptr) {
      return unsupported(
          "a torch.export archive of PyTorch before 2.8, whose weights are pickled; load and save "
          "it with a newer one: torch.export.save(torch.export.load('model.pt2'), 'model.pt2')");
    }
    const ZipEntry* program = nullptr;
    for (const ZipEntry& entry : entries_) {
      const size_t at = entry.name.find("models/");
      if (at == entry.name.npos || !entry.name.ends_with(".json")) continue;
      if (at != 0 && entry.name[at - 1] != '/') continue;
      if (program != nullptr) {
        return unsupported(
            cat("an archive of several models: '", program->name, "', '", entry.name, "'"));
      }
      program = &entry;
      prefix_ = entry.name.substr(0, at);
      model_ = entry.name.substr(at + 7, entry.name.size() - at - 7 - 5);
    }
    wanted_ = {{program, false}};
    for (const std::string_view kind : {"weights", "constants"}) {
      const std::string name = cat(prefix_, "data/", kind, "/", model_, "_", kind, "_config.json");
      if (const ZipEntry* entry = find(name)) {
        wanted_.push_back({entry, false});
      } else if (find(cat(prefix_, "data/", kind, "/", model_, ".pt")) != nullptr) {
        return unsupported(cat("a torch.export archive with pickled ", kind,
                               " (PyTorch 2.8); save it with PyTorch 2.9 or newer"));
      }
    }
    return {};
  }

  Result<std::vector<ByteRange>> ranges() {
    std::vector<ByteRange> out;
    std::vector<uint64_t> starts;
    for (const ZipEntry& entry : entries_) starts.push_back(entry.header_offset);
    std::ranges::sort(starts);
    for (const Wanted& wanted : wanted_) {
      const uint64_t from = wanted.entry->header_offset;
      const auto next = std::ranges::upper_bound(starts, from);
      const uint64_t end = next == starts.end() ? directory_.offset : *next;
      uint64_t length = std::min(end - from, kZipLocalHeader);
      if (!wanted.header_only) {
        // The extra field aligns the bytes, and is no longer than 64 KiB, as the name.
        length = std::min(end - from, wanted.entry->stored_size + kZipLocalHeader + 2 * 65535);
        QUERN_TRY(charge(length));
        QUERN_TRY(charge(wanted.entry->size));
      }
      out.push_back({from, length});
    }
    return out;
  }

  Result<void> read_wanted(std::span<const std::span<const uint8_t>> bytes) {
    if (bytes.size() != wanted_.size()) return internal_error("other ranges were asked for");
    for (size_t i = 0; i < bytes.size(); ++i) {
      const ZipEntry& entry = *wanted_[i].entry;
      QUERN_ASSIGN(const uint64_t offset, zip_data_offset(entry, bytes[i], directory_.offset));
      Payload payload{.offset = offset, .size = entry.size, .in_file = wanted_[i].header_only};
      if (!payload.in_file) {
        const uint64_t skip = offset - entry.header_offset;
        if (skip > bytes[i].size() || entry.stored_size > bytes[i].size() - skip) {
          return invalid_model(
              cat("broken zip archive: entry '", entry.name, "' runs into the next one"));
        }
        QUERN_ASSIGN(payload.bytes,
                     unzip(entry, bytes[i].subspan(static_cast<size_t>(skip),
                                                   static_cast<size_t>(entry.stored_size))));
      }
      payloads_[entry.name] = std::move(payload);
    }
    wanted_.clear();
    return {};
  }

  Result<Json> parse(const std::string& name) {
    auto json = parse_json(payloads_[name].bytes);
    if (!json) return std::unexpected(std::move(json).error().in(name));
    payloads_.erase(name);
    return json;
  }

  Result<void> parse_structure() {
    QUERN_ASSIGN(program_, parse(cat(prefix_, "models/", model_, ".json")));
    if (!member(program_, "graph_module").is_object()) {
      return invalid_model(cat(prefix_, "models/", model_, ".json is no exported program"));
    }
    const int64_t version =
        integer_of(member(member(program_, "schema_version"), "major")).value_or(0);
    if (version < 5 || version > 8) {
      return unsupported(cat("version ", version, " of torch.export's schema; 5 to 8 are read"));
    }
    for (const std::string kind : {"weights", "constants"}) {
      const std::string name = cat(prefix_, "data/", kind, "/", model_, "_", kind, "_config.json");
      if (!payloads_.contains(name)) continue;
      QUERN_ASSIGN(const Json config, parse(name));
      const Json& list = member(config, "config");
      if (!list.is_object()) continue;
      for (const auto& [tensor, info] : list.items()) {
        if (!member(info, "tensor_meta").is_object()) continue;
        auto meta = torch::read_tensor_meta(member(info, "tensor_meta"), {});
        if (!meta) return std::unexpected(std::move(meta).error().in(cat("tensor '", tensor, "'")));
        if (member(info, "use_pickle") == true) {
          return unsupported(cat("tensor '", tensor, "' is pickled"));
        }
        tensors_[tensor] = {cat(prefix_, "data/", kind, "/", text_of(member(info, "path_name"))),
                            *std::move(meta)};
      }
    }
    return {};
  }

  Result<void> want_payloads() {
    std::map<std::string_view, const ZipEntry*> by_name;
    for (const ZipEntry& entry : entries_) by_name[entry.name] = &entry;
    std::map<std::string_view, const ZipEntry*> needed;
    for (const std::string& name : torch::stored_names(program_)) {
      const auto tensor = tensors_.find(name);
      if (tensor == tensors_.end()) continue;
      const auto entry = by_name.find(tensor->second.payload);
      if (entry != by_name.end()) needed[entry->first] = entry->second;
    }
    for (const auto& [name, entry] : needed) {
      const bool stays = entry->method == 0 && entry->size >= options_.inline_below;
      if (stays && entry->stored_size != entry->size) {
        return invalid_model(
            cat("broken zip archive: entry '", name, "' is stored, but of two sizes"));
      }
      wanted_.push_back({entry, stays});
    }
    return {};
  }

  uint64_t file_size_;
  ConvertOptions options_;
  uint64_t left_;
  State state_ = State::kBegin;
  ZipDirectory directory_;
  std::vector<ZipEntry> entries_;
  std::vector<Wanted> wanted_;
  std::string prefix_, model_;
  Json program_;
  std::map<std::string, Payload, std::less<>> payloads_;
  std::map<std::string, torch::StoredTensor, std::less<>> tensors_;
};

constexpr std::string_view kThreeLines =
    "export the model with its graph instead:\n"
    "  model.eval()\n"
    "  program = torch.export.export(model, (example_input,))\n"
    "  torch.export.save(program, 'model.pt2')";

}  // namespace

std::unique_ptr<Importer> make_torch_importer(uint64_t size, const ConvertOptions& options) {
  return std::make_unique<TorchImporter>(size, options);
}

std::string torch_advice(Format format) {
  if (format == Format::kTorchWeights) {
    return cat("a file of torch.save: weights alone, or a pickled model, which is never executed; ",
               kThreeLines);
  }
  if (format == Format::kTorchScript) {
    return cat("a TorchScript file (torch.jit.save), which PyTorch itself gives up; ", kThreeLines);
  }
  return "";
}

}  // namespace quern
