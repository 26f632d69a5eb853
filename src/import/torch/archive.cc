#include "import/torch/archive.h"

#include <algorithm>
#include <map>
#include <set>

#include "import/json/json.h"
#include "import/torch/graph.h"
#include "import/torch/pickle.h"
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
      case State::kStructure:
        QUERN_TRY(read_wanted(bytes));
        QUERN_TRY(parse_structure());
        return next_inner();
      case State::kInnerEnd: {
        if (bytes.size() != 1) return internal_error("one range was asked for");
        QUERN_ASSIGN(inner_, read_zip_end(bytes[0], payloads_[pickled_.back().name].size));
        QUERN_TRY(charge(inner_.size));
        state_ = State::kInnerDirectory;
        return std::vector<ByteRange>{{inner_offset() + inner_.offset, inner_.size}};
      }
      case State::kInnerDirectory:
        if (bytes.size() != 1) return internal_error("one range was asked for");
        QUERN_TRY(add_inner(bytes[0]));
        state_ = State::kPickle;
        return ranges();
      case State::kPickle:
        QUERN_TRY(read_wanted(bytes));
        QUERN_TRY(read_pickle());
        pickled_.pop_back();
        return next_inner();
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
  enum class State : uint8_t {
    kBegin,
    kEnd,
    kDirectory,
    kStructure,
    // For each of the zips in the zip that hold pickled tensors:
    kInnerEnd,
    kInnerDirectory,
    kPickle,
    kPayloads,
    kDone
  };

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
    if (const ZipEntry* old = find("serialized_exported_program.json")) {
      // Of PyTorch before 2.8: state and constants are files of torch.save.
      program_name_ = old->name;
      wanted_ = {{old, false}};
      for (const std::string_view name : {"serialized_state_dict.pt", "serialized_constants.pt"}) {
        QUERN_TRY(want_pickled(name));
      }
      return {};
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
    program_name_ = program->name;
    wanted_ = {{program, false}};
    for (const std::string_view kind : {"weights", "constants"}) {
      const std::string name = cat(prefix_, "data/", kind, "/", model_, "_", kind, "_config.json");
      if (const ZipEntry* entry = find(name)) {
        wanted_.push_back({entry, false});
      } else {
        // Of PyTorch 2.8.
        QUERN_TRY(want_pickled(cat(prefix_, "data/", kind, "/", model_, ".pt")));
      }
    }
    return {};
  }

  /// An entry that is a file of torch.save, itself a zip, if it is there.
  Result<void> want_pickled(std::string_view name) {
    const ZipEntry* entry = find(name);
    if (entry == nullptr || entry->size == 0) return {};
    if (entry->method != 0 || entry->stored_size != entry->size) {
      return unsupported(cat("a torch.export archive whose '", name, "' is compressed"));
    }
    wanted_.push_back({entry, true});
    pickled_.push_back(*entry);
    return {};
  }

  [[nodiscard]] uint64_t inner_offset() const {
    return payloads_.find(pickled_.back().name)->second.offset;
  }

  /// The end of the next zip in the zip; the contents of tensors where there is none left.
  Result<std::vector<ByteRange>> next_inner() {
    if (pickled_.empty()) {
      QUERN_TRY(want_payloads());
      state_ = wanted_.empty() ? State::kDone : State::kPayloads;
      return ranges();
    }
    state_ = State::kInnerEnd;
    const uint64_t size = pickled_.back().size;
    const uint64_t tail = std::min(size, kZipTail);
    return std::vector<ByteRange>{{inner_offset() + size - tail, tail}};
  }

  /// Makes the inner zip's entries entries of the file, by the names of both.
  Result<void> add_inner(std::span<const uint8_t> bytes) {
    QUERN_ASSIGN(std::vector<ZipEntry> inner, read_zip_directory(bytes, inner_));
    std::set<std::string> names;
    for (const ZipEntry& entry : entries_) names.insert(entry.name);
    std::optional<size_t> pickle;
    for (ZipEntry& entry : inner) {
      const bool is_pickle = entry.name == "data.pkl" || entry.name.ends_with("/data.pkl");
      if (is_pickle && pickle) return unsupported("a file of torch.save with two pickles");
      if (is_pickle) pickle = entries_.size();
      entry.name = cat(pickled_.back().name, "/", entry.name);
      entry.header_offset += inner_offset();
      if (!names.insert(entry.name).second) {
        return invalid_model(cat("broken zip archive: two entries of the name '", entry.name, "'"));
      }
      entries_.push_back(std::move(entry));
    }
    if (!pickle) {
      return unsupported(cat("'", pickled_.back().name, "' is no file of torch.save"));
    }
    wanted_ = {{&entries_[*pickle], false}};
    return {};
  }

  Result<void> read_pickle() {
    const std::string suffix = "data.pkl";
    for (auto payload = payloads_.begin(); payload != payloads_.end(); ++payload) {
      const std::string& name = payload->first;
      if (!name.starts_with(pickled_.back().name + "/") || !name.ends_with(suffix)) continue;
      auto tensors = torch::read_tensor_pickle(payload->second.bytes);
      if (!tensors) return std::unexpected(std::move(tensors).error().in(pickled_.back().name));
      const std::string folder = name.substr(0, name.size() - suffix.size());
      for (auto& [tensor, stored] : *tensors) {
        stored.payload = cat(folder, "data/", stored.payload);
        tensors_[tensor] = std::move(stored);
      }
      payloads_.erase(payload);
      return {};
    }
    return internal_error("a pickle that was not read");
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
    QUERN_ASSIGN(program_, parse(program_name_));
    if (!member(program_, "graph_module").is_object()) {
      return invalid_model(cat(program_name_, " is no exported program"));
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
  std::string prefix_, model_, program_name_;
  std::vector<ZipEntry> pickled_;  ///< zips in the zip that are still to be read, last ones first
  ZipDirectory inner_;
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
