// Programs from hand-written kernels: bindings numbered and merged, load and store functions
// rewritten for the tensors' element types, the epilogue in the store.
#include <algorithm>
#include <charconv>

#include "ir/expr_ops.h"
#include "shader/bindings.h"
#include "shader/elements.h"
#include "shader/expr_text.h"
#include "shader/index_text.h"
#include "shader/kernel_source.h"
#include "shader/lanes.h"
#include "shader/lower.h"
#include "shader/wgsl_text.h"

namespace quern {
namespace {

std::string without_spaces(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c != ' ' && c != '\n' && c != '\t') out += c;
  }
  return out;
}

// "vec4f" and "vec4<f32>" are one type.
std::string spelled_out(std::string_view type) {
  std::string t = without_spaces(type);
  if (t.size() == 5 && t.starts_with("vec")) {
    const std::string_view element = t[4] == 'f' ? "f32" : t[4] == 'i' ? "i32" : "u32";
    if (t[4] == 'f' || t[4] == 'i' || t[4] == 'u') return cat("vec", t[3], "<", element, ">");
  }
  return t;
}

// The scalar type of values in a load or store function; pairs are i64.
bool scalar_named(std::string_view type, Scalar& scalar) {
  for (const Scalar s : {Scalar::kF32, Scalar::kI32, Scalar::kU32, Scalar::kBool, Scalar::kI64}) {
    if (wgsl_type(s) != type) continue;
    scalar = s;
    return true;
  }
  return false;
}

// A variable of the kernel's file.
struct FileVar {
  const WgslDecl* decl = nullptr;
  std::string type;  // "array<f32>"
  bool is_uniform = false;
  bool is_output = false;
  bool known_type = false;  // an array of words or vectors of words:
  char base = 'u';
  uint32_t width = 1;
};

FileVar file_var(const WgslDecl& decl) {
  FileVar v;
  v.decl = &decl;
  const std::string_view text = decl.text;
  const size_t open = text.find('<');
  const size_t close = text.find('>', open);
  const std::string space = without_spaces(text.substr(open + 1, close - open - 1));
  v.is_uniform = space == "uniform";
  v.is_output = space == "storage,read_write";
  const size_t colon = text.find(':', close);
  v.type = without_spaces(text.substr(colon + 1, text.size() - colon - 2));
  if (v.type.starts_with("array<") && v.type.ends_with('>')) {
    const std::string element = spelled_out(std::string_view(v.type).substr(6, v.type.size() - 7));
    for (const uint32_t width : {1u, 2u, 4u}) {
      for (const char base : {'f', 'i', 'u'}) {
        if (array_type({"", base, width}) != cat("array<", element, ">")) continue;
        v.known_type = true;
        v.base = base;
        v.width = width;
      }
    }
  }
  return v;
}

// A function marked //@load x, //@load4 x, //@store x or //@store4 x.
struct Hook {
  size_t decl = 0;
  std::string_view variable;
  bool is_store = false;
  bool is_vector = false;  // of four
  Scalar type = Scalar::kF32;
};

class Instantiation {
 public:
  Instantiation(const KernelCall& call, KernelSource source, const ExprProgram* epilogue)
      : call_(call), source_(std::move(source)), epilogue_(epilogue) {}

  Result<ShaderText> run(std::span<const BindingPlan> bindings,
                         std::span<const BindingPlan> epilogue_inputs, const Target& target) {
    QUERN_TRY(find_hooks());
    QUERN_TRY(find_variables());
    QUERN_TRY(bind(bindings, epilogue_inputs, target));
    QUERN_TRY(write_epilogue());
    return assemble();
  }

 private:
  template <class... Parts>
  [[nodiscard]] std::unexpected<Error> broken(const Parts&... parts) const {
    return internal_error(cat("kernel ", call_.kernel, ": ", parts...));
  }

