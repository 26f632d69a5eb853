// quern_native: the core on this machine's CPU, for tests and for looking at graphs.
//   quern_native print MODEL [--no-passes]        the graph after the passes
//   quern_native plan MODEL [--dim N] [--wgsl]    the WebGPU plan with assumed dims
//   quern_native check FOLDER... [--rtol R] [--atol A] [--l2 E] [--no-passes] [--threads N]
//                                                 test folders, as in the ONNX suite; --model NAME
//                                                 for another file than model.onnx
//   quern_native run FOLDER... --save NAME [--no-passes]
//                                                 writes the outputs of test_data_set_0 there, as
//                                                 NAME_0.pb and so on

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "api/cpu_session.h"
#include "api/session.h"
#include "import/convert/file.h"
#include "import/onnx/import.h"
#include "import/onnx/tensor_proto.h"
#include "ir/print.h"
#include "ops/op_def.h"
#include "plan/gpu_backend.h"

namespace quern {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::vector<std::string> paths;
  double rtol = 1e-3;
  double atol = 1e-7;
  double l2 = 0;  // 0: not checked
  int64_t dim = 16;
  int threads = 1;
  std::string save;
  std::string model = "model.onnx";
  bool passes = true;
  bool wgsl = false;
  bool quiet = false;
};

Options parse(int count, char** words) {
  Options options;
  for (int i = 0; i < count; ++i) {
    const std::string_view word = words[i];
    const auto next = [&] { return i + 1 < count ? words[++i] : words[i]; };
    if (word == "--rtol")
      options.rtol = std::atof(next());
    else if (word == "--atol")
      options.atol = std::atof(next());
    else if (word == "--l2")
      options.l2 = std::atof(next());
    else if (word == "--dim")
      options.dim = std::atoll(next());
    else if (word == "--threads")
      options.threads = std::atoi(next());
    else if (word == "--save")
      options.save = next();
    else if (word == "--model")
      options.model = next();
    else if (word == "--no-passes")
      options.passes = false;
    else if (word == "--wgsl")
      options.wgsl = true;
    else if (word == "--quiet")
      options.quiet = true;
    else
      options.paths.emplace_back(word);
  }
  return options;
}

struct Loaded {
  std::unique_ptr<Backend> backend;
  std::unique_ptr<Session> session;
  std::vector<std::vector<uint8_t>> weights;
};

Result<Loaded> load(const std::string& path, const Options& options,
                    std::unique_ptr<Backend> backend) {
  QUERN_ASSIGN(LoadedModel file, load_model_file(path));
  QUERN_TRY(check_supported(file.model, find_op));
  QUERN_TRY(check_nodes(file.model, find_op));
  Loaded loaded;
  loaded.backend = std::move(backend);
  loaded.weights = std::move(file.weights);
  for (auto& bytes : loaded.weights) bytes.resize((bytes.size() + 15) / 16 * 16);
  SessionOptions session;
  session.pass_options.optimise = options.passes;
  session.pass_options.verify_each = true;
  QUERN_ASSIGN(loaded.session, Session::create(std::move(file.model), *loaded.backend, session));
  return loaded;
}

std::vector<uint8_t> read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

/// Compares as numpy.testing.assert_allclose does; empty when all is well.
std::string compare(const HostTensor& want, const HostTensor& got, const Options& options,
                    double& max_error) {
  if (want.dtype != got.dtype) {
    return cat("is ", name_of(got.dtype), ", expected ", name_of(want.dtype));
  }
  if (want.dims != got.dims) {
    std::string out = "has dims ";
    append(out, got.dims);
    out += ", expected ";
    append(out, want.dims);
    return out;
  }
  double square = 0;
  double norm = 0;
  for (int64_t i = 0; i < want.count(); ++i) {
    if (want.dtype == DType::kString) {
      if (want.strings[static_cast<size_t>(i)] != got.strings[static_cast<size_t>(i)]) {
        return cat("element ", i, " is '", got.strings[static_cast<size_t>(i)], "', expected '",
                   want.strings[static_cast<size_t>(i)], "'");
      }
      continue;
    }
    if (!is_float(want.dtype)) {
      if (want.int_at(i) != got.int_at(i)) {
        return cat("element ", i, " is ", got.int_at(i), ", expected ", want.int_at(i));
      }
      continue;
    }
    const double a = want.float_at(i);
    const double b = got.float_at(i);
    if (std::isnan(a) && std::isnan(b)) continue;
    if (a == b) {
      norm += std::isfinite(a) ? a * a : 0;
      continue;
    }
    const double error = std::fabs(a - b);
    if (!(error <= options.atol + options.rtol * std::fabs(a))) {
      return cat("element ", i, " is ", b, ", expected ", a);
    }
    max_error = std::max(max_error, error);
    square += error * error;
    norm += a * a;
  }
  // An error of one unit in f32's last place at 1 is none: near zero no engine's sigmoid is more
  // exact, and a small probability alone has no other yardstick.
  const double noise = static_cast<double>(want.count()) * 0x1p-46;
  if (options.l2 > 0 && norm > 0 && std::sqrt(square / norm) > options.l2 && square > noise) {
    return cat("relative L2 error ", std::sqrt(square / norm), ", at most ", options.l2);
  }
  return "";
}

