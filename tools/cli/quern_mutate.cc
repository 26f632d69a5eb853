// Breaks models, ONNX and of other formats, in many ways, imports them, plans them for WebGPU and
// runs small ones on the CPU: see src/import/onnx/mutate.h. Usage: quern_mutate [--count N]
// [--seed N] [--first N] [--save FILE] model.onnx... Mutant n is one of model n mod their number.
// Prints for each model how many mutants there were, got past the parser, and were planned, with
// the milliseconds it took, between tabs. A crash tells the mutant's number, which `--first NUMBER
// --count 1 --save FILE` makes again.
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "api/cpu_session.h"
#include "api/session.h"
#include "import/convert/file.h"
#include "import/onnx/import.h"
#include "import/onnx/mutate.h"
#include "import/tensorflow/mutate.h"
#include "import/tfjs/mutate.h"
#include "import/tflite/mutate.h"
#include "import/torch/mutate.h"
#include "ir/verify.h"
#include "ops/op_def.h"
#include "plan/gpu_backend.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define QUERN_ASAN 1
#endif
#endif

namespace {

constexpr time_t kSecondsEach = 20;  // of this process, however busy the machine is

/// Symbols' numbers, small: a kernel's text does not depend on them, its time does.
class AssumedDims {
 public:
  int64_t operator()(const quern::Dim& dim, bool is_first) {
    if (dim.is_const()) return std::max<int64_t>(dim.value(), 0);
    std::string symbol;
    append(symbol, dim);
    return numbers_.emplace(symbol, is_first ? 1 : 24).first->second;
  }