  Result<void> find_hooks();
  Result<Hook> read_hook(size_t decl, std::string_view variable, bool is_store, bool is_vector);
  Result<void> find_variables();
  [[nodiscard]] bool is_hook(size_t decl) const;
  [[nodiscard]] bool is_direct(std::string_view name) const;
  Result<void> bind(std::span<const BindingPlan> bindings,
                    std::span<const BindingPlan> epilogue_inputs, const Target& target);
  Result<void> write_epilogue();
  Result<std::string> hook_text(const Hook& hook);
  static std::string loaded(const Hook& hook, DType dtype, const std::string& value);
  Result<std::string> store_text(const Hook& hook, const BufferVar& var, DType dtype);
  Result<ShaderText> assemble();
  [[nodiscard]] std::string redirected(std::string text) const;

  const KernelCall& call_;
  KernelSource source_;
  const ExprProgram* epilogue_;
  std::vector<Hook> hooks_;
  std::vector<FileVar> variables_;  // per binding of the call
  const WgslDecl* uniform_ = nullptr;
  std::string_view params_struct_;
  std::string params_name_ = "params";
  std::vector<BoundTensor> tensors_;     // of the call, then of the epilogue
  std::vector<std::string> names_;       // of the epilogue's inputs
  std::vector<size_t> epilogue_tensor_;  // per input: its place in tensors_
  BindingTable table_;
  std::vector<std::string> var_types_;  // per variable, where it is no array of words
  std::string functions_;
};

Result<Hook> Instantiation::read_hook(size_t decl, std::string_view variable, bool is_store,
                                      bool is_vector) {
  Hook hook{decl, variable, is_store, is_vector, Scalar::kF32};
  const std::string_view text = source_.decls[decl].text;
  std::string_view type;
  if (is_store) {
    // fn store_y(i: u32, v: T)
    const size_t comma = text.find(',');
    const size_t colon = text.find(':', comma);
    int depth = 0;
    size_t end = colon;
    while (end < text.size() && !(depth == 0 && (text[end] == ')' || text[end] == ','))) {
      depth += text[end] == '<' ? 1 : text[end] == '>' ? -1 : 0;
      ++end;
    }
    if (comma == std::string_view::npos || end >= text.size()) {
      return broken("a store that is not fn(i: u32, v: T)");
    }
    type = text.substr(colon + 1, end - colon - 1);
  } else {
    const size_t arrow = text.find("->");
    const size_t brace = text.find('{');
    if (arrow == std::string_view::npos || brace < arrow) {
      return broken("a load that is not fn(i: u32) -> T");
    }
    type = text.substr(arrow + 2, brace - arrow - 2);
  }
  std::string name = spelled_out(source_.resolve(without_spaces(type)));
  // The alias's own text may be an alias of the language's.
  if (name.starts_with("vec4<")) {
    hook.is_vector = true;
    name = name.substr(5, name.size() - 6);
    name = spelled_out(source_.resolve(name));
  }
  if (!scalar_named(name, hook.type)) {
    return broken("values of type ", name, " of ", variable,
                  ", expected f32, i32, u32, bool, "
                  "vec2<u32>, or four");
  }
  return hook;
}

Result<void> Instantiation::find_hooks() {
  for (size_t d = 0; d < source_.decls.size(); ++d) {
    const WgslDecl& decl = source_.decls[d];
    if (decl.kind != "fn") continue;
    for (const std::string_view word : {"load", "load4", "store", "store4"}) {
      const std::string_view* directive = decl.directive(word);
      if (directive == nullptr) continue;
      std::string_view variable = directive->substr(word.size());
      while (variable.starts_with(' ')) variable.remove_prefix(1);
      QUERN_ASSIGN(Hook hook,
                   read_hook(d, variable, word.starts_with("store"), word.ends_with('4')));
      hooks_.push_back(hook);
    }
  }
  return {};
}

Result<void> Instantiation::find_variables() {
  std::vector<FileVar> found;
  for (const WgslDecl& decl : source_.decls) {
    if (decl.kind != "var" || decl.text.find("@binding") == std::string::npos) continue;
    FileVar v = file_var(decl);
    if (v.is_uniform) {
      uniform_ = &decl;
      params_name_ = decl.name;
      const std::string& text = decl.text;
      const size_t colon = text.rfind(':');
      for (const WgslDecl& s : source_.decls) {
        if (s.kind == "struct" && s.name == without_spaces(std::string_view(text).substr(
                                                colon + 1, text.size() - colon - 2))) {
          params_struct_ = s.name;
        }
      }
    } else {
      found.push_back(std::move(v));
    }
  }
  for (const KernelBinding& b : call_.bindings) {
    const auto it = std::find_if(found.begin(), found.end(),
                                 [&](const FileVar& v) { return v.decl->name == b.name; });
    if (it == found.end()) return broken("binds no ", b.name);
    variables_.push_back(*it);
    found.erase(it);
  }
  if (!found.empty()) return broken("nothing given for ", found[0].decl->name);
  return {};
}

