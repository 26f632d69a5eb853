#include "shader/wgsl_text.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "generated/wgsl_files.h"

namespace quern {
namespace {

// The snippets whose functions generated code calls; a kernel's other snippets come by //@use.
constexpr std::string_view kLibrary[] = {"floats",     "math", "pow",   "trig",
                                         "arc",        "ints", "i64",   "i64_math",
                                         "i64_floats", "half", "float8"};

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

std::string_view trim(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t' || s.front() == '\n')) {
    s.remove_prefix(1);
  }
  while (!s.empty() &&
         (s.back() == ' ' || s.back() == '\t' || s.back() == '\n' || s.back() == '\r')) {
    s.remove_suffix(1);
  }
  return s;
}

// Fills in kind and name from the text of a declaration: attributes, keyword, template list, name.
void name_declaration(WgslDecl& decl, std::string_view source) {
  size_t at = 0;
  const auto skip_space = [&] {
    while (at < source.size() && (source[at] == ' ' || source[at] == '\n' || source[at] == '\t')) {
      ++at;
    }
  };
  const auto word = [&] {
    skip_space();
    const size_t begin = at;
    while (at < source.size() && is_word(source[at])) ++at;
    return source.substr(begin, at - begin);
  };
  const auto skip_group = [&](char open, char close) {
    skip_space();
    if (at >= source.size() || source[at] != open) return;
    for (int depth = 0; at < source.size();) {
      depth += source[at] == open ? 1 : source[at] == close ? -1 : 0;
      ++at;
      if (depth == 0) return;
    }
  };
  for (skip_space(); at < source.size() && source[at] == '@'; skip_space()) {
    ++at;
    word();
    skip_group('(', ')');
  }
  decl.kind = word();
  if (decl.kind == "var") skip_group('<', '>');
  if (decl.kind == "fn" || decl.kind == "const" || decl.kind == "override" || decl.kind == "var" ||
      decl.kind == "struct" || decl.kind == "alias") {
    decl.name = word();
  }
}

using DeclTable = std::unordered_map<std::string_view, const WgslDecl*>;

// The library's declarations by name; where two snippets have the same one (so that each is
// complete alone) they are equal. Made once, never freed.
struct Library {
  std::vector<std::vector<WgslDecl>> files;
  DeclTable names;
};

const Result<Library>& library() {
  static const auto& made = *new Result<Library>([]() -> Result<Library> {
    Library all;
    all.files.reserve(std::size(kLibrary));
    for (const std::string_view file : kLibrary) {
      QUERN_ASSIGN(const std::string_view text, wgsl_file(file));
      QUERN_ASSIGN(auto decls, parse_wgsl(text));
      all.files.push_back(std::move(decls));
      for (const WgslDecl& decl : all.files.back()) all.names.try_emplace(decl.name, &decl);
    }
    return all;
  }());
  return made;
}

}  // namespace

const std::string_view* WgslDecl::directive(std::string_view word) const {
  for (const std::string_view& d : directives) {
    if (d == word || (d.starts_with(word) && !is_word(d[word.size()]))) return &d;
  }
  return nullptr;
}

Result<std::vector<WgslDecl>> parse_wgsl(std::string_view text) {
  std::vector<WgslDecl> decls;
  WgslDecl current;
  size_t source = std::string_view::npos;  // where the current declaration begins
  size_t run = 0;                          // what is not yet copied to current.text
  int depth = 0;
  bool same_line = false;  // as the end of the last declaration
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '/' && i + 1 < text.size() && (text[i + 1] == '/' || text[i + 1] == '*')) {
      const bool line = text[i + 1] == '/';
      size_t end = line ? text.find('\n', i) : text.find("*/", i + 2);
      if (end == std::string_view::npos) end = text.size();
      const std::string_view comment = trim(text.substr(i, end - i));
      if (comment.starts_with("//@")) {
        const std::string_view directive = trim(comment.substr(3));
        if (source == std::string_view::npos && same_line && !decls.empty()) {
          decls.back().directives.push_back(directive);
        } else {
          current.directives.push_back(directive);
        }
      }
      if (source != std::string_view::npos) current.text += text.substr(run, i - run);
      run = line ? end : std::min(end + 2, text.size());
      i = run - 1;
      continue;
    }
    if (c == '\n') same_line = false;
    if (source == std::string_view::npos) {
      if (c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == ';') continue;
      source = run = i;
    }
    if (c == '{' || c == '(' || c == '[') ++depth;
    if (c == '}' || c == ')' || c == ']') --depth;
    if (depth < 0) return internal_error("WGSL: a closing bracket too many");
    if (depth == 0 && (c == ';' || c == '}')) {
      current.text += text.substr(run, i + 1 - run);
      name_declaration(current, text.substr(source, i + 1 - source));
      decls.push_back(std::move(current));
      current = {};
      source = std::string_view::npos;
      same_line = true;
    }
  }
  if (source != std::string_view::npos) return internal_error("WGSL: an unfinished declaration");
  return decls;
}

Result<std::string_view> wgsl_file(std::string_view name) {
  for (const WgslFile& file : wgsl_files()) {
    if (file.name == name) return file.text;
  }
  return internal_error(cat("no file ", name, ".wgsl"));
}

std::string rename_identifier(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  size_t copied = 0;
  for_each_identifier(text, [&](std::string_view word, size_t at) {
    if (word != from || (at > 0 && text[at - 1] == '.')) return;
    out += text.substr(copied, at - copied);
    out += to;
    copied = at + word.size();
  });
  out += text.substr(copied);
  return out;
}

Result<void> link_snippets(std::string& program, std::span<const WgslDecl> extra) {
  const Result<Library>& shared = library();
  if (!shared) return std::unexpected(shared.error());
  std::unordered_set<std::string> known;
  QUERN_ASSIGN(const auto own, parse_wgsl(program));
  for (const WgslDecl& decl : own) known.emplace(decl.name);
  std::vector<const WgslDecl*> needed;
  const auto refer = [&](std::string_view text) {
    for_each_identifier(text, [&](std::string_view word, size_t at) {
      if (at > 0 && text[at - 1] == '.') return;
      const WgslDecl* decl = nullptr;
      for (const WgslDecl& d : extra) {
        if (d.name == word) decl = &d;
      }
      if (decl == nullptr) {
        const auto it = shared->names.find(word);
        if (it == shared->names.end()) return;
        decl = it->second;
      }
      if (known.emplace(word).second) needed.push_back(decl);
    });
  };
  refer(program);
  for (size_t i = 0; i < needed.size(); ++i) refer(needed[i]->text);
  // Module scope has no order.
  for (const WgslDecl* decl : needed) program += cat(decl->text, "\n");
  return {};
}

}  // namespace quern
