// WGSL kernels from expression programs. An invocation computes `lanes` neighbouring elements
// (lanes.h): where that is more than one, the element is a function, called for each lane with the
// lane's components of the vectors that the loads gave.
#include <algorithm>
#include <bit>

#include "ir/expr_ops.h"
#include "shader/bindings.h"
#include "shader/elements.h"
#include "shader/expr_text.h"
#include "shader/index_text.h"
#include "shader/lanes.h"
#include "shader/lower.h"
#include "shader/wgsl_text.h"

namespace quern {
namespace {

constexpr std::string_view kParams = "p.p";

bool is_pair(Scalar t) { return t == Scalar::kI64 || t == Scalar::kU64; }

class KernelWriter {
 public:
  KernelWriter(const ExprProgram& program, const ExprSchedule& schedule, const Target& target)
      : program_(program),
        schedule_(schedule),
        facts_(facts_of(program)),
        plan_(lanes_of(program, facts_)),
        tile_(tile_of(program, facts_, target)),
        shared_(is_shared(program, facts_, schedule)) {
    if (tile_.used()) plan_ = {.loads = std::vector(program.nodes.size(), LoadForm::kAny)};
  }

  Result<ShaderText> write(std::span<const BindingPlan> inputs,
                           std::span<const BindingPlan> outputs, const Target& target);

 private:
  struct Hoisted {
    uint32_t id;                     // the load
    std::vector<std::string> lanes;  // its value in each lane
  };

  Result<void> bind(std::span<const BindingPlan> inputs, std::span<const BindingPlan> outputs,
                    const Target& target);
  ExprText::Options options();
  std::vector<uint32_t> hoisted_loads() const;
  Hoisted hoist(uint32_t id, const std::string& value, const std::string& group);
  std::string load(uint32_t slot, const std::string& index);
  void write_flat(uint32_t workgroup_size);
  void write_single();
  void write_lanes();
  void write_lane_calls();
  void write_tiled();
  void write_element(ExprText& element, const std::vector<Hoisted>& hoisted, bool from_flat);
  void write_outputs(const std::vector<std::vector<std::string>>& lanes);
  void write_store(size_t output, std::vector<std::string> lanes);
  std::vector<Expr> output_values() const;

