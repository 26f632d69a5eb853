// The C ABI between the core and the runtime (WASM exports). All strings are UTF-8, all words
// little-endian u32, `wide` is two words (low, high), a blob is a byte length and bytes padded to
// words. A function that returns int gives 0, or 1 + the ErrorCode; then, as after success, what
// it had to say is the *result*: quern_result_data() and quern_result_size(), valid until the
// next call. After a failure that is the error's message.
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __EMSCRIPTEN__
#include <emscripten/emscripten.h>
#define QUERN_EXPORT extern "C" EMSCRIPTEN_KEEPALIVE
#else
#define QUERN_EXPORT extern "C" __attribute__((visibility("default")))
#endif

struct QuernLoader;
struct QuernSession;
struct QuernRun;

/// Raised when anything here or in docs/plan-format.md changes.
QUERN_EXPORT uint32_t quern_abi_version();
/// 1 where CPU kernels are linked in (device 1 below).
QUERN_EXPORT uint32_t quern_has_cpu();

QUERN_EXPORT void* quern_alloc(size_t size);  ///< null where there is no memory
QUERN_EXPORT void quern_free(void* memory);
QUERN_EXPORT const uint8_t* quern_result_data();
QUERN_EXPORT size_t quern_result_size();

// Loading. The file is fed in order, in pieces of any size.
/// keep_weights 1: large payloads stay here (CPU device); 0: they are only reported.
QUERN_EXPORT QuernLoader* quern_loader_new(uint32_t keep_weights, double structure_limit);
QUERN_EXPORT void quern_loader_free(QuernLoader* loader);
/// Result: events of 7 words: weight number, its byte length (wide), offset inside the weight
/// (wide), offset inside this chunk, length: the chunk's bytes that belong to the weight.
QUERN_EXPORT int quern_loader_feed(QuernLoader* loader, const uint8_t* chunk, size_t size);
/// How many of the coming bytes are payload of the present weight (0: unknown yet, feed them).
/// With keep_weights 0 the caller may skip up to that many instead of feeding them: it knows from
/// the last event where they go.
QUERN_EXPORT double quern_loader_payload_ahead(const QuernLoader* loader);
/// Result: one event as above, its chunk offset 0.
QUERN_EXPORT int quern_loader_skip(QuernLoader* loader, double size);
/// To be called before finish: inner values of the main graph that are to be outputs too, after the
/// model's own; names with zero bytes between. Those that the graph lacks are left out.
QUERN_EXPORT int quern_loader_outputs(QuernLoader* loader, const uint8_t* names, size_t size);
/// Ends the file: parses, infers, runs the passes. Options, words: device (0 WebGPU, 1 CPU),
/// passes (0: off), threads (CPU), then for WebGPU: shader-f16, subgroups, subgroup min, subgroup
/// max, max storage buffers per stage, max invocations, max workgroup storage, max workgroups,
/// max binding bytes (wide), max buffer bytes (wide), and where the device has subgroup matrices
/// of f16 with f32 sums, their rows, columns and depth (else zeros), how many cores it has (0: not
/// known), 1 where it is emulated by a CPU, and its traits: 1 where products do better with
/// operands bound for writing, and 2 where it multiplies four bytes at once. The session takes the
/// loader's weights.
QUERN_EXPORT int quern_loader_finish(QuernLoader* loader, const uint32_t* options, size_t count);
QUERN_EXPORT QuernSession* quern_loader_session(QuernLoader* loader);  ///< once, after finish

