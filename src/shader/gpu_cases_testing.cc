#include "shader/gpu_cases_testing.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <map>

#include "shader/bindings.h"

namespace quern {
namespace {

std::string base64(const uint8_t* data, size_t size) {
  constexpr std::string_view digits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < size; i += 3) {
    const uint32_t b =
        data[i] << 16 | (i + 1 < size ? data[i + 1] << 8 : 0) | (i + 2 < size ? data[i + 2] : 0);
    out += digits[b >> 18];
    out += digits[b >> 12 & 63];
    out += i + 1 < size ? digits[b >> 6 & 63] : '=';
    out += i + 2 < size ? digits[b & 63] : '=';
  }
  return out;
}
std::string base64(const std::vector<uint8_t>& bytes) { return base64(bytes.data(), bytes.size()); }

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n')
      out += "\\n";
    else
      out += c;
  }
  return out + "\"";
}

}  // namespace

GpuCases::~GpuCases() {
  const char* path = std::getenv("QUERN_GPU_CASES");
  if (path == nullptr) return;
  std::FILE* file = std::fopen(path, "a");
  if (file == nullptr) {
    ADD_FAILURE() << path;
    return;
  }
  std::fwrite(lines_.data(), 1, lines_.size(), file);
  std::fclose(file);
}

void GpuCases::add(std::string_view name, const ExprProgram& program,
                   const std::vector<HostTensor>& inputs, const Options& options) {
  const auto plans = [](std::vector<BindingPlan> given, size_t count, Access access) {
    if (given.empty()) given.assign(count, {access, -1});
    return given;
  };
  const std::vector<BindingPlan> in = plans(options.inputs, inputs.size(), Access::kRead);
  const std::vector<BindingPlan> out =
      plans(options.outputs, program.outputs.size(), Access::kReadWrite);
  const ExprSchedule schedule =
      options.schedule != nullptr ? *options.schedule : schedule_of(program, options.target);
  const auto shader = write_wgsl(program, in, out, schedule, options.target);
  ASSERT_TRUE(shader) << name << ": " << shader.error().message << "\n" << print(program);
  std::vector<const HostTensor*> pointers;
  for (const HostTensor& t : options.oracle_inputs != nullptr ? *options.oracle_inputs : inputs) {
    pointers.push_back(&t);
  }
  const auto expected = evaluate(options.oracle != nullptr ? *options.oracle : program, pointers);
  ASSERT_TRUE(expected) << name << ": " << expected.error().message;
  // In the types of the program, where the oracle has others.
  std::vector<HostTensor> results;
  for (size_t k = 0; k < expected->size(); ++k) {
    const HostTensor& e = (*expected)[k];
    HostTensor t = *HostTensor::zeros(program.outputs[k].dtype, e.dims);
    for (int64_t i = 0; i < t.count(); ++i) {
      if (t.dtype == e.dtype)
        store_bits(t.dtype, t.bytes.data(), i, load_bits(e.dtype, e.bytes.data(), i));
      else
        t.set_float(i, e.float_at(i));
    }
    results.push_back(std::move(t));
  }
  std::vector<Binding> bindings;
  for (size_t i = 0; i < inputs.size(); ++i) bindings.push_back({&inputs[i], nullptr, in[i]});
  for (size_t i = 0; i < results.size(); ++i) bindings.push_back({nullptr, &results[i], out[i]});
  add_shader(name, *shader, bindings, param_words(program),
             workgroups_of(program, schedule, options.target), options.tolerance);
}

