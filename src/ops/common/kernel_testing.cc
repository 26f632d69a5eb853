#include "ops/common/kernel_testing.h"

#include <cmath>

#include "ir/print.h"
#include "ops/compose.h"

namespace quern {
namespace {

/// Runs pieces one after the other, cut as if there were threads.
class FakeParallel final : public Parallel {
 public:
  explicit FakeParallel(int threads) : threads_(threads) {}
  [[nodiscard]] int threads() const override { return threads_; }
  void run(int64_t count, int64_t grain,
           const std::function<void(int64_t, int64_t)>& body) override {
    const int64_t piece = std::max({grain, count / (2 * threads_), int64_t{1}});
    for (int64_t i = 0; i < count; i += piece) body(i, std::min(count, i + piece));
  }

 private:
  int threads_;
};

class FakeCpu final : public CpuContext {
 public:
  FakeCpu(const OpFrame& frame, std::vector<HostTensor>& outputs, int threads)
      : CpuContext(frame), outputs_(outputs), parallel_(threads) {}
  [[nodiscard]] const uint8_t* data(size_t input) const override {
    return frame_.host[input]->bytes.data();
  }
  // Cases have the types that their operators allow.
  [[nodiscard]] const uint8_t* data_as(size_t input, DType) const override { return data(input); }
  [[nodiscard]] uint8_t* out(size_t output) override { return outputs_[output].bytes.data(); }
  Result<uint8_t*> scratch(size_t bytes) override {
    scratch_.push_back(std::vector<uint8_t>(bytes + 64, 0xff));
    auto at = reinterpret_cast<uintptr_t>(scratch_.back().data());
    return scratch_.back().data() + (64 - at % 64) % 64;
  }
  [[nodiscard]] Parallel& parallel() override { return parallel_; }

 private:
  std::vector<HostTensor>& outputs_;
  FakeParallel parallel_;
  std::vector<std::vector<uint8_t>> scratch_;
};

}  // namespace

NodeUnderTest::NodeUnderTest(std::string op, int version, size_t outputs, std::string domain) {
  node_ = graph_.add_node(std::move(op), {}, outputs, nullptr, std::move(domain), version);
  node_->name = "n";
}

NodeUnderTest& NodeUnderTest::input(HostTensor tensor) {
  tensors_.push_back(std::make_unique<HostTensor>(std::move(tensor)));
  return *this;
}
NodeUnderTest& NodeUnderTest::no_input() {
  tensors_.push_back(nullptr);
  return *this;
}
NodeUnderTest& NodeUnderTest::set(std::string name, AttributeValue value) {
  node_->attributes[std::move(name)] = std::move(value);
  return *this;
}

Result<void> NodeUnderTest::infer() {
  frame_ = {};
  frame_.node = node_;
  frame_.def = find_op(*node_);
  if (frame_.def == nullptr) return unsupported(cat("no operator ", node_->op));
  std::vector<InferContext::Input> inputs;
  for (const auto& t : tensors_) {
    InferContext::Input input;
    TensorInfo info;
    if (t != nullptr) {
      input.present = true;
      input.type = Type::tensor(t->dtype, Shape(t->dims.begin(), t->dims.end()));
      input.host = t.get();
      info.dtype = t->dtype;
      info.dims = t->dims;
      info.baked = UINT32_MAX;
      info.present = true;
    }
    inputs.push_back(std::move(input));
    frame_.inputs.push_back(std::move(info));
    frame_.host.push_back(t.get());
  }
  InferContext ctx(*node_, std::move(inputs));
  QUERN_TRY(frame_.def->infer(ctx));
  for (const InferContext::Output& output : ctx.outputs()) {
    TensorInfo info;
    info.dtype = output.type.dtype;
    info.baked = UINT32_MAX;
    info.present = true;
    for (const Dim& d : *output.type.shape) {
      if (!d.is_const()) return internal_error("an output dim is not a number");
      info.dims.push_back(d.value());
    }
    frame_.outputs.push_back(std::move(info));
  }
  return {};
}

Result<std::vector<HostTensor>> NodeUnderTest::evaluate() {
  QUERN_TRY(infer());
  return evaluate_node(frame_);
}

Result<std::vector<HostTensor>> NodeUnderTest::run_kernel(const CpuKernel& kernel, int threads) {
  QUERN_TRY(infer());
  std::vector<HostTensor> outputs;
  for (const TensorInfo& info : frame_.outputs) {
    QUERN_ASSIGN(HostTensor t, HostTensor::zeros(info.dtype, info.dims));
    std::fill(t.bytes.begin(), t.bytes.end(), uint8_t{0xff});  // NaN: every element is written
    outputs.push_back(std::move(t));
  }
  FakeCpu cpu(frame_, outputs, threads);
  QUERN_TRY(kernel.run(cpu));
  return outputs;
}

HostTensor Random::floats(const Dims& dims, float scale) {
  int64_t n = 1;
  for (int64_t d : dims) n *= d;
  std::uniform_real_distribution<float> value(-scale, scale);
  std::vector<float> values(static_cast<size_t>(n));
  for (float& v : values) v = value(engine_);
  return HostTensor::of_floats(dims, values);
}

std::vector<float> floats_of(const HostTensor& tensor) {
  std::vector<float> out;
  for (int64_t i = 0; i < tensor.count(); ++i) {
    out.push_back(static_cast<float>(tensor.float_at(i)));
  }
  return out;
}

double difference(const HostTensor& got, const HostTensor& want) {
  if (got.dims != want.dims || got.dtype != want.dtype) return NAN;
  double error = 0;
  double norm = 0;
  for (int64_t i = 0; i < want.count(); ++i) {
    const double a = got.float_at(i);
    const double b = want.float_at(i);
    if (std::isnan(a) && std::isnan(b)) continue;
    if (std::isfinite(b)) norm += b * b;
    if (a != b) error += (a - b) * (a - b);
  }
  return std::sqrt(error / std::max(norm, 1e-30));
}

std::string inferred(const std::string& graph_text) {
  auto graph = parse_graph(graph_text);
  if (!graph) return graph.error().message;
  std::string out;
  for (const auto& node : (*graph)->nodes()) {
    const OpDef* def = find_op(*node);
    if (def == nullptr) return cat("no operator ", node->op);
    std::vector<InferContext::Input> inputs;
    for (const Value* v : node->inputs) {
      InferContext::Input input;
      if (v != nullptr) {
        input.present = true;
        input.type = v->type;
        if (v->constant != nullptr) {
          input.type = Type::tensor(v->constant->dtype,
                                    Shape(v->constant->dims.begin(), v->constant->dims.end()));
        }
      }
      inputs.push_back(std::move(input));
    }
    InferContext ctx(*node, std::move(inputs));
    if (auto done = def->infer(ctx); !done) return done.error().message;
    for (size_t i = 0; i < ctx.outputs().size(); ++i) {
      node->outputs[i]->type = ctx.outputs()[i].type;
      if (!out.empty()) out += "; ";
      append(out, ctx.outputs()[i].type);
    }
  }
  return out;
}

}  // namespace quern