  const ExprProgram& program_;
  const ExprSchedule& schedule_;
  std::vector<NodeFacts> facts_;
  LanePlan plan_;
  TilePlan tile_;
  bool shared_;
  std::vector<std::string> names_;
  std::vector<bool> uses_load_function_;  // per input
  BindingTable table_;
  std::string main_;  // statements
  std::string functions_;
  std::string workgroup_;  // declarations
};

std::vector<Expr> KernelWriter::output_values() const {
  std::vector<Expr> values;
  for (const ExprOutput& output : program_.outputs) values.push_back(output.value);
  return values;
}

// Loads that the lanes take together, before the element function is called: those nearest to the
// outputs.
std::vector<uint32_t> KernelWriter::hoisted_loads() const {
  std::vector<uint32_t> found;
  walk_down(program_, output_values(), [&](Expr e) {
    const bool is_hoisted = plan_.loads[e.id] != LoadForm::kAny;
    if (is_hoisted) found.push_back(e.id);
    return !is_hoisted;
  });
  std::sort(found.begin(), found.end());
  return found;
}

Result<void> KernelWriter::bind(std::span<const BindingPlan> inputs,
                                std::span<const BindingPlan> outputs, const Target& target) {
  const auto words = [&](DType dtype, uint32_t lanes) {
    return std::max(1u, lanes * static_cast<uint32_t>(bit_width(dtype)) / 32);
  };
  std::vector<uint32_t> taken(program_.inputs.size(), 1);  // elements at once
  if (plan_.lanes > 1 && !plan_.has_loops) {
    for (const uint32_t id : hoisted_loads()) {
      if (plan_.loads[id] != LoadForm::kSplat) taken[program_.nodes[id].slot] = plan_.lanes;
    }
  }
  std::vector<BoundTensor> tensors;
  names_.reserve(program_.inputs.size() + program_.outputs.size());
  for (size_t i = 0; i < program_.inputs.size(); ++i) {
    if (program_.inputs[i].is_anchor) return internal_error("an anchor outside an epilogue");
    const DType dtype = program_.inputs[i].dtype;
    names_.push_back(cat("x", i));
    tensors.push_back({names_.back(), dtype, inputs[i], words(dtype, taken[i]), false});
  }
  for (size_t i = 0; i < program_.outputs.size(); ++i) {
    const DType dtype = program_.outputs[i].dtype;
    if (compute_type(dtype) != program_.at(program_.outputs[i].value).type) {
      return internal_error(cat("output ", i, " of an expression has another type"));
    }
    names_.push_back(cat("y", i));
    tensors.push_back({names_.back(), dtype, outputs[i], words(dtype, plan_.lanes), true});
  }
  QUERN_ASSIGN(table_, BindingTable::make(tensors, target));
  uses_load_function_.assign(program_.inputs.size(), false);
  return {};
}

std::string KernelWriter::load(uint32_t slot, const std::string& index) {
  const BufferVar& var = table_.var(slot);
  const DType dtype = program_.inputs[slot].dtype;
  if (is_plain(var, dtype)) return load_text(var, dtype, index);
  if (!uses_load_function_[slot]) {
    uses_load_function_[slot] = true;
    functions_ += cat("fn get", slot, "(i: u32) -> ", wgsl_type(compute_type(dtype)), " {\nreturn ",
                      load_text(var, dtype, "i"), ";\n}\n");
  }
  return cat("get", slot, "(", index, ")");
}

ExprText::Options KernelWriter::options() {
  ExprText::Options o;
  o.param_prefix = kParams;
  o.load = [this](uint32_t slot, const std::string& index) { return load(slot, index); };
  o.forms = &plan_.loads;
  o.shared_by = shared_ ? schedule_.workgroup_size : 0;
  return o;
}

// The words of a load that is the same for all lanes, or a vector: each lane's value.
KernelWriter::Hoisted KernelWriter::hoist(uint32_t id, const std::string& value,
                                          const std::string& group) {
  Hoisted h{id, {}};
  if (plan_.loads[id] == LoadForm::kSplat) {
    h.lanes.assign(plan_.lanes, value);
    return h;
  }
  const uint32_t slot = program_.nodes[id].slot;
  const DType dtype = program_.inputs[slot].dtype;
  const BufferVar& var = table_.var(slot);
  const uint32_t bits = plan_.lanes * static_cast<uint32_t>(bit_width(dtype));
  std::vector<std::string> words;
  char base = var.base;
  if (bits < 32) {  // a part of a word
    const std::string at = cat("(", group, ")");
    words = {cat("th", id)};
    base = 'u';
    main_ += cat("let ", words[0], " = ", word_u32(var, cat(at, " / ", 32 / bits, "u")), " >> (",
                 at, " % ", 32 / bits, "u * ", bits, "u);\n");
  } else {
    words = load_words(main_, var, cat("h", id), group, bits / 32);
  }
  for (uint32_t k = 0; k < plan_.lanes; ++k) h.lanes.push_back(lane_text(dtype, base, words, k));
  return h;
}

// One element an invocation (or a workgroup): everything in main.
void KernelWriter::write_single() {
  ExprText text(program_, facts_, options());
  const std::vector<Expr> values = output_values();
  std::vector<std::vector<std::string>> lanes;
  for (std::string& v : text.write(values)) lanes.push_back({std::move(v)});
  main_ += index_statements(program_.domain, text.used_axes(), kParams);
  main_ += text.statements();
  workgroup_ += text.shared();
  write_outputs(lanes);
}

// The function of one element: of the flat index, or of the axes' indices and hoisted loads.
void KernelWriter::write_element(ExprText& element, const std::vector<Hoisted>& hoisted,
                                 bool from_flat) {
  const std::vector<std::string> results = element.write(output_values());
  std::vector<std::string> arguments;
  if (from_flat) {
    arguments.push_back("i: u32");
    if (shared_) arguments.push_back("lid: u32");
  } else {
    for (uint32_t a = 0; a < program_.domain.size(); ++a) {
      if ((element.used_axes() >> a & 1) != 0) arguments.push_back(cat("i", a, ": i32"));
    }
  }
  for (const Hoisted& h : hoisted) {
    arguments.push_back(cat("h", h.id, ": ", wgsl_type(program_.nodes[h.id].type)));
  }
  std::string type;
  std::string result = results[0];
  if (results.size() == 1) {
    type = wgsl_type(program_.at(program_.outputs[0].value).type);
  } else {
    std::vector<std::string> fields;
    for (size_t k = 0; k < results.size(); ++k) {
      fields.push_back(cat("y", k, ": ", wgsl_type(program_.at(program_.outputs[k].value).type)));
    }
    type = "Out";
    result = cat("Out(", join(results, ", "), ")");
    functions_ += cat("struct Out { ", join(fields, ", "), " }\n");
  }
  functions_ += cat("fn elem(", join(arguments, ", "), ") -> ", type, " {\n");
  if (from_flat) functions_ += index_statements(program_.domain, element.used_axes(), kParams);
  functions_ += cat(element.statements(), "return ", result, ";\n}\n");
  workgroup_ += element.shared();
}

// Several elements an invocation, without loops: loads as vectors where they can be.
void KernelWriter::write_lanes() {
  const std::vector<uint32_t> loads = hoisted_loads();
  const uint32_t lanes = plan_.lanes;
  std::vector<Hoisted> hoisted;
  uint32_t before_axes = 0;
  {
    // What the hoisted loads need, in main.
    std::vector<Expr> values;
    for (const uint32_t id : loads) {
      if (plan_.loads[id] == LoadForm::kSplat) values.push_back({id});
      if (plan_.loads[id] != LoadForm::kRow) continue;
      const auto& args = program_.nodes[id].args;
      values.insert(values.end(), args.begin(), args.end());
    }
    ExprText before(program_, facts_, options());
    const std::vector<std::string> texts = before.write(values);
    std::vector<std::string> groups;
    size_t at = 0;
    for (const uint32_t id : loads) {
      const LoadForm form = plan_.loads[id];
      std::string value;
      if (form == LoadForm::kSplat) value = texts[at++];
      if (form == LoadForm::kRow) at += program_.nodes[id].args.size();
      groups.push_back(form == LoadForm::kRow    ? cat(before.load_index({id}), " / ", lanes, "u")
                       : form == LoadForm::kFlat ? "g"
                                                 : value);
    }
    before_axes = before.used_axes();
    std::string statements = before.statements();
    std::swap(statements, main_);  // hoist() appends
    for (size_t k = 0; k < loads.size(); ++k) {
      if (plan_.loads[loads[k]] == LoadForm::kSplat && !groups[k].empty() &&
          groups[k].find_first_of(" ([") != std::string::npos) {
        const std::string name = cat("h", loads[k]);
        main_ += cat("let ", name, " = ", groups[k], ";\n");
        groups[k] = name;
      }
      hoisted.push_back(hoist(loads[k], groups[k], groups[k]));
    }
    std::swap(statements, main_);
    ExprText::Options o = options();
    o.given.resize(program_.nodes.size());
    for (const uint32_t id : loads) o.given[id] = cat("h", id);
    ExprText element(program_, facts_, std::move(o));
    write_element(element, hoisted, false);

    const uint32_t axes = element.used_axes();
    const auto rank = static_cast<uint32_t>(program_.domain.size());
    const bool carry = !plan_.row && axes != 0 && rank > 1;
    main_ += carry ? carried_index_statements(program_.domain, axes, kParams)
                   : index_statements(program_.domain, axes | before_axes, kParams);
    main_ += statements;
    std::vector<std::vector<std::string>> values_by_output(program_.outputs.size());
    for (uint32_t k = 0; k < lanes; ++k) {
      if (carry && k > 0) main_ += carry_statements(program_.domain, axes, kParams);
      std::vector<std::string> arguments;
      for (uint32_t a = 0; a < rank; ++a) {
        if ((axes >> a & 1) == 0) continue;
        const bool shifted = k > 0 && !carry && a + 1 == rank;
        arguments.push_back(shifted ? cat("i", a, " + ", k) : cat("i", a));
      }
      for (const Hoisted& h : hoisted) arguments.push_back(h.lanes[k]);
      main_ += cat("let r", k, " = elem(", join(arguments, ", "), ");\n");
      for (size_t j = 0; j < values_by_output.size(); ++j) {
        values_by_output[j].push_back(values_by_output.size() == 1 ? cat("r", k)
                                                                   : cat("r", k, ".y", j));
      }
    }
    write_outputs(values_by_output);
  }
}

// Several elements an invocation, so that it writes whole words, with loops: no vectors, and no
// lane past the end, where a loop's extent might be anything.
void KernelWriter::write_lane_calls() {
  ExprText element(program_, facts_, options());
  write_element(element, {}, true);
  std::vector<std::vector<std::string>> values(program_.outputs.size());
  for (uint32_t k = 0; k < plan_.lanes; ++k) {
    const std::string index = k == 0 ? "i" : cat("min(i + ", k, "u, n - 1u)");
    main_ += cat("let r", k, " = elem(", index, shared_ ? ", lid" : "", ");\n");
    for (size_t j = 0; j < values.size(); ++j) {
      values[j].push_back(values.size() == 1 ? cat("r", k) : cat("r", k, ".y", j));
    }
  }
  write_outputs(values);
}

// A tile of the last axis and that of the transposed load, four elements an invocation: read along
// the one, written along the other.
void KernelWriter::write_tiled() {
  constexpr uint32_t kTile = kTransposeTile;
  constexpr uint32_t kLines = 8;  // of a tile, at once
  const auto rank = static_cast<uint32_t>(program_.domain.size());
  const uint32_t last = rank - 1;
  const auto extent = [&](uint32_t axis) {
    return extent_text(program_.domain[axis], kParams, true);
  };
  const std::string type(wgsl_type(program_.nodes[tile_.load].type));
  workgroup_ += cat("var<workgroup> tile: array<", type, ", ", kTile * (kTile + 1), ">;\n");

  // The functions of the load and of an element, of all axes' indices.
  const auto arguments_of = [&](uint32_t axes, bool declared) {
    std::vector<std::string> list;
    for (uint32_t a = 0; a < rank; ++a) {
      if ((axes >> a & 1) != 0) list.push_back(cat("i", a, declared ? ": i32" : ""));
    }
    return list;
  };
  ExprText::Options fetching = options();
  fetching.forms = nullptr;
  ExprText fetch(program_, facts_, std::move(fetching));
  const Expr load{tile_.load};
  const std::vector<std::string> fetched = fetch.write({&load, 1});
  functions_ += cat("fn fetch(", join(arguments_of(fetch.used_axes(), true), ", "), ") -> ", type,
                    " {\n", fetch.statements(), "return ", fetched[0], ";\n}\n");
  ExprText::Options given = options();
  given.forms = nullptr;
  given.given.resize(program_.nodes.size());
  given.given[tile_.load] = cat("h", tile_.load);
  ExprText element(program_, facts_, std::move(given));
  write_element(element, {{tile_.load, {}}}, false);
  std::vector<std::string> arguments = arguments_of(element.used_axes(), false);

  main_ = cat("let number = wid.x + wid.y * nwg.x;\nlet across = (", extent(last), " + ", kTile - 1,
              "u) / ", kTile, "u;\nlet along = (", extent(tile_.axis), " + ", kTile - 1, "u) / ",
              kTile, "u;\nlet first_last = number % across * ", kTile,
              "u;\nlet first_along = number / across % along * ", kTile,
              "u;\nlet b0 = number / across / along;\n");
  std::string rest = "b0";
  for (uint32_t a = rank; a-- > 0;) {
    if (a == last || a == tile_.axis) continue;
    const std::string next = cat("b", rank - a);
    main_ += cat("let i", a, " = i32(", rest, " % ", extent(a), ");\nlet ", next, " = ", rest,
                 " / ", extent(a), ";\n");
    rest = next;
  }
  // The number of the workgroup is past the end where the batch is not used up.
  main_ += cat("if (", rest, " != 0u) {\nreturn;\n}\n");
  main_ += cat("let line = lid / ", kTile, "u;\nlet spot = lid % ", kTile, "u;\n");
  // Written out, so that the loads of all lines overlap.
  const auto lines = [&](std::string_view along, std::string_view across, const auto& body) {
    for (uint32_t k = 0; k < kTile / kLines; ++k) {
      const std::string line = k == 0 ? "line" : cat("line + ", k * kLines, "u");
      const auto place = [&](std::string_view of) { return of == "line" ? line : std::string(of); };
      main_ += cat("{\nlet i", tile_.axis, " = i32(first_along + ", place(along), ");\nlet i", last,
                   " = i32(first_last + ", place(across), ");\nif (u32(i", tile_.axis, ") < ",
                   extent(tile_.axis), " && u32(i", last, ") < ", extent(last), ") {\n",
                   body(k, line), "}\n}\n");
    }
  };
  for (uint32_t k = 0; k < kTile / kLines; ++k) main_ += cat("var t", k, ": ", type, ";\n");
  const std::string at = join(arguments_of(fetch.used_axes(), false), ", ");
  lines("spot", "line",
        [&](uint32_t k, const std::string&) { return cat("t", k, " = fetch(", at, ");\n"); });
  for (uint32_t k = 0; k < kTile / kLines; ++k) {
    main_ += cat("tile[(line + ", k * kLines, "u) * ", kTile + 1, "u + spot] = t", k, ";\n");
  }
  main_ += "workgroupBarrier();\n";
  std::string flat = "u32(i0)";
  for (uint32_t a = 1; a < rank; ++a) flat = cat("(", flat, ") * ", extent(a), " + u32(i", a, ")");
  lines("line", "spot", [&](uint32_t, const std::string& line) {
    std::vector<std::string> given_arguments = arguments;
    given_arguments.push_back(cat("tile[spot * ", kTile + 1, "u + ", line, "]"));
    std::string before = std::move(main_);
    main_ = cat("let i = ", flat, ";\nlet r = elem(", join(given_arguments, ", "), ");\n");
    std::vector<std::vector<std::string>> values;
    for (size_t j = 0; j < program_.outputs.size(); ++j) {
      values.push_back({program_.outputs.size() == 1 ? std::string("r") : cat("r.y", j)});
    }
    write_outputs(values);
    std::string body = std::move(main_);
    main_ = std::move(before);
    return body;
  });
}

void KernelWriter::write_outputs(const std::vector<std::vector<std::string>>& lanes) {
  if (shared_) main_ += "if (lid == 0u) {\n";
  for (size_t j = 0; j < lanes.size(); ++j) write_store(j, lanes[j]);
  if (shared_) main_ += "}\n";
}

void KernelWriter::write_store(size_t output, std::vector<std::string> lanes) {
  const DType dtype = program_.outputs[output].dtype;
  const BufferVar& var = table_.var(program_.inputs.size() + output);
  const std::string_view group = plan_.lanes == 1 ? "i" : "g";
  if (plan_.lanes == 1 && is_plain(var, dtype)) {
    main_ += cat(var.name, "[i] = ", lanes[0], ";\n");
    return;
  }
  if (bit_width(dtype) == 64) {  // used twice, word by word
    for (size_t k = 0; k < lanes.size(); ++k) {
      const std::string name = cat("o", output, "_", k);
      main_ += cat("let ", name, " = ",
                   dtype == DType::kF64 ? cat("f64_of_f32(", lanes[k], ")") : lanes[k], ";\n");
      lanes[k] = name;
    }
  }
  const std::vector<std::string> words =
      pack_text(dtype == DType::kF64 ? DType::kU64 : dtype, var.base, lanes);
  bool may_end = plan_.lanes > 1;
  if (std::all_of(program_.domain.begin(), program_.domain.end(),
                  [](const Extent& e) { return e.baked(); })) {
    may_end = program_.domain_count() % plan_.lanes != 0;
  }
  if (plan_.row) may_end = false;
  store_words(main_, var, cat("o", output), group, words,
              may_end ? static_cast<uint32_t>(bit_width(dtype)) : 0, plan_.lanes);
}

// An element, or a few, of the flat domain an invocation or workgroup.
void KernelWriter::write_flat(uint32_t workgroup_size) {
  const std::string number = "(wid.x + wid.y * nwg.x)";
  const std::string first = shared_ ? number : cat(number, " * ", workgroup_size, "u + lid");
  if (plan_.lanes == 1) {
    main_ = cat("let i = ", first, ";\n");
  } else {
    main_ = cat("let g = ", first, ";\nlet i = g * ", plan_.lanes, "u;\n");
  }
  main_ += cat("let n = ", count_text(program_.domain, kParams), ";\nif (i >= n) {\nreturn;\n}\n");
  if (plan_.lanes == 1) {
    write_single();
  } else if (plan_.has_loops) {
    write_lane_calls();
  } else {
    write_lanes();
  }
}

Result<ShaderText> KernelWriter::write(std::span<const BindingPlan> inputs,
                                       std::span<const BindingPlan> outputs, const Target& target) {
  QUERN_TRY(bind(inputs, outputs, target));
  const uint32_t size =
      tile_.used() ? kTransposeTile * kTransposeTile / 4 : schedule_.workgroup_size;
  if (tile_.used()) {
    write_tiled();
  } else {
    write_flat(size);
  }

  ShaderText shader;
  shader.bindings = table_.access();
  shader.param_words = static_cast<uint32_t>(param_words(program_).size());
  std::string& out = shader.wgsl;
  out = table_.declarations();
  if (shader.param_words > 0) {
    out += cat("struct Params { ", param_declaration(program_, "p"), " }\n@group(0) @binding(",
               shader.bindings.size(), ") var<uniform> p: Params;\n");
    shader.bindings.push_back(Access::kUniform);
  }
  out += cat(workgroup_, functions_, "@compute @workgroup_size(", size,
             ")\nfn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) nwg: "
             "vec3<u32>, @builtin(local_invocation_index) lid: u32) {\n",
             main_, "}\n");
  QUERN_TRY(link_snippets(out));
  return shader;
}

}  // namespace

std::vector<uint32_t> param_words(const ExprProgram& program) {
  std::vector<uint32_t> words;
  for (const ParamField& field : param_fields(program)) {
    const int64_t value = program.params[field.slot];
    if (field.type == Scalar::kF64) {
      words.push_back(word_of(static_cast<float>(std::bit_cast<double>(value))));
      continue;
    }
    words.push_back(static_cast<uint32_t>(value));
    if (is_pair(field.type)) words.push_back(static_cast<uint32_t>(value >> 32));
  }
  return words;
}

Result<ShaderText> write_wgsl(const ExprProgram& program, std::span<const BindingPlan> inputs,
                              std::span<const BindingPlan> outputs, const ExprSchedule& schedule,
                              const Target& target) {
  if (inputs.size() != program.inputs.size() || outputs.size() != program.outputs.size() ||
      outputs.empty()) {
    return internal_error("a binding plan that does not fit its expression");
  }
  if (program.loops > 64 || program.domain.size() > 32) {
    return unsupported(
        cat("an expression of ", program.loops, " loops and ", program.domain.size(), " axes"));
  }
  if (static_cast<uint64_t>(program.domain_count()) > UINT32_MAX - 64) {
    return unsupported(cat("a kernel over ", program.domain_count(), " elements"));
  }
  if (!std::has_single_bit(schedule.workgroup_size) && schedule.workgroup_reduce) {
    return internal_error("a reduction's workgroup size is not a power of two");
  }
  return KernelWriter(program, schedule, target).write(inputs, outputs, target);
}

}  // namespace quern