bool Instantiation::is_hook(size_t decl) const {
  return std::any_of(hooks_.begin(), hooks_.end(), [&](const Hook& h) { return h.decl == decl; });
}

// Is the variable used outside of load and store functions, as `name[` or `&name`?
bool Instantiation::is_direct(std::string_view name) const {
  bool direct = false;
  for (size_t d = 0; d < source_.decls.size(); ++d) {
    if (source_.decls[d].kind != "fn" || is_hook(d)) continue;
    const std::string& text = source_.decls[d].text;
    for_each_identifier(text, [&](std::string_view word, size_t at) {
      if (word != name || (at > 0 && text[at - 1] == '.')) return;
      const size_t end = at + word.size();
      direct = direct || (end < text.size() && text[end] == '[') || (at > 0 && text[at - 1] == '&');
    });
  }
  return direct;
}

Result<void> Instantiation::bind(std::span<const BindingPlan> bindings,
                                 std::span<const BindingPlan> epilogue_inputs,
                                 const Target& target) {
  if (bindings.size() != call_.bindings.size() ||
      epilogue_inputs.size() != (epilogue_ != nullptr ? epilogue_->inputs.size() : 0)) {
    return broken("a binding plan of another size");
  }
  const auto words = [](DType dtype, uint32_t elements) {
    return std::max(1u, elements * static_cast<uint32_t>(bit_width(dtype)) / 32);
  };
  std::vector<bool> direct;
  for (size_t i = 0; i < variables_.size(); ++i) {
    const FileVar& v = variables_[i];
    const KernelBinding& b = call_.bindings[i];
    bool vector = false;
    bool hooked = false;
    for (const Hook& h : hooks_) {
      if (h.variable != b.name) continue;
      hooked = true;
      vector = vector || h.is_vector;
    }
    direct.push_back(!hooked || is_direct(b.name));
    BoundTensor t{b.name, b.dtype, bindings[i], words(b.dtype, vector ? 4 : 1), v.is_output};
    if (direct.back()) {
      t.words = v.width;
      t.base = v.base;
    }
    tensors_.push_back(t);
  }
  names_.reserve(epilogue_inputs.size());
  for (size_t k = 0; k < epilogue_inputs.size(); ++k) {
    epilogue_tensor_.push_back(tensors_.size());
    const ExprInput& input = epilogue_->inputs[k];
    if (input.is_anchor) continue;
    names_.push_back(cat("e", k));
    tensors_.push_back(
        {names_.back(), input.dtype, epilogue_inputs[k], words(input.dtype, 1), false});
  }
  QUERN_ASSIGN(table_, BindingTable::make(tensors_, target));
  var_types_.resize(table_.access().size());
  for (size_t i = 0; i < variables_.size(); ++i) {
    if (!direct[i]) continue;
    const FileVar& v = variables_[i];
    const BufferVar& var = table_.var(i);
    const bool same = v.known_type && var.base == v.base && var.width == v.width;
    if (!v.known_type && !table_.is_shared(i)) {
      var_types_[table_.index(i)] = v.type;  // atomics, structs
    } else if (!same) {
      return broken("uses ", tensors_[i].name, " as ", v.type,
                    " outside of load and store functions, but shares it with another type");
    }
  }
  return {};
}

