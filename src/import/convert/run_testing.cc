#include "import/convert/run_testing.h"

#include "api/cpu_session.h"
#include "api/session.h"
#include "import/convert/file.h"
#include "ops/op_def.h"

namespace quern::testing {

namespace {

std::string run_loaded(Result<LoadedModel> model, const std::vector<std::vector<double>>& inputs,
                       const std::vector<Dims>& dims) {
  const auto go = [&]() -> Result<std::string> {
    QUERN_ASSIGN(LoadedModel loaded, std::move(model));
    QUERN_TRY(check_supported(loaded.model, find_op));
    QUERN_TRY(check_nodes(loaded.model, find_op));
    for (auto& bytes : loaded.weights) bytes.resize((bytes.size() + 15) / 16 * 16);
    const auto backend = CpuSession::make_backend();
    SessionOptions options;
    options.pass_options.verify_each = true;
    QUERN_ASSIGN(const auto session, Session::create(std::move(loaded.model), *backend, options));
    CpuSession cpu(*session, *backend, loaded.weights, 1);
    std::vector<RunInput> values;
    for (size_t i = 0; i < session->inputs().size(); ++i) {
      if (i >= inputs.size()) {
        values.emplace_back();
        continue;
      }
      const Type& type = session->inputs()[i].type;
      Dims shape = i < dims.size() ? dims[i] : constant_dims(*type.shape).value();
      QUERN_ASSIGN(HostTensor tensor, HostTensor::zeros(type.dtype, shape));
      for (size_t k = 0; k < inputs[i].size(); ++k) {
        if (is_float(type.dtype)) {
          tensor.set_float(static_cast<int64_t>(k), inputs[i][k]);
        } else {
          tensor.set_int(static_cast<int64_t>(k), static_cast<int64_t>(inputs[i][k]));
        }
      }
      values.push_back({.dtype = type.dtype,
                        .dims = shape,
                        .host = std::make_shared<HostTensor>(std::move(tensor))});
    }
    QUERN_TRY(session->check_inputs(values));
    QUERN_ASSIGN(const std::vector<HostValue> outputs, cpu.run(values));
    std::vector<std::string> texts;
    for (const HostValue& output : outputs) {
      std::string text = cat(name_of(output.tensor.dtype), output.tensor.dims);
      for (int64_t i = 0; i < output.tensor.count(); ++i) {
        text += ' ';
        if (is_float(output.tensor.dtype)) {
          append(text, static_cast<float>(output.tensor.float_at(i)));
        } else {
          append(text, output.tensor.int_at(i));
        }
      }
      texts.push_back(std::move(text));
    }
    return join(texts, "; ");
  };
  auto result = go();
  return result ? *std::move(result) : cat("error: ", result.error().message);
}

}  // namespace

std::string run_file(std::span<const uint8_t> file, const std::vector<std::vector<double>>& inputs,
                     const std::vector<Dims>& dims) {
  return run_loaded(load_model(file), inputs, dims);
}

std::string run_path(const std::string& path, const std::vector<std::vector<double>>& inputs,
                     const std::vector<Dims>& dims) {
  return run_loaded(load_model_file(path), inputs, dims);
}

}  // namespace quern::testing
