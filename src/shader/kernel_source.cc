#include "shader/kernel_source.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "shader/unroll.h"

namespace quern {
namespace {

std::string_view trim(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t' || s.back() == '\r'))
    s.remove_suffix(1);
  return s;
}

// "true" and "1" are; "false", "0" and what is missing are not.
bool is_set(const std::string* value) {
  return value != nullptr && *value != "0" && *value != "false" && !value->empty();
}

class Reader {
 public:
  Reader(std::string_view kernel, const std::vector<ConfigEntry>& config)
      : kernel_(kernel), config_(config), used_(config.size(), false) {}

  Result<KernelSource> run(std::string_view text) {
    files_.push_back(kernel_);
    QUERN_TRY(read_text(kernel_, text, source_.decls));
    for (size_t i = 0; i < config_.size(); ++i) {
      if (!used_[i]) {
        return internal_error(
            cat("kernel ", kernel_, " has nothing that config ", config_[i].name, " sets"));
      }
    }
    return std::move(source_);
  }

 private:
  const std::string* value_of(std::string_view name) {
    for (size_t i = 0; i < config_.size(); ++i) {
      if (config_[i].name != name) continue;
      used_[i] = true;
      return &config_[i].value;
    }
    return nullptr;
  }

  // The lines that are kept, without those of directives for this stage.
  Result<std::string> choose_lines(std::string_view file, std::string_view text,
                                   std::vector<std::string_view>& uses) {
    std::string out;
    std::vector<std::pair<bool, bool>> open;  // kept, and: the parts around are kept
    bool keep = true;
    while (!text.empty()) {
      const size_t end = std::min(text.find('\n'), text.size() - 1);
      const std::string_view line = trim(text.substr(0, end + 1 - (text[end] == '\n' ? 1 : 0)));
      text.remove_prefix(end + 1);
      if (line.starts_with("//#if ")) {
        std::string_view name = trim(line.substr(6));
        const bool negated = name.starts_with('!');
        if (negated) name.remove_prefix(1);
        const bool chosen = is_set(value_of(name)) != negated;
        open.emplace_back(chosen, keep);
        keep = keep && chosen;
      } else if (line.starts_with("//#else") || line.starts_with("//#endif")) {
        if (open.empty()) return internal_error(cat(file, ".wgsl: ", line, " without //#if"));
        if (line.starts_with("//#else")) {
          keep = open.back().second && !open.back().first;
        } else {
          keep = open.back().second;
          open.pop_back();
        }
      } else if (!keep) {
        continue;
      } else if (line.starts_with("//@use ")) {
        uses.push_back(trim(line.substr(7)));
      } else if (line.starts_with("//@words")) {
        source_.stores_words = true;
      } else {
        note_constant(line);
        out += line;
        out += '\n';
      }
    }
    if (!open.empty()) return internal_error(cat(file, ".wgsl: //#if without //#endif"));
    return out;
  }

  /// Of `const NAME = VALUE;`, a constant that bounds of loops may name.
  void note_constant(std::string_view line) {
    if (!line.starts_with("const ")) return;
    const size_t equals = line.find('=');
    const size_t end = line.find(';');
    if (end == std::string_view::npos || equals > end) return;
    std::string_view name = trim(line.substr(6, equals - 6));
    name = name.substr(0, name.find(':'));
    const bool configured = line.find("//@config") != std::string_view::npos;
    const std::string* value = configured ? value_of(name) : nullptr;
    constants_.add(
        std::string(name),
        value != nullptr ? *value : std::string(trim(line.substr(equals + 1, end - equals - 1))));
  }

  Result<void> read(std::string_view file, std::vector<WgslDecl>& decls) {
    if (std::find(files_.begin(), files_.end(), file) != files_.end()) return {};
    files_.push_back(file);
    QUERN_ASSIGN(const std::string_view text, wgsl_file(file));
    return read_text(file, text, decls);
  }

  Result<void> read_text(std::string_view file, std::string_view text,
                         std::vector<WgslDecl>& decls) {
    std::vector<std::string_view> uses;
    QUERN_ASSIGN(const std::string kept, choose_lines(file, text, uses));
    QUERN_ASSIGN(std::string unrolled, unroll_loops(file, kept, constants_));
    source_.texts.push_back(std::move(unrolled));
    auto parsed = parse_wgsl(source_.texts.back());
    if (!parsed) return std::unexpected(std::move(parsed.error()).in(cat(file, ".wgsl")));
    for (WgslDecl& decl : *parsed) {
      QUERN_TRY(configure(decl));
      decls.push_back(std::move(decl));
    }
    for (const std::string_view name : uses) QUERN_TRY(read(name, source_.used));
    return {};
  }

  Result<void> configure(WgslDecl& decl) {
    const bool is_override = decl.kind == "override";
    if (!is_override && decl.directive("config") == nullptr) return {};
    const std::string* value = value_of(decl.name);
    if (value == nullptr) return {};
    if (is_override) {
      double number = *value == "true" ? 1 : 0;
      if (*value != "true" && *value != "false") {
        // libc++'s from_chars has no floating point.
        char* last = nullptr;
        number = std::strtod(value->c_str(), &last);
        if (value->empty() || last != value->data() + value->size()) {
          return internal_error(cat("config ", decl.name, " = ", *value, " is no number"));
        }
      }
      source_.overrides.emplace_back(decl.name, number);
      return {};
    }
    const size_t equals = decl.text.find('=');
    if (equals == std::string::npos) {
      return internal_error(cat("config ", decl.name, " of kernel ", kernel_, " has no value"));
    }
    const std::string_view old =
        trim(std::string_view(decl.text).substr(equals + 1, decl.text.size() - equals - 2));
    std::string text = *value;
    if (old == "true" || old == "false") {
      text = is_set(value) ? "true" : "false";
    } else if (decl.kind == "const" && !old.empty() && text != "true" && text != "false") {
      const char suffix = old.back();  // of the number that stood there: 8u, 1f
      if (suffix == 'u' || suffix == 'i' || suffix == 'f') text += suffix;
    }
    decl.text = cat(std::string_view(decl.text).substr(0, equals), "= ", text, ";");
    return {};
  }

  std::string_view kernel_;
  const std::vector<ConfigEntry>& config_;
  std::vector<bool> used_;
  std::vector<std::string_view> files_;
  WgslConstants constants_;
  KernelSource source_;
};

}  // namespace

std::string_view KernelSource::resolve(std::string_view type) const {
  for (int step = 0; step < 8; ++step) {
    const WgslDecl* alias = nullptr;
    for (const auto* list : {&decls, &used}) {
      for (const WgslDecl& decl : *list) {
        if (decl.kind == "alias" && decl.name == type) alias = &decl;
      }
    }
    if (alias == nullptr) break;
    const size_t equals = alias->text.find('=');
    if (equals == std::string::npos) break;
    type = trim(std::string_view(alias->text).substr(equals + 1, alias->text.size() - equals - 2));
  }
  return type;
}

Result<KernelSource> kernel_source(std::string_view name, const std::vector<ConfigEntry>& config) {
  QUERN_ASSIGN(const std::string_view text, wgsl_file(name));
  return kernel_source_of(name, text, config);
}

Result<KernelSource> kernel_source_of(std::string_view name, std::string_view text,
                                      const std::vector<ConfigEntry>& config) {
  return Reader(name, config).run(text);
}

}  // namespace quern