namespace {

/// Scratch memory: the step and the binding in it that have it last.
using ScratchPlaces = std::map<uint32_t, std::pair<size_t, size_t>>;

/// The step as JSON, but for its braces; `number` is its place. Notes where it leaves scratch
/// memory.
std::string step_json(const GpuCases::Step& step, size_t number, CaseTolerance tolerance,
                      ScratchPlaces& places) {
  const ShaderText& shader = *step.shader;
  std::vector<BindingPlan> plans;
  for (const GpuCases::Binding& b : step.bindings) plans.push_back(b.plan);
  const auto var_of = merge_bindings(plans, Target{.max_storage_buffers = 1000});
  EXPECT_TRUE(var_of);
  EXPECT_EQ(shader.param_words, step.params.size());
  if (!var_of || shader.param_words != step.params.size()) return "";
  std::vector<const HostTensor*> contents(shader.bindings.size());
  std::vector<uint64_t> sizes(shader.bindings.size());
  std::vector<std::string> from(shader.bindings.size());
  std::string outputs;
  for (size_t i = 0; i < step.bindings.size(); ++i) {
    const size_t at = (*var_of)[i];
    EXPECT_LT(at, contents.size());
    if (at >= contents.size()) return "";
    const GpuCases::Binding& b = step.bindings[i];
    if (b.tensor != nullptr &&
        (contents[at] == nullptr || contents[at]->bytes.size() < b.tensor->bytes.size())) {
      contents[at] = b.tensor;
    }
    for (const HostTensor* t : {b.tensor, b.expected}) {
      if (t != nullptr) sizes[at] = std::max<uint64_t>(sizes[at], t->bytes.size());
    }
    if (b.scratch != 0) {
      sizes[at] = std::max(sizes[at], b.scratch_bytes);
      if (const auto known = places.find(b.scratch); known != places.end()) {
        from[at] = cat(",\"from\":[", known->second.first, ",", known->second.second, "]");
      }
      places[b.scratch] = {number, at};
    }
    if (b.expected == nullptr) continue;
    if (!outputs.empty()) outputs += ",";
    outputs +=
        cat("{\"binding\":", at, ",\"dtype\":\"", name_of(b.expected->dtype),
            "\",\"count\":", b.expected->count(), ",\"expected\":\"", base64(b.expected->bytes),
            "\",\"rtol\":", tolerance.rtol, ",\"atol\":", tolerance.atol, "}");
  }
  std::string list;
  for (size_t i = 0; i < shader.bindings.size(); ++i) {
    const Access access = shader.bindings[i];
    if (i > 0) list += ",";
    std::string data;
    uint64_t size = sizes[i];
    if (access == Access::kUniform) {
      size = step.params.size() * 4;
      data = base64(reinterpret_cast<const uint8_t*>(step.params.data()), size);
    } else if (contents[i] != nullptr) {
      data = base64(contents[i]->bytes);
    }
    list += cat("{\"access\":\"",
                access == Access::kRead        ? "read"
                : access == Access::kReadWrite ? "read_write"
                                               : "uniform",
                "\",\"size\":", size, ",\"data\":\"", data, "\"", from[i], "}");
  }
  std::string overrides;
  for (const auto& [key, value] : shader.overrides) {
    overrides += cat(overrides.empty() ? "" : ",", json_string(key), ":", value);
  }
  return cat("\"wgsl\":", json_string(shader.wgsl), ",\"workgroups\":[", step.workgroups[0], ",",
             step.workgroups[1], ",", step.workgroups[2], "],\"overrides\":{", overrides,
             "},\"bindings\":[", list, "],\"outputs\":[", outputs, "]");
}

}  // namespace

void GpuCases::add_steps(std::string_view name, const std::vector<Step>& steps,
                         CaseTolerance tolerance) {
  SCOPED_TRACE(std::string(name));
  ScratchPlaces places;
  std::string earlier;
  for (size_t i = 0; i + 1 < steps.size(); ++i) {
    earlier += cat(i == 0 ? "{" : ",{", step_json(steps[i], i, tolerance, places), "}");
  }
  lines_ += cat("{\"name\":", json_string(cat(group_, "/", name)), ",\"earlier\":[", earlier, "],",
                step_json(steps.back(), steps.size() - 1, tolerance, places), "}\n");
}

}  // namespace quern
