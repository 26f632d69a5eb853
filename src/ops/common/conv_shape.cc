#include "ops/common/conv_shape.h"

namespace quern {
namespace {

Result<std::vector<int64_t>> read_ints(const Node& node, std::string_view name, size_t size,
                                       int64_t fallback, int64_t lowest) {
  const std::vector<int64_t>* given = node.ints(name);
  if (given == nullptr || given->empty()) return std::vector<int64_t>(size, fallback);
  if (given->size() != size) {
    return invalid_model(cat(node.describe(), ": ", name, " has ", given->size(), " values where ",
                             size, " are expected"));
  }
  for (int64_t v : *given) {
    if (v < lowest || v > INT32_MAX) {
      return invalid_model(cat(node.describe(), ": ", name, " holds ", v));
    }
  }
  return *given;
}

}  // namespace

Result<Window> read_window(const Node& node, size_t rank) {
  Window w;
  if (node.ints("kernel_shape") != nullptr) {
    QUERN_ASSIGN(w.kernel, read_ints(node, "kernel_shape", rank, 1, 1));
  }
  QUERN_ASSIGN(w.strides, read_ints(node, "strides", rank, 1, 1));
  QUERN_ASSIGN(w.dilations, read_ints(node, "dilations", rank, 1, 1));
  QUERN_ASSIGN(std::vector<int64_t> pads, read_ints(node, "pads", 2 * rank, 0, 0));
  w.pads_begin.assign(pads.begin(), pads.begin() + static_cast<std::ptrdiff_t>(rank));
  w.pads_end.assign(pads.begin() + static_cast<std::ptrdiff_t>(rank), pads.end());
  w.ceil_mode = node.int_or("ceil_mode", 0) != 0;
  w.clips = node.op.ends_with("Pool");
  const std::string_view mode = node.string_or("auto_pad", "NOTSET");
  if (mode == "NOTSET" || mode.empty()) {
    w.auto_pad = AutoPad::kNotSet;
  } else if (mode == "SAME_UPPER") {
    w.auto_pad = AutoPad::kSameUpper;
  } else if (mode == "SAME_LOWER") {
    w.auto_pad = AutoPad::kSameLower;
  } else if (mode == "VALID") {
    w.auto_pad = AutoPad::kValid;
  } else {
    return invalid_model(cat(node.describe(), ": auto_pad is '", mode,
                             "', expected NOTSET, SAME_UPPER, SAME_LOWER or VALID"));
  }
  return w;
}

WindowAxis window_axis(const Window& window, size_t axis, const Dim& input, const Dim& kernel) {
  const Dim stride = window.strides[axis];
  const Dim reach = (kernel - 1) * window.dilations[axis] + 1;
  WindowAxis out;
  switch (window.auto_pad) {
    case AutoPad::kNotSet:
      out.pad_begin = window.pads_begin[axis];
      out.pad_end = window.pads_end[axis];
      break;
    case AutoPad::kValid:
      break;
    case AutoPad::kSameUpper:
    case AutoPad::kSameLower: {
      out.output = ceil_div(input, stride);
      const Dim total = max((out.output - 1) * stride + reach - input, 0);
      const Dim half = floor_div(total, 2);
      const bool upper = window.auto_pad == AutoPad::kSameUpper;
      out.pad_begin = upper ? half : total - half;
      out.pad_end = upper ? total - half : half;
      return out;
    }
  }
  Dim room = input + out.pad_begin + out.pad_end - reach;
  // A window larger than its padded input still gives one element, over what there is of it: so
  // do the frameworks that divide toward zero here, and exports rely on it (a MaxPool at the end
  // of a net, on a small picture).
  if (window.clips) room = max(room, 0);
  if (window.ceil_mode) {
    out.output = min(ceil_div(room, stride), floor_div(input + out.pad_begin - 1, stride)) + 1;
  } else {
    out.output = floor_div(room, stride) + 1;
  }
  return out;
}

Result<void> infer_pool(InferContext& ctx) {
  const Shape* x = ctx.shape(0);
  if (x == nullptr) {
    ctx.set(0, ctx.dtype(0), std::nullopt);
    if (ctx.output_count() > 1) ctx.set(1, DType::kI64, std::nullopt);
    return {};
  }
  if (x->size() < 3) return ctx.error(cat("input ", *x, " has no spatial axis"));
  const size_t rank = x->size() - 2;
  QUERN_ASSIGN(Window window, read_window(ctx.node(), rank));
  if (window.kernel.empty()) return ctx.error("kernel_shape is missing");
  Shape y = {(*x)[0], (*x)[1]};
  for (size_t i = 0; i < rank; ++i) {
    const WindowAxis axis = window_axis(window, i, (*x)[i + 2], window.kernel[i]);
    if (axis.output.upper() < 0) {
      return ctx.error(
          cat("window of ", window.kernel[i], " along axis ", i + 2, " does not fit input ", *x));
    }
    y.push_back(axis.output);
  }
  if (ctx.output_count() > 1) ctx.set(1, DType::kI64, y);
  ctx.set(0, ctx.dtype(0), std::move(y));
  return {};
}

bool ConvShape::is_pointwise() const {
  for (size_t i = 0; i < rank(); ++i) {
    if (kernel[i] != 1 || strides[i] != 1 || pads[i] != 0 || input[i] != output[i]) return false;
  }
  return true;
}

void ConvShape::to_2d() {
  while (rank() < 2) {
    for (auto* v : {&input, &output, &kernel, &strides, &dilations}) v->insert(v->begin(), 1);
    pads.insert(pads.begin(), 0);
  }
}

Result<ConvShape> conv_shape(const OpContext& ctx, bool transposed) {
  const Dims& x = ctx.input(0).dims;
  const Dims& w = ctx.input(1).dims;
  const size_t rank = x.size() - 2;
  ConvShape s;
  s.groups = ctx.node().int_or("group", 1);
  s.batch = x[0];
  if (s.groups < 1 || x[1] % s.groups != 0 || w.size() != x.size() ||
      (!transposed && (w[0] % s.groups != 0 || w[1] != x[1] / s.groups)) ||
      (transposed && w[0] != x[1])) {
    return ctx.error(cat("input ", x, " and weights ", w, " don't fit ", s.groups, " groups"));
  }
  s.in_channels = x[1] / s.groups;
  s.out_channels = transposed ? w[1] : w[0] / s.groups;
  s.input.assign(x.begin() + 2, x.end());
  s.kernel.assign(w.begin() + 2, w.end());
  const Dims& y = ctx.output(0).dims;
  s.output.assign(y.begin() + 2, y.end());
  QUERN_ASSIGN(Window window, read_window(ctx.node(), rank));
  s.strides = window.strides;
  s.dilations = window.dilations;
  for (size_t i = 0; i < rank; ++i) {
    if (transposed) {
      QUERN_ASSIGN(TransposedAxis axis,
                   transposed_axis(ctx.node(), window, i, rank, s.input[i], s.kernel[i]));
      s.pads.push_back(axis.pad_begin.value());
    } else {
      s.pads.push_back(window_axis(window, i, s.input[i], s.kernel[i]).pad_begin.value());
    }
  }
  return s;
}

Result<TransposedAxis> transposed_axis(const Node& node, const Window& window, size_t axis,
                                       size_t rank, const Dim& input, const Dim& kernel) {
  QUERN_ASSIGN(std::vector<int64_t> extra, read_ints(node, "output_padding", rank, 0, 0));
  const Dim stride = window.strides[axis];
  const Dim reach = (kernel - 1) * window.dilations[axis] + 1;
  const Dim full = (input - 1) * stride + extra[axis] + reach;
  const std::vector<int64_t>* shape = node.ints("output_shape");
  const bool same =
      window.auto_pad == AutoPad::kSameUpper || window.auto_pad == AutoPad::kSameLower;
  if ((shape != nullptr && !shape->empty()) || same) {
    Dim output = input * stride;
    if (shape != nullptr && !shape->empty()) {
      // Some exporters give batch and channels too.
      const size_t skip = shape->size() == rank + 2 ? 2 : 0;
      if (shape->size() != rank + skip) {
        return invalid_model(cat(node.describe(), ": output_shape has ", shape->size(),
                                 " values where ", rank, " are expected"));
      }
      output = (*shape)[axis + skip];
    }
    const Dim total = max(full - output, 0);
    const Dim half = floor_div(total, 2);
    // The specification: SAME_UPPER puts the odd one at the end, all else at the begin.
    return TransposedAxis{output, window.auto_pad == AutoPad::kSameUpper ? half : total - half};
  }
  if (window.auto_pad == AutoPad::kValid) return TransposedAxis{full, 0};
  return TransposedAxis{full - window.pads_begin[axis] - window.pads_end[axis],
                        window.pads_begin[axis]};
}

}  // namespace quern