/// The value of a test file as an input.
RunInput input_of(HostValue value, const Type& type) {
  RunInput input;
  input.kind = value.kind;
  input.dtype = type.dtype;
  if (value.kind != Type::Kind::kTensor) {
    for (HostValue& element : value.elements) {
      input.elements.push_back(input_of(std::move(element), type));
    }
    return input;
  }
  input.dtype = value.tensor.dtype;
  input.dims = value.tensor.dims;
  input.host = std::make_shared<const HostTensor>(std::move(value.tensor));
  return input;
}

std::string compare(const HostValue& want, const HostValue& got, const Options& options,
                    double& max_error) {
  if (want.kind != got.kind) return "is another kind of value";
  if (want.kind == Type::Kind::kTensor) {
    return compare(want.tensor, got.tensor, options, max_error);
  }
  if (want.elements.size() != got.elements.size()) {
    return cat("has ", got.elements.size(), " elements, expected ", want.elements.size());
  }
  for (size_t i = 0; i < want.elements.size(); ++i) {
    const std::string wrong = compare(want.elements[i], got.elements[i], options, max_error);
    if (!wrong.empty()) return cat("at ", i, " ", wrong);
  }
  return "";
}

/// The inputs of a data set; what has no file is left out.
Result<std::vector<RunInput>> read_inputs(const Session& session, const fs::path& data) {
  std::vector<RunInput> inputs;
  for (size_t i = 0; i < session.inputs().size(); ++i) {
    const Type& type = session.inputs()[i].type;
    const fs::path file = data / cat("input_", i, ".pb");
    if (!fs::exists(file)) {
      inputs.emplace_back();
      continue;
    }
    QUERN_ASSIGN(HostValue value, parse_value_proto(read_file(file), type.kind));
    inputs.push_back(input_of(std::move(value), type));
  }
  return inputs;
}

Result<double> check_case(const fs::path& folder, const Options& options) {
  QUERN_ASSIGN(Loaded loaded,
               load((folder / options.model).string(), options, CpuSession::make_backend()));
  Session& session = *loaded.session;
  CpuSession cpu(session, *loaded.backend, loaded.weights, options.threads);
  const Graph& graph = *session.model().graph;
  double max_error = 0;
  for (int set = 0;; ++set) {
    fs::path data = folder / cat("test_data_set_", set);
    if (!fs::exists(data)) data = folder / cat("data_set_", set);
    if (!fs::exists(data)) {
      if (set == 0) return invalid_argument("has no data set");
      return max_error;
    }
    QUERN_ASSIGN(std::vector<RunInput> inputs, read_inputs(session, data));
    QUERN_ASSIGN(std::vector<HostValue> outputs, cpu.run(std::move(inputs)));
    for (size_t i = 0; i < outputs.size(); ++i) {
      const fs::path file = data / cat("output_", i, ".pb");
      if (!fs::exists(file)) continue;
      QUERN_ASSIGN(const HostValue want, parse_value_proto(read_file(file), outputs[i].kind));
      const std::string wrong = compare(want, outputs[i], options, max_error);
      if (!wrong.empty()) {
        return invalid_argument(
            cat("set ", set, " output ", i, " '", graph.outputs[i]->name, "' ", wrong));
      }
    }
  }
}

int check(const Options& options) {
  int passed = 0;
  int failed = 0;
  int missing = 0;
  for (const std::string& path : options.paths) {
    const auto result = check_case(path, options);
    const std::string name = fs::path(path).filename().string();
    if (result) {
      ++passed;
      if (!options.quiet) std::printf("pass  %s  max error %.3g\n", name.c_str(), *result);
    } else if (result.error().code == ErrorCode::kUnsupported) {
      ++missing;
      if (!options.quiet)
        std::printf("none  %s  %s\n", name.c_str(), result.error().message.c_str());
    } else {
      ++failed;
      std::printf("FAIL  %s  %s\n", name.c_str(), result.error().message.c_str());
    }
    std::fflush(stdout);
  }
  std::printf("%d passed, %d failed, %d unsupported\n", passed, failed, missing);
  return failed == 0 ? 0 : 1;
}

