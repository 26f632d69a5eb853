// Breaks models in many ways and imports them: see src/import/onnx/mutate.h.
// Usage: quern_mutate [--count N] [--seed N] [--first N] [--save FILE] model.onnx...
// Prints how many mutants got past the parser. A crash tells the mutant's number, which
// `--first NUMBER --count 1 --save FILE` makes again.
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "api/session.h"
#include "import/onnx/import.h"
#include "import/onnx/mutate.h"
#include "ir/verify.h"
#include "ops/op_def.h"
#include "plan/gpu_backend.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define QUERN_ASAN 1
#endif
#endif

namespace {

constexpr unsigned kSecondsEach = 20;

/// What each imported model goes through: verification, the passes, and a WebGPU plan for small
/// assumed dims, which makes all kernels' texts.
quern::Result<void> check_model(quern::LoadedModel& loaded) {
  using namespace quern;  // NOLINT(google-build-using-namespace)
  QUERN_TRY(verify(*loaded.model.graph));
  QUERN_TRY(check_supported(loaded.model, find_op));
  QUERN_TRY(check_nodes(loaded.model, find_op));
  GpuBackend backend{Target{}};
  SessionOptions options;
  options.pass_options.verify_each = true;
  options.limits.arena_bytes = uint64_t{256} << 20;
  options.limits.host_bytes = uint64_t{64} << 20;
  options.limits.steps = 10000;
  options.limits.loop_iterations = 100;
  QUERN_ASSIGN(auto session, Session::create(std::move(loaded.model), backend, options));
  QUERN_ASSIGN(std::vector<RunInput> inputs, session->assumed_inputs(1, 24));
  QUERN_ASSIGN(auto walk, session->start(std::move(inputs)));
  QUERN_ASSIGN(const PlanMessage message, walk->advance({}));
  (void)serialize(message);
  return {};
}

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
  // Room for the mutator itself, below the process's limit.
  options.load.import.memory_limit = uint64_t{128} << 20;
  options.load.scan.max_skeleton = uint64_t{32} << 20;
  uint64_t first = 0;
  const char* save = nullptr;
  std::vector<std::vector<uint8_t>> models;
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

#ifdef QUERN_ASAN
  __sanitizer_set_death_callback(tell_mutant);
#else
  constexpr rlim_t kMemory = rlim_t{512} << 20;
  const rlimit limit{kMemory, kMemory};
  setrlimit(RLIMIT_AS, &limit);
  std::signal(SIGABRT, on_signal);
  std::signal(SIGSEGV, on_signal);
#endif
  std::signal(SIGALRM, on_signal);
  options.before = [&](uint64_t number, std::span<const uint8_t> mutant) {
    current = number;
    alarm(kSecondsEach);
    if (!save) return;
    if (std::FILE* file = std::fopen(save, "wb")) {
      std::fwrite(mutant.data(), 1, mutant.size(), file);
      std::fclose(file);
    }
  };
  const quern::MutateStats stats = quern::mutate_models(models, options, first);
  std::printf("%llu mutants of %zu models: %llu past the parser (%.1f%%), %llu accepted\n",
              static_cast<unsigned long long>(stats.mutants), models.size(),
              static_cast<unsigned long long>(stats.imported),
              100.0 * static_cast<double>(stats.imported) / static_cast<double>(stats.mutants),
              static_cast<unsigned long long>(stats.accepted));
  return 0;
}