// A session.
QUERN_EXPORT void quern_session_free(QuernSession* session);
/// Result, JSON: {format, producer, opsets: {domain: version}, signatures: {name: text}, inputs:
/// [{name, dtype, dims: [number | text] | null; of a container kind: "sequence" | "optional" |
/// "map", element: {dtype, dims, ...}, key; optional: true where a run may leave it out}], outputs:
/// same, hostInputs: [input numbers], weights:
/// [{name, dtype, dims, bytes, file, offset, used, stored: "f16" where f32 became that}], nodes:
/// [{id, name, op, domain, place: "device" | "view" | "host" | "shape" | "load" | "control",
/// precision: of a float result in memory, body: [ops of a fused node]}], hits: {pass: count},
/// precision: {used: "f32" | "f16", reason, constantBytes}}. `file` "" is the model file itself.
/// "host": strings and the like, on every device; "shape": arithmetic on what the host knows.
QUERN_EXPORT int quern_session_describe(QuernSession* session);
/// For messages, text: which node reads the contents of an input that hostInputs names.
QUERN_EXPORT int quern_session_host_reader(QuernSession* session, uint32_t input);
/// CPU device: the memory of a weight, to be filled with an external file's bytes.
QUERN_EXPORT uint8_t* quern_session_weight(QuernSession* session, uint32_t weight);
/// Before the first run on the WebGPU device: f16 in memory for f32 tensors, where that is safe
/// (docs/precision.md). `peaks` is the largest magnitude in each weight, NaN where it is not known;
/// `automatic` is not 0: only where nothing in the model speaks against it. The description says
/// what became of it.
QUERN_EXPORT int quern_session_narrow(QuernSession* session, const float* peaks, size_t count,
                                      uint32_t automatic);
/// WebGPU device: from now on plans have the forms of kernels that `table` names
/// (src/shader/tuning.h), `trial` of them all where it is not 0xffffffff. An error for a malformed
/// table.
QUERN_EXPORT int quern_session_tune(QuernSession* session, const uint8_t* table, size_t size,
                                    uint32_t trial);
/// Result, JSON: the choices of plans made since the last call (after quern_session_tune): [{node,
/// problem, forms: [name], taken, trials, first, last: which of the node's dispatches}].
QUERN_EXPORT int quern_session_choices(QuernSession* session);
/// WebGPU device: as quern_run_start, a run in which symbolic dims are `dim`, those first in an
/// input's shape `batch`. Of its messages the programs, buffers and `once` steps are to be taken,
/// the steps are not to be run; what it asks for may be assumed. An error of kind unsupported where
/// the model needs real input values first: harmless.
QUERN_EXPORT int quern_session_warm(QuernSession* session, uint32_t batch, uint32_t dim);

// A run. Input words: count, then for each input of the description in order a value
// (docs/sequences.md): dtype number (0: left out), rank, dims (wide), has_contents 0/1, and if 1 a
// blob with the bytes, for strings an empty blob and a list of strings (count, texts); or 64
// sequence, 65 optional, 66 map, and then dtype number, count, values. Contents are wanted where
// hostInputs says so; on the CPU device everywhere. The message says which uploads the plan wants.
QUERN_EXPORT int quern_run_start(QuernSession* session, const uint8_t* inputs, size_t size);
QUERN_EXPORT QuernRun* quern_run_take(QuernSession* session);  ///< once, after start
/// `values`: count, then a blob for each of the last segment's reads (count 0 at first).
/// Result: a plan message.
QUERN_EXPORT int quern_run_advance(QuernRun* run, const uint8_t* values, size_t size);
/// For messages, text: which node waits for the last segment's reads; empty where none does.
QUERN_EXPORT int quern_run_waiting(QuernRun* run);
/// Result, JSON: nodes that ran on the host: [{id, elements}].
QUERN_EXPORT int quern_run_report(QuernRun* run);
/// Result, JSON, for a profile: nodes that made steps for the device: [{id, name, op, domain, body,
/// flops, bytes}]; flops of products, 0 where there are none; bytes of inputs and outputs.
QUERN_EXPORT int quern_run_work(QuernRun* run);
QUERN_EXPORT void quern_run_free(QuernRun* run);
/// CPU device: the whole run. Result: count, then for each output a value: dtype, rank, dims
/// (wide), blob, and a list of strings (count, texts) where the dtype is string; containers as for
/// inputs.
QUERN_EXPORT int quern_cpu_run(QuernSession* session, const uint8_t* inputs, size_t size);