 private:
  std::map<std::string, int64_t, std::less<>> numbers_;
};

/// Ones: of most operands that the host reads they are valid.
quern::Result<std::shared_ptr<const quern::HostTensor>> ones(quern::DType dtype, quern::Dims dims) {
  QUERN_ASSIGN(quern::HostTensor tensor, quern::HostTensor::zeros(dtype, std::move(dims), 1 << 22));
  for (int64_t i = 0; i < tensor.count(); ++i) {
    if (quern::is_float(dtype)) {
      tensor.set_float(i, 1);
    } else if (quern::is_integer(dtype) || dtype == quern::DType::kBool) {
      tensor.set_int(i, 1);
    }
  }
  return std::make_shared<const quern::HostTensor>(std::move(tensor));
}

quern::Result<quern::RunInput> made_up(const quern::Type& type, AssumedDims& assumed) {
  using Kind = quern::Type::Kind;
  quern::RunInput input;
  input.kind = type.kind;
  input.dtype = type.dtype;
  if (type.kind == Kind::kTensor) {
    for (const quern::Dim& dim : type.shape.value_or(quern::Shape{3, 2})) {
      input.dims.push_back(assumed(dim, input.dims.empty()));
    }
    QUERN_ASSIGN(input.host, ones(input.dtype, input.dims));
  } else if (type.kind == Kind::kMap) {
    QUERN_ASSIGN(auto keys, ones(type.key, {2}));
    QUERN_ASSIGN(auto values, ones(type.dtype, {2}));
    input.elements.push_back({.dtype = type.key, .dims = {2}, .host = std::move(keys)});
    input.elements.push_back({.dtype = type.dtype, .dims = {2}, .host = std::move(values)});
  } else if (type.element) {
    const int count = type.kind == Kind::kOptional ? 1 : 2;
    for (int i = 0; i < count; ++i) {
      QUERN_ASSIGN(quern::RunInput element, made_up(*type.element, assumed));
      input.elements.push_back(std::move(element));
    }
  }
  return input;
}

quern::Result<std::vector<quern::RunInput>> made_up_inputs(const quern::Session& session) {
  AssumedDims assumed;
  std::vector<quern::RunInput> inputs;
  for (const quern::ModelInput& declared : session.inputs()) {
    inputs.emplace_back();
    if (declared.has_default) continue;
    QUERN_ASSIGN(inputs.back(), made_up(declared.type, assumed));
  }
  return inputs;
}

quern::SessionOptions limits(uint64_t arena_bytes, uint32_t steps) {
  quern::SessionOptions options;
  options.pass_options.verify_each = true;
  options.limits.arena_bytes = arena_bytes;
  options.limits.host_bytes = uint64_t{64} << 20;
  options.limits.steps = steps;
  options.limits.loop_iterations = 100;
  return options;
}

quern::Model copy_of(const quern::Model& model) {
  quern::Model copy;
  copy.graph = model.graph->clone(nullptr);
  copy.inputs = model.inputs;
  copy.weights = model.weights;
  copy.opsets = model.opsets;
  return copy;
}

/// The whole plan for WebGPU, which makes all kernels' texts; what the host reads back is made up.
quern::Result<void> plan_for_gpu(quern::Model model) {
  using namespace quern;  // NOLINT(google-build-using-namespace)
  GpuBackend backend{Target{}};
  QUERN_ASSIGN(auto session,
               Session::create(std::move(model), backend, limits(uint64_t{256} << 20, 10000)));
  QUERN_ASSIGN(std::vector<RunInput> inputs, made_up_inputs(*session));
  QUERN_TRY(session->check_inputs(inputs));
  QUERN_ASSIGN(auto walk, session->start(std::move(inputs)));
  std::vector<std::shared_ptr<const HostTensor>> read;
  for (int segment = 0; segment < 20; ++segment) {
    QUERN_ASSIGN(const PlanMessage message, walk->advance(std::move(read)));
    (void)serialize(message);
    if (message.segment.done) break;
    read.clear();
    for (const TensorInfo& info : walk->requested()) {
      QUERN_ASSIGN(auto value, ones(info.dtype, info.dims));
      read.push_back(std::move(value));
    }
  }
  return {};
}

/// A run on the CPU, of what is small enough to be done soon.
quern::Result<void> run_on_cpu(quern::Model model, std::vector<std::vector<uint8_t>> weights) {
  using namespace quern;  // NOLINT(google-build-using-namespace)
  const auto backend = CpuSession::make_backend();
  QUERN_ASSIGN(auto session,
               Session::create(std::move(model), *backend, limits(uint64_t{1} << 20, 1000)));
  for (auto& bytes : weights) bytes.resize((bytes.size() + 15) / 16 * 16);
  CpuSession cpu(*session, *backend, weights, 1);
  QUERN_ASSIGN(const std::vector<RunInput> inputs, made_up_inputs(*session));
  QUERN_ASSIGN(const auto outputs, cpu.run(inputs));
  return {};
}

/// What each imported model goes through.
quern::Result<void> check_model(quern::LoadedModel& loaded) {
  using namespace quern;  // NOLINT(google-build-using-namespace)
  QUERN_TRY(verify(*loaded.model.graph));
  QUERN_TRY(check_supported(loaded.model, find_op));
  QUERN_TRY(check_nodes(loaded.model, find_op));
  size_t weight_bytes = 0;
  for (const auto& bytes : loaded.weights) weight_bytes += bytes.size();
  auto run =
      weight_bytes > (1 << 16) ? Result<void>() : run_on_cpu(copy_of(loaded.model), loaded.weights);
  auto planned = plan_for_gpu(std::move(loaded.model));
  return planned ? run : planned;
}

quern::Format format_of_file(std::span<const uint8_t> file) {
  return quern::format_of(file.first(std::min<size_t>(file.size(), 4096)));
}

/// The folders of models, which may have files beside them, by where the models lie in memory.
std::map<const uint8_t*, std::string> folders;
/// That of the present mutant's model.
std::string folder = "/nonexistent";

std::vector<uint8_t> make_mutant(std::span<const uint8_t> model, uint64_t seed, uint64_t number) {
  folder = folders[model.data()];
  switch (format_of_file(model)) {
    case quern::Format::kZip:
      return quern::mutant_of_archive(model, seed, number);
    case quern::Format::kTensorFlowJs:
      return quern::mutant_of_json(model, seed, number);
    case quern::Format::kTfLite:
      return quern::mutant_of_tflite(model, seed, number);
    case quern::Format::kTensorFlow:
      return quern::mutant_of_tensorflow(model, seed, number);
    default:
      return quern::mutant_of(model, seed, number);
  }
}

quern::Result<quern::LoadedModel> read_mutant(std::span<const uint8_t> mutant,
                                              const quern::FileOptions& options) {
  if (format_of_file(mutant) == quern::Format::kOnnx) {
    return quern::load_onnx(mutant, "/nonexistent", options);
  }
  return quern::load_model(mutant, folder, options, {.memory_limit = 64 << 20});
}

/// What came of one model's mutants.
struct Tally {
  const char* path;
  quern::MutateStats stats;
  double seconds = 0;
};

volatile unsigned long long current = 0;

void tell_mutant() {
  char text[80];
  const int size = std::snprintf(text, sizeof text, "quern_mutate: at mutant %llu\n", current);
  (void)!write(STDERR_FILENO, text, static_cast<size_t>(size));
}

void on_signal(int signal) {
  tell_mutant();
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

}  // namespace

#ifdef QUERN_ASAN
extern "C" void __sanitizer_set_death_callback(void (*)());
extern "C" __attribute__((used)) const char* __asan_default_options() {
  return "hard_rss_limit_mb=512:max_allocation_size_mb=512:quarantine_size_mb=16";
}
#endif

int main(int argc, char** argv) {
  quern::MutateOptions options;
  options.check = check_model;
  options.mutant = make_mutant;
  options.read = read_mutant;
  // Room for the mutator itself, below the process's limit.
  options.load.import.memory_limit = uint64_t{128} << 20;
  options.load.scan.max_skeleton = uint64_t{32} << 20;
  uint64_t first = 0;
  const char* save = nullptr;
  std::vector<std::vector<uint8_t>> models;
  std::vector<Tally> tallies;
  for (int i = 1; i < argc; ++i) {
    const char* next = i + 1 < argc ? argv[i + 1] : "";
    if (!std::strcmp(argv[i], "--count")) {
      options.count = std::strtoull(next, nullptr, 10);
    } else if (!std::strcmp(argv[i], "--seed")) {
      options.seed = std::strtoull(next, nullptr, 10);
    } else if (!std::strcmp(argv[i], "--first")) {
      first = std::strtoull(next, nullptr, 10);
    } else if (!std::strcmp(argv[i], "--save")) {
      save = next;
    } else {
      std::FILE* file = std::fopen(argv[i], "rb");
      if (!file) {
        std::fprintf(stderr, "quern_mutate: cannot read %s\n", argv[i]);
        return 2;
      }
      std::vector<uint8_t>& model = models.emplace_back();
      tallies.push_back({argv[i], {}});
      uint8_t chunk[65536];
      while (const size_t count = std::fread(chunk, 1, sizeof chunk, file)) {
        model.insert(model.end(), chunk, chunk + count);
      }
      std::fclose(file);
      continue;
    }
    ++i;
  }
  if (models.empty()) {
    std::fprintf(stderr,
                 "usage: quern_mutate [--count N] [--seed N] [--first N] [--save FILE] model...\n");
    return 2;
  }

  for (size_t i = 0; i < models.size(); ++i) {
    const std::string path = tallies[i].path;
    const size_t slash = path.rfind('/');
    folders[models[i].data()] = slash == path.npos ? "." : path.substr(0, slash);
  }

#ifdef QUERN_ASAN
  __sanitizer_set_death_callback(tell_mutant);
#else
  constexpr rlim_t kMemory = rlim_t{512} << 20;
  const rlimit limit{kMemory, kMemory};
  setrlimit(RLIMIT_AS, &limit);
  std::signal(SIGSEGV, on_signal);
#endif
  std::signal(SIGABRT, on_signal);
  std::signal(SIGPROF, on_signal);
  options.before = [&](uint64_t number, std::span<const uint8_t> mutant) {
    current = number;
    const itimerval limit{{}, {kSecondsEach, 0}};
    setitimer(ITIMER_PROF, &limit, nullptr);
    if (!save) return;
    if (std::FILE* file = std::fopen(save, "wb")) {
      std::fwrite(mutant.data(), 1, mutant.size(), file);
      std::fclose(file);
    }
  };
  auto last = std::chrono::steady_clock::now();
  options.after = [&](uint64_t number, bool imported, bool accepted) {
    const auto now = std::chrono::steady_clock::now();
    Tally& tally = tallies[number % tallies.size()];
    ++tally.stats.mutants;
    tally.stats.imported += imported;
    tally.stats.accepted += accepted;
    tally.seconds += std::chrono::duration<double>(now - last).count();
    last = now;
  };
  quern::mutate_models(models, options, first);
  for (const Tally& tally : tallies) {
    std::printf("%s\t%llu\t%llu\t%llu\t%.0f\n", tally.path,
                static_cast<unsigned long long>(tally.stats.mutants),
                static_cast<unsigned long long>(tally.stats.imported),
                static_cast<unsigned long long>(tally.stats.accepted), tally.seconds * 1000);
  }
  return 0;
}