Result<void> Instantiation::write_epilogue() {
  if (epilogue_ == nullptr) return {};
  const ExprProgram& program = *epilogue_;
  if (program.outputs.size() != 1) return broken("an epilogue with several outputs");
  Scalar type = Scalar::kF32;
  bool found = false;
  for (const Hook& h : hooks_) {
    if (!h.is_store || h.variable != call_.epilogue_at) continue;
    if (found && h.type != type) return broken("stores of different types");
    type = h.type;
    found = true;
  }
  if (!found) return broken("no store of '", call_.epilogue_at, "' for the epilogue");
  for (size_t i = 0; i < call_.bindings.size(); ++i) {
    if (call_.bindings[i].name == call_.epilogue_at &&
        call_.bindings[i].dtype != program.outputs[0].dtype) {
      return broken("an epilogue that gives ", name_of(program.outputs[0].dtype), " for ",
                    name_of(call_.bindings[i].dtype));
    }
  }
  const std::vector<NodeFacts> facts = facts_of(program);
  const LanePlan plan = lanes_of(program, facts);
  std::vector<bool> has_function(program.inputs.size(), false);
  ExprText::Options options;
  options.param_prefix = cat(params_name_, ".q");
  options.forms = &plan.loads;
  options.given.resize(program.nodes.size());
  for (size_t id = 0; id < program.nodes.size(); ++id) {
    const ExprNode& node = program.nodes[id];
    if (is_load(node.op) && program.inputs[node.slot].is_anchor) {
      options.given[id] = cast_text(node.type, type, "v");
    }
  }
  options.load = [&](uint32_t slot, const std::string& index) {
    const BufferVar& var = table_.var(epilogue_tensor_[slot]);
    const DType dtype = program.inputs[slot].dtype;
    if (is_plain(var, dtype)) return load_text(var, dtype, index);
    if (!has_function[slot]) {
      has_function[slot] = true;
      functions_ += cat("fn get_e", slot, "(i: u32) -> ", wgsl_type(compute_type(dtype)),
                        " {\nreturn ", load_text(var, dtype, "i"), ";\n}\n");
    }
    return cat("get_e", slot, "(", index, ")");
  };
  ExprText text(program, facts, std::move(options));
  const Expr value = program.outputs[0].value;
  const std::vector<std::string> result = text.write({&value, 1});
  functions_ +=
      cat("fn epilogue(i: u32, v: ", wgsl_type(type), ") -> ", wgsl_type(program.at(value).type),
          " {\n", index_statements(program.domain, text.used_axes(), cat(params_name_, ".q")),
          text.statements(), "return ", result[0], ";\n}\n");
  return {};
}

Result<std::string> Instantiation::store_text(const Hook& hook, const BufferVar& var, DType dtype) {
  const bool fused = epilogue_ != nullptr && hook.variable == call_.epilogue_at;
  const Scalar stored = compute_type(dtype);
  const auto converted = [&](const std::string& index, const std::string& v) {
    return fused ? cat("epilogue(", index, ", ", v, ")") : cast_text(stored, hook.type, v);
  };
  const int bits = bit_width(dtype);
  std::string body;
  if (hook.is_vector) {
    if (bits < 8 && !source_.stores_words) {
      return unsupported(cat("kernel ", call_.kernel, " stores ", name_of(dtype),
                             " in parts of words: write f32 and cast"));
    }
    std::vector<std::string> values;
    for (uint32_t k = 0; k < 4; ++k) {
      body +=
          cat("let v", k, " = ", converted(cat("i * 4u + ", k, "u"), cat("v.", "xyzw"[k])), ";\n");
      std::string value = cat("v", k);
      if (dtype == DType::kF64) value = cat("f64_of_f32(", value, ")");
      values.push_back(std::move(value));
    }
    if (bits < 8) {
      return unsupported(cat("kernel ", call_.kernel, " stores four elements of ", name_of(dtype)));
    }
    store_words(body, var, "o", "i",
                pack_text(dtype == DType::kF64 ? DType::kU64 : dtype, var.base, values), 0, 4);
    return body;
  }
  if (bits >= 32) {
    if (is_plain(var, dtype)) return cat(var.name, "[i] = ", converted("i", "v"), ";\n");
    std::string value = converted("i", "v");
    if (dtype == DType::kF64) value = cat("f64_of_f32(", value, ")");
    body = cat("let w = ", value, ";\n");
    store_words(body, var, "o", "i",
                pack_text(dtype == DType::kF64 ? DType::kU64 : dtype, var.base, {"w"}), 0, 1);
    return body;
  }
  if (!source_.stores_words) {
    return unsupported(cat("kernel ", call_.kernel, " stores single elements of ", hook.variable,
                           ", which can't be ", name_of(dtype),
                           ": neighbours in a word would race; write f32 to a scratch tensor and "
                           "cast it"));
  }
  const auto per_word = static_cast<uint32_t>(32 / bits);
  const uint32_t mask = (1u << bits) - 1;
  const std::string target = word_text(var, cat("i / ", per_word, "u"));
  return cat("let at = i % ", per_word, "u * ", bits, "u;\n", target, " = (", target, " & ~(", mask,
             "u << at)) | (", element_bits(dtype, converted("i", "v")), " << at);\n");
}

