#include "api/abi.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "api/cpu_session.h"
#include "api/session.h"
#include "api/words.h"
#include "import/onnx/import.h"
#include "import/onnx/scanner.h"
#include "ops/op_def.h"
#include "plan/gpu_backend.h"

using namespace quern;  // NOLINT(google-build-using-namespace): this file is only the boundary

struct QuernSession {
  std::unique_ptr<Backend> backend;
  std::unique_ptr<Session> session;
  std::unique_ptr<CpuSession> cpu;
  std::vector<std::vector<uint8_t>> weights;
  std::unique_ptr<QuernRun> started;
};

struct QuernRun {
  std::unique_ptr<Walk> walk;
};

struct QuernLoader {
  OnnxScanner scanner;
  bool keep_weights = false;
  std::vector<std::vector<uint8_t>> weights;
  std::vector<std::string> more_outputs;
  std::unique_ptr<QuernSession> session;
};

namespace {

/// What the last call had to say.
std::vector<uint8_t>& result() {
  static std::vector<uint8_t> bytes;
  return bytes;
}

int say(std::string_view text) {
  result().assign(text.begin(), text.end());
  return 0;
}

int fail(const Error& error) {
  say(error.message);
  return 1 + static_cast<int>(error.code);
}

int give(const Result<void>& done) { return done ? 0 : fail(done.error()); }

/// The weight ranges of the last feed, as events.
int events(QuernLoader& loader, const uint8_t* chunk) {
  WordWriter out;
  for (const WeightRange& range : loader.scanner.ranges()) {
    const uint64_t total = loader.scanner.weights()[range.weight].length;
    if (loader.keep_weights && chunk != nullptr) {
      if (loader.weights.size() <= range.weight) loader.weights.resize(range.weight + 1);
      std::vector<uint8_t>& bytes = loader.weights[range.weight];
      // Grows with what arrives: a length that lies allocates nothing.
      bytes.insert(bytes.end(), chunk + range.chunk_offset,
                   chunk + range.chunk_offset + range.length);
    }
    out.word(range.weight);
    out.wide(total);
    out.wide(range.weight_offset);
    out.word(range.chunk_offset);
    out.word(range.length);
  }
  result() = out.take();
  return 0;
}

Result<void> finish(QuernLoader& loader, std::span<const uint32_t> options) {
  if (options.size() < 3 || (options[0] == 0 && options.size() < 14)) {
    return invalid_argument(cat("got ", options.size(), " option words"));
  }
  QUERN_TRY(loader.scanner.finish());
  const std::vector<uint8_t> skeleton = loader.scanner.take_skeleton();
  QUERN_ASSIGN(Model model, import_onnx(skeleton, loader.scanner.weights()));
  QUERN_TRY(check_supported(model, find_op));
  QUERN_TRY(check_nodes(model, find_op));

  auto session = std::make_unique<QuernSession>();
  SessionOptions session_options;
  session_options.pass_options.optimise = options[1] != 0;
  session_options.more_outputs = std::move(loader.more_outputs);
  const std::vector<WeightInfo> weights = model.weights;
  if (options[0] == 1) {
    session->backend = CpuSession::make_backend();
    if (!session->backend) return unsupported("this build has no CPU kernels");
  } else {
    const auto wide = [&](size_t at) {
      return uint64_t{options[at]} | uint64_t{options[at + 1]} << 32;
    };
    Target target;
    target.f16 = options[3] != 0;
    target.subgroups = options[4] != 0;
    target.subgroup_min = options[5];
    target.subgroup_max = options[6];
    target.max_storage_buffers = options[7];
    target.max_invocations = options[8];
    target.max_workgroup_storage = options[9];
    target.max_workgroups = options[10];
    target.max_binding_bytes = wide(11);
    target.max_buffer_bytes = options.size() > 14 ? wide(13) : target.max_buffer_bytes;
    if (options.size() > 17) target.matrix_f16 = {options[15], options[16], options[17]};
    if (options.size() > 18 && options[18] != 0) target.cores = options[18];
    target.emulated = options.size() > 19 && options[19] != 0;
    const uint32_t traits = options.size() > 20 ? options[20] : 0;
    target.writable_operands = (traits & 1) != 0;
    target.byte_products = (traits & 2) != 0;
    target.max_binding_bytes = target.max_binding_bytes / 256 * 256;
    target.max_buffer_bytes = target.max_buffer_bytes / 256 * 256;
    session_options.limits.buffer_bytes = target.max_buffer_bytes;
    session_options.pass_options.max_storage_buffers = target.max_storage_buffers;
    session_options.pass_options.few_dispatches = true;
    session->backend = std::make_unique<GpuBackend>(target);
  }
  QUERN_ASSIGN(session->session,
               Session::create(std::move(model), *session->backend, session_options));
  if (options[0] == 1) {
    session->weights = std::move(loader.weights);
    session->weights.resize(weights.size());
    for (size_t i = 0; i < weights.size(); ++i) {
      session->weights[i].resize((weights[i].byte_length + 15) / 16 * 16);
    }
    session->cpu = std::make_unique<CpuSession>(*session->session, *session->backend,
                                                session->weights, static_cast<int>(options[2]));
  }
  loader.session = std::move(session);
  return {};
}

Result<std::unique_ptr<Walk>> warm(QuernSession& session, uint32_t batch, uint32_t dim) {
  QUERN_ASSIGN(std::vector<RunInput> inputs, session.session->assumed_inputs(batch, dim));
  return session.session->start(std::move(inputs));
}

}  // namespace