void append_varint(std::string& out, uint64_t value) {
  for (; value > 127; value >>= 7) out += static_cast<char>(value | 128);
  out += static_cast<char>(value);
}

void append_field(std::string& out, int number, std::string_view payload) {
  append_varint(out, static_cast<uint64_t>(number) << 3 | 2);
  append_varint(out, payload.size());
  out += payload;
}

/// A TensorProto.
std::string tensor_proto(const HostTensor& tensor) {
  std::string dims;
  for (const int64_t dim : tensor.dims) append_varint(dims, static_cast<uint64_t>(dim));
  std::string out;
  append_field(out, 1, dims);
  append_varint(out, 2 << 3);
  append_varint(out, static_cast<uint64_t>(tensor.dtype));
  for (const std::string& text : tensor.strings) append_field(out, 6, text);
  if (tensor.dtype != DType::kString) {
    append_field(out, 9, {reinterpret_cast<const char*>(tensor.bytes.data()), tensor.bytes.size()});
  }
  return out;
}

Result<void> run_case(const fs::path& folder, const Options& options) {
  QUERN_ASSIGN(Loaded loaded,
               load((folder / options.model).string(), options, CpuSession::make_backend()));
  CpuSession cpu(*loaded.session, *loaded.backend, loaded.weights, options.threads);
  const fs::path data = folder / "test_data_set_0";
  QUERN_ASSIGN(std::vector<RunInput> inputs, read_inputs(*loaded.session, data));
  QUERN_ASSIGN(const std::vector<HostValue> outputs, cpu.run(std::move(inputs)));
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i].kind != Type::Kind::kTensor) return unsupported("an output that is no tensor");
    const std::string bytes = tensor_proto(outputs[i].tensor);
    std::ofstream(data / cat(options.save, "_", i, ".pb"), std::ios::binary) << bytes;
  }
  return {};
}

int run(const Options& options) {
  int failed = 0;
  for (const std::string& path : options.paths) {
    const auto result = run_case(path, options);
    const std::string name = fs::path(path).filename().string();
    const bool missing = !result && result.error().code == ErrorCode::kUnsupported;
    failed += result ? 0 : 1;
    std::printf("%s  %s  %s\n",
                result    ? "done"
                : missing ? "none"
                          : "FAIL",
                name.c_str(), result ? "" : result.error().message.c_str());
    std::fflush(stdout);
  }
  return failed == 0 ? 0 : 1;
}

Result<void> print_model(const Options& options) {
  QUERN_ASSIGN(Loaded loaded, load(options.paths.at(0), options, CpuSession::make_backend()));
  std::puts(print(*loaded.session->model().graph).c_str());
  for (const auto& [name, count] : loaded.session->pass_report().hits) {
    std::printf("%s: %d\n", name.c_str(), count);
  }
  return {};
}

Result<void> print_plan(const Options& options) {
  QUERN_ASSIGN(Loaded loaded,
               load(options.paths.at(0), options, std::make_unique<GpuBackend>(Target{})));
  QUERN_ASSIGN(std::vector<RunInput> inputs, loaded.session->assumed_inputs(1, options.dim));
  QUERN_ASSIGN(auto walk, loaded.session->start(std::move(inputs)));
  QUERN_ASSIGN(PlanMessage message, walk->advance({}));
  if (options.wgsl) {
    for (const ProgramEntry& p : message.programs) {
      std::printf("// program %u: %s\n%s\n", p.number, p.label.c_str(), p.text.wgsl.c_str());
    }
  }
  std::puts(print(message.segment).c_str());
  std::printf("%zu programs, %zu steps, %zu once\n", message.programs.size(),
              message.segment.steps.size(), message.segment.once.size());
  return {};
}

int report(const Result<void>& done) {
  if (done) return 0;
  std::fprintf(stderr, "error: %s\n", done.error().message.c_str());
  return 1;
}

}  // namespace
}  // namespace quern

int main(int count, char** words) {
  using namespace quern;  // NOLINT
  if (count < 3) {
    std::fprintf(stderr, "usage: quern_native print|plan|check|run PATH... (see native_main.cc)\n");
    return 2;
  }
  const Options options = parse(count - 2, words + 2);
  const std::string_view command = words[1];
  if (command == "print") return report(print_model(options));
  if (command == "plan") return report(print_plan(options));
  if (command == "check") return check(options);
  if (command == "run") return run(options);
  std::fprintf(stderr, "error: unknown command '%s'\n", words[1]);
  return 2;
}