// An element, widened to compute_type(dtype), in the type of a load function.
std::string Instantiation::loaded(const Hook& hook, DType dtype, const std::string& value) {
  if (hook.type == Scalar::kF32 && is_unsigned_int(dtype) && bit_width(dtype) < 32) {
    return cat("f32(", value, ")");  // exact
  }
  return cast_text(hook.type, compute_type(dtype), value);
}

Result<std::string> Instantiation::hook_text(const Hook& hook) {
  const WgslDecl& decl = source_.decls[hook.decl];
  size_t at = 0;
  while (at < call_.bindings.size() && call_.bindings[at].name != hook.variable) ++at;
  if (at == call_.bindings.size()) return broken("a function for ", hook.variable, ", not bound");
  const BufferVar& var = table_.var(at);
  const DType dtype = call_.bindings[at].dtype;
  const FileVar& file = variables_[at];
  const bool fused = hook.is_store && epilogue_ != nullptr && hook.variable == call_.epilogue_at;
  const bool pair = hook.type == Scalar::kI64;
  // As it stands, where nothing differs.
  if (!fused && var.name == hook.variable && file.known_type && var.base == file.base &&
      var.width == file.width && wgsl_type(compute_type(dtype)) == wgsl_type(hook.type) &&
      ((bit_width(dtype) == 32 && var.width == 1 && !hook.is_vector) ||
       (pair && is_integer(dtype) && bit_width(dtype) == 64))) {
    return decl.text;
  }
  const std::string value_type =
      hook.is_vector ? cat("vec4<", wgsl_type(hook.type), ">") : std::string(wgsl_type(hook.type));
  // Pairs of words are raw: the bits of a double stay what they are.
  const DType as = pair && dtype == DType::kF64 ? DType::kU64 : dtype;
  if (hook.is_store) {
    QUERN_ASSIGN(const std::string body, store_text(hook, var, as));
    return cat("fn ", decl.name, "(i: u32, v: ", value_type, ") {\n", body, "}");
  }
  std::string body;
  if (!hook.is_vector) {
    body = cat("return ", loaded(hook, as, load_text(var, as, "i")), ";\n");
  } else {
    const uint32_t bits = 4 * static_cast<uint32_t>(bit_width(as));
    std::vector<std::string> words;
    char base = var.base;
    if (bits < 32) {
      words = {"w"};
      base = 'u';
      body = cat("let w = ", word_u32(var, cat("i / ", 32 / bits, "u")), " >> (i % ", 32 / bits,
                 "u * ", bits, "u);\n");
    } else if (bits == 128 && var.width == 4 && var.base == word_base(as) &&
               hook.type == compute_type(as)) {
      return cat("fn ", decl.name, "(i: u32) -> ", value_type, " {\nreturn ", var.name, "[i];\n}");
    } else {
      words = load_words(body, var, "w", "i", bits / 32);
    }
    std::vector<std::string> lanes;
    for (uint32_t k = 0; k < 4; ++k) {
      lanes.push_back(loaded(hook, as, lane_text(as, base, words, k)));
    }
    body += cat("return ", value_type, "(", join(lanes, ", "), ");\n");
  }
  return cat("fn ", decl.name, "(i: u32) -> ", value_type, " {\n", body, "}");
}

