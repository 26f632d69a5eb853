#include "ir/expr_eval.h"

#include <algorithm>
#include <bit>

#include "ir/expr_ops.h"

namespace quern {
namespace {

// A host evaluation is for small tensors: more loop iterations than this are a hostile model.
constexpr int64_t kMaxIterations = int64_t{1} << 31;

int64_t element_count_of(const std::vector<Extent>& dims) {
  int64_t count = 1;
  for (const Extent& e : dims) count *= e.value;
  return count;
}

}  // namespace

std::vector<uint64_t> free_loops(const ExprProgram& program) {
  std::vector<uint64_t> free(program.nodes.size());
  for (size_t id = 0; id < free.size(); ++id) {
    const ExprNode& node = program.nodes[id];
    if (node.op == ExprOp::kLoop) free[id] = uint64_t{1} << node.slot;
    for (Expr arg : node.args) free[id] |= free[arg.id];
    if (is_reduction(node.op)) {
      free[id] = free[node.args[0].id] | (free[node.args[1].id] & ~(uint64_t{1} << node.slot));
    }
  }
  return free;
}

std::vector<uint32_t> nodes_of_scope(const ExprProgram& program, std::span<const uint64_t> free,
                                     std::span<const Expr> roots, uint32_t variable,
                                     uint64_t enclosing) {
  std::vector<uint32_t> found;
  std::vector<bool> reached(program.nodes.size());
  for (Expr root : roots) reached[root.id] = true;
  for (size_t id = program.nodes.size(); id-- > 0;) {
    if (!reached[id]) continue;
    if (variable != kNoLoop && (free[id] >> variable & 1) == 0) continue;
    for (Expr arg : program.nodes[id].args) reached[arg.id] = true;
    if ((free[id] & ~enclosing) == 0) found.push_back(static_cast<uint32_t>(id));
  }
  std::reverse(found.begin(), found.end());
  return found;
}

struct ScalarEvaluator::State {
  std::span<const uint8_t* const> inputs;
  std::vector<ScalarBits> values;  // per node
  std::vector<uint8_t> bad;        // per node: depends on a load out of range
  std::vector<int64_t> index;      // of the element
  std::vector<int64_t> loops;      // per loop variable
  int64_t iterations = 0;
  std::string bad_load;  // the first one, in words
};

Result<ScalarEvaluator> ScalarEvaluator::compile(const ExprProgram& program) {
  QUERN_TRY(verify(program));
  ScalarEvaluator evaluator(program);
  const std::vector<uint64_t> free = free_loops(program);
  std::vector<Expr> roots;
  for (const ExprOutput& output : program.outputs) roots.push_back(output.value);
  std::vector<bool> uses_index(program.nodes.size());
  for (size_t id = 0; id < program.nodes.size(); ++id) {
    const ExprNode& node = program.nodes[id];
    uses_index[id] = node.op == ExprOp::kIndex;
    for (Expr arg : node.args) uses_index[id] = uses_index[id] || uses_index[arg.id];
  }
  evaluator.loops_.resize(program.nodes.size());
  const Steps all = nodes_of_scope(program, free, roots, kNoLoop, 0);
  for (uint32_t id : all) (uses_index[id] ? evaluator.each_ : evaluator.once_).push_back(id);
  evaluator.add_scopes(0, all, free);
  return evaluator;
}

void ScalarEvaluator::add_scopes(uint64_t enclosing, const Steps& steps,
                                 std::span<const uint64_t> free) {
  for (uint32_t id : steps) {
    const ExprNode& node = program_->nodes[id];
    if (!is_reduction(node.op)) continue;
    const uint64_t inside = enclosing | uint64_t{1} << node.slot;
    loops_[id] = nodes_of_scope(*program_, free, {&node.args[1], 1}, node.slot, inside);
    add_scopes(inside, loops_[id], free);
  }
}

void ScalarEvaluator::run_load(State& state, uint32_t id) const {
  const ExprNode& node = program_->nodes[id];
  const ExprInput& input = program_->inputs[node.slot];
  const bool is_flat = node.op == ExprOp::kLoadFlat;
  int64_t flat = 0;
  bool bad = false;
  for (size_t k = 0; k < node.args.size(); ++k) {
    const int64_t extent = is_flat ? element_count_of(input.dims) : input.dims[k].value;
    const int64_t at = state.values[node.args[k].id];
    if (state.bad[node.args[k].id] != 0) {
      bad = true;
    } else if (at < 0 || at >= extent) {
      bad = true;
      if (state.bad_load.empty()) {
        state.bad_load = cat("index ", at, " is outside the extent ", extent, " of axis ", k,
                             " of input ", node.slot);
      }
    }
    if (bad) break;
    flat = flat * extent + at;
  }
  state.bad[id] = bad;
  state.values[id] = bad ? 0 : load_element(input.dtype, state.inputs[node.slot], flat);
}

void ScalarEvaluator::run_reduction(State& state, uint32_t id) const {
  const ExprNode& node = program_->nodes[id];
  const uint32_t body = node.args[1].id;
  const Scalar type = program_->nodes[body].type;
  const int64_t extent = state.values[node.args[0].id];
  bool bad = state.bad[node.args[0].id] != 0;
  const bool is_sum = node.op == ExprOp::kReduceSum;
  const bool in_double = is_float(type) && (is_sum || node.op == ExprOp::kReduceProd);
  const ExprOp combine = is_sum                           ? ExprOp::kAdd
                         : node.op == ExprOp::kReduceProd ? ExprOp::kMul
                         : node.op == ExprOp::kReduceMin  ? ExprOp::kMin
                         : node.op == ExprOp::kReduceMax  ? ExprOp::kMax
                         : node.op == ExprOp::kReduceAny  ? ExprOp::kOr
                                                          : ExprOp::kAnd;
  ScalarBits result = reduction_identity(node.op, node.type);
  ScalarBits best = 0;
  double wide = is_sum ? 0.0 : 1.0;  // of f32 too: rounded once, at the end
  for (int64_t i = 0; i < extent && ++state.iterations <= kMaxIterations; ++i) {
    state.loops[node.slot] = i;
    run_steps(state, loops_[id]);
    const ScalarBits value = state.values[body];
    bad = bad || state.bad[body] != 0;
    if (is_arg_reduction(node.op)) {
      if (i != 0 && !arg_replaces(node.op, type, value, best)) continue;
      best = value;
      result = i;
    } else if (in_double) {
      wide = is_sum ? wide + std::bit_cast<double>(value) : wide * std::bit_cast<double>(value);
    } else {
      const ScalarBits args[] = {result, value};
      result = apply(combine, type, type, 0, args);
    }
  }
  state.values[id] = in_double ? from_double(type, wide) : result;
  state.bad[id] = bad;
}

void ScalarEvaluator::run_steps(State& state, const Steps& steps) const {
  for (uint32_t id : steps) {
    const ExprNode& node = program_->nodes[id];
    switch (node.op) {
      case ExprOp::kConst:
        state.values[id] = node.bits;
        continue;
      case ExprOp::kParam:
        state.values[id] = param_value(node.type, program_->params[node.slot]);
        continue;
      case ExprOp::kIndex:
        state.values[id] = state.index[node.slot];
        continue;
      case ExprOp::kLoop:
        state.values[id] = state.loops[node.slot];
        continue;
      case ExprOp::kLoad:
      case ExprOp::kLoadFlat:
        run_load(state, id);
        continue;
      default:
        break;
    }
    if (is_reduction(node.op)) {
      run_reduction(state, id);
      continue;
    }
    ScalarBits args[3] = {};
    bool bad = false;
    for (size_t k = 0; k < node.args.size(); ++k) {
      args[k] = state.values[node.args[k].id];
      bad = bad || state.bad[node.args[k].id] != 0;
    }
    if (node.op == ExprOp::kSelect && state.bad[node.args[0].id] == 0) {
      bad = state.bad[node.args[args[0] != 0 ? 1 : 2].id] != 0;
    }
    state.bad[id] = bad;
    state.values[id] = apply(node.op, node.type, program_->at(node.args.back()).type, node.slot,
                             {args, node.args.size()});
  }
}

Result<void> ScalarEvaluator::run(std::span<const uint8_t* const> inputs,
                                  std::span<uint8_t* const> outputs, int64_t begin,
                                  int64_t end) const {
  const std::vector<Extent>& domain = program_->domain;
  if (begin >= end) return {};
  State state;
  state.inputs = inputs;
  state.values.resize(program_->nodes.size());
  state.bad.resize(program_->nodes.size());
  state.index.resize(domain.size());
  state.loops.resize(program_->loops);
  int64_t rest = begin;
  for (size_t a = domain.size(); a-- > 0;) {
    state.index[a] = rest % domain[a].value;
    rest /= domain[a].value;
  }
  run_steps(state, once_);
  for (int64_t i = begin; i < end; ++i) {
    run_steps(state, each_);
    if (state.iterations > kMaxIterations) {
      return limit_exceeded(cat("an expression takes more than ", kMaxIterations, " iterations"));
    }
    for (size_t k = 0; k < outputs.size(); ++k) {
      const ExprOutput& output = program_->outputs[k];
      const ExprNode& node = program_->at(output.value);
      if (state.bad[output.value.id] != 0) return invalid_argument(state.bad_load);
      store_element(output.dtype, node.type, outputs[k], i, state.values[output.value.id]);
    }
    for (size_t a = domain.size(); a-- > 0;) {
      if (++state.index[a] < domain[a].value) break;
      state.index[a] = 0;
    }
  }
  return {};
}

Result<std::vector<HostTensor>> evaluate(const ExprProgram& program,
                                         std::span<const HostTensor* const> inputs) {
  QUERN_ASSIGN(const ScalarEvaluator evaluator, ScalarEvaluator::compile(program));
  if (inputs.size() != program.inputs.size()) {
    return internal_error(
        cat("expression of ", program.inputs.size(), " inputs got ", inputs.size()));
  }
  std::vector<const uint8_t*> from;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const ExprInput& input = program.inputs[i];
    const int64_t count = element_count_of(input.dims);
    if (inputs[i] == nullptr || inputs[i]->dtype != input.dtype || inputs[i]->count() != count ||
        inputs[i]->bytes.size() < byte_size(input.dtype, static_cast<uint64_t>(count))) {
      return internal_error(cat("input ", i, " of an expression is not ", name_of(input.dtype),
                                " of ", count, " elements"));
    }
    from.push_back(inputs[i]->bytes.data());
  }
  Dims dims;
  for (const Extent& e : program.domain) dims.push_back(e.value);
  QUERN_ASSIGN(const int64_t count, element_count(dims));
  std::vector<HostTensor> results;
  std::vector<uint8_t*> to;
  for (const ExprOutput& output : program.outputs) {
    QUERN_ASSIGN(HostTensor tensor, HostTensor::zeros(output.dtype, dims));
    results.push_back(std::move(tensor));
  }
  for (HostTensor& tensor : results) to.push_back(tensor.bytes.data());
  QUERN_TRY(evaluator.run(from, to, 0, count));
  return results;
}

}  // namespace quern