uint32_t quern_abi_version() { return 6; }
uint32_t quern_has_cpu() { return CpuSession::is_linked() ? 1 : 0; }
void* quern_alloc(size_t size) { return std::malloc(size); }
void quern_free(void* memory) { std::free(memory); }
const uint8_t* quern_result_data() { return result().data(); }
size_t quern_result_size() { return result().size(); }

QuernLoader* quern_loader_new(uint32_t keep_weights, double structure_limit) {
  ScanOptions options;
  if (structure_limit > 0) options.max_skeleton = static_cast<uint64_t>(structure_limit);
  return new QuernLoader{OnnxScanner(options), keep_weights != 0, {}, {}, nullptr};
}

void quern_loader_free(QuernLoader* loader) { delete loader; }

int quern_loader_feed(QuernLoader* loader, const uint8_t* chunk, size_t size) {
  if (auto fed = loader->scanner.feed({chunk, size}); !fed) return fail(fed.error());
  return events(*loader, chunk);
}

double quern_loader_payload_ahead(const QuernLoader* loader) {
  return static_cast<double>(loader->scanner.payload_ahead());
}

int quern_loader_skip(QuernLoader* loader, double size) {
  if (loader->keep_weights)
    return fail({ErrorCode::kInvalidArgument, "weights are kept: feed them"});
  if (auto done = loader->scanner.skip_payload(static_cast<uint64_t>(size)); !done) {
    return fail(done.error());
  }
  return events(*loader, nullptr);
}

int quern_loader_outputs(QuernLoader* loader, const uint8_t* names, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(names), size);
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\0', at), text.size());
    loader->more_outputs.emplace_back(text.substr(at, end - at));
    at = end + 1;
  }
  return say("");
}

int quern_loader_finish(QuernLoader* loader, const uint32_t* options, size_t count) {
  return give(finish(*loader, {options, count}));
}

QuernSession* quern_loader_session(QuernLoader* loader) { return loader->session.release(); }

void quern_session_free(QuernSession* session) { delete session; }

int quern_session_describe(QuernSession* session) { return say(session->session->describe()); }

int quern_session_host_reader(QuernSession* session, uint32_t input) {
  return say(session->session->host_reader(input));
}

uint8_t* quern_session_weight(QuernSession* session, uint32_t weight) {
  return weight < session->weights.size() ? session->weights[weight].data() : nullptr;
}

int quern_session_narrow(QuernSession* session, const float* peaks, size_t count,
                         uint32_t automatic) {
  if (session->cpu) {
    return fail({ErrorCode::kUnsupported, "the CPU keeps tensors of type f32 in f32"});
  }
  return give(session->session->narrow({peaks, peaks + count}, automatic != 0));
}

int quern_session_tune(QuernSession* session, const uint8_t* table, size_t size, uint32_t trial) {
  Tuning* tuning = session->backend->tuning();
  if (tuning == nullptr) return fail({ErrorCode::kUnsupported, "tuning is of kernels for WebGPU"});
  const std::string_view text(reinterpret_cast<const char*>(table), size);
  return give(tuning->set(text, trial == UINT32_MAX ? std::nullopt : std::optional(trial)));
}

int quern_session_choices(QuernSession* session) {
  Tuning* tuning = session->backend->tuning();
  return say(tuning != nullptr ? describe_choices(tuning->take()) : "[]");
}

int quern_session_warm(QuernSession* session, uint32_t batch, uint32_t dim) {
  auto walk = warm(*session, batch, dim);
  if (!walk) return fail(walk.error());
  session->started = std::make_unique<QuernRun>(QuernRun{*std::move(walk)});
  return say("");
}

int quern_run_start(QuernSession* session, const uint8_t* inputs, size_t size) {
  auto parsed = read_inputs({inputs, size});
  if (!parsed) return fail(parsed.error());
  auto walk = session->session->start(*std::move(parsed));
  if (!walk) return fail(walk.error());
  session->started = std::make_unique<QuernRun>(QuernRun{*std::move(walk)});
  return say("");
}

QuernRun* quern_run_take(QuernSession* session) { return session->started.release(); }

int quern_run_advance(QuernRun* run, const uint8_t* values, size_t size) {
  auto parsed = read_values({values, size}, run->walk->requested());
  if (!parsed) return fail(parsed.error());
  auto message = run->walk->advance(*std::move(parsed));
  if (!message) return fail(message.error());
  result() = serialize(*message);
  return 0;
}

int quern_run_waiting(QuernRun* run) { return say(run->walk->waiting()); }

int quern_run_report(QuernRun* run) {
  std::string out = "[";
  for (const HostNode& node : run->walk->host_nodes()) {
    if (out.size() > 1) out += ',';
    out += cat("{\"id\":", node.node, ",\"elements\":", node.elements, "}");
  }
  return say(out + "]");
}

int quern_run_work(QuernRun* run) { return say(describe_work(*run->walk)); }

void quern_run_free(QuernRun* run) { delete run; }

int quern_cpu_run(QuernSession* session, const uint8_t* inputs, size_t size) {
  if (!session->cpu) return fail({ErrorCode::kInvalidArgument, "this session is not on the CPU"});
  auto parsed = read_inputs({inputs, size});
  if (!parsed) return fail(parsed.error());
  auto outputs = session->cpu->run(*std::move(parsed));
  if (!outputs) return fail(outputs.error());
  WordWriter out;
  write_values(out, *outputs);
  result() = out.take();
  return 0;
}