// Uses of merged variables, outside of load and store functions, by the name of the one bound.
std::string Instantiation::redirected(std::string text) const {
  for (size_t i = 0; i < variables_.size(); ++i) {
    const std::string_view from = tensors_[i].name;
    const std::string& to = table_.var(i).name;
    if (from == to || text.find(from) == std::string::npos) continue;
    std::string out;
    size_t copied = 0;
    for_each_identifier(text, [&](std::string_view word, size_t at) {
      const size_t end = at + word.size();
      if (word != from || (at > 0 && text[at - 1] == '.')) return;
      if (!(end < text.size() && text[end] == '[') && !(at > 0 && text[at - 1] == '&')) return;
      out += std::string_view(text).substr(copied, at - copied);
      out += to;
      copied = end;
    });
    out += std::string_view(text).substr(copied);
    text = std::move(out);
  }
  return text;
}

Result<ShaderText> Instantiation::assemble() {
  ShaderText shader;
  shader.overrides = std::move(source_.overrides);
  shader.bindings = table_.access();
  const std::string extra = epilogue_ != nullptr ? param_declaration(*epilogue_, "q") : "";
  const size_t extra_words = epilogue_ != nullptr ? param_words(*epilogue_).size() : 0;
  shader.param_words = static_cast<uint32_t>(call_.params.size() + extra_words);
  if (uniform_ == nullptr && !call_.params.empty()) return broken("parameters, but no uniform");

  std::string head;
  std::string body;
  for (size_t d = 0; d < source_.decls.size(); ++d) {
    const WgslDecl& decl = source_.decls[d];
    if (decl.kind == "enable" || decl.kind == "requires" || decl.kind == "diagnostic") {
      head += cat(decl.text, "\n");
    } else if (decl.kind == "var" && decl.text.find("@binding") != std::string::npos) {
      continue;
    } else if (decl.kind == "struct" && decl.name == params_struct_) {
      std::string text = decl.text;
      const auto fields = static_cast<size_t>(std::count(text.begin(), text.end(), ':'));
      if (fields != call_.params.size()) {
        return broken("Params has ", fields, " fields, ", call_.params.size(), " given");
      }
      if (!extra.empty()) {
        text.pop_back();
        while (text.ends_with(' ') || text.ends_with('\n') || text.ends_with(',')) text.pop_back();
        text += cat(fields > 0 ? ", " : " ", extra, " }");
      }
      body += cat(text, "\n");
    } else if (is_hook(d)) {
      for (const Hook& h : hooks_) {
        if (h.decl != d) continue;
        QUERN_ASSIGN(const std::string text, hook_text(h));
        body += cat(text, "\n");
      }
    } else {
      body += cat(decl.kind == "fn" ? redirected(decl.text) : decl.text, "\n");
    }
  }
  std::string& out = shader.wgsl;
  out = cat(head, table_.declarations(var_types_));
  if (shader.param_words > 0 || uniform_ != nullptr) {
    std::string type(params_struct_);
    if (uniform_ == nullptr) {
      type = "EpilogueParams";
      out += cat("struct ", type, " { ", extra, " }\n");
    } else if (type.empty()) {
      return broken("its uniform is no struct");
    }
    out += cat("@group(0) @binding(", shader.bindings.size(), ") var<uniform> ", params_name_, ": ",
               type, ";\n");
    shader.bindings.push_back(Access::kUniform);
  }
  out += body + functions_;
  QUERN_TRY(link_snippets(out, source_.used));
  return shader;
}

}  // namespace

Result<ShaderText> instantiate(const KernelCall& call, std::span<const BindingPlan> bindings,
                               const ExprProgram* epilogue,
                               std::span<const BindingPlan> epilogue_inputs, const Target& target) {
  QUERN_ASSIGN(KernelSource source, kernel_source(call.kernel, call.config));
  return instantiate_source(call, std::move(source), bindings, epilogue, epilogue_inputs, target);
}

Result<ShaderText> instantiate_source(const KernelCall& call, KernelSource source,
                                      std::span<const BindingPlan> bindings,
                                      const ExprProgram* epilogue,
                                      std::span<const BindingPlan> epilogue_inputs,
                                      const Target& target) {
  return Instantiation(call, std::move(source), epilogue).run(bindings, epilogue_inputs, target);
}

}  // namespace quern
