#include "import/tensorflow/window.h"

#include <algorithm>

namespace quern::tensorflow {
namespace {

int64_t reach(const Window& w, size_t i) { return (w.kernel[i] - 1) * w.dilations[i] + 1; }

std::string auto_pad(const Window& w) { return w.padding == "SAME" ? "SAME_UPPER" : "VALID"; }

bool check(Emitter& b, const Tensor& x, const Window& w) {
  const size_t axes = w.axes();
  if (x.rank != axes + 2) {
    b.invalid(cat("an input of rank ",
                  x.rank == kUnknownRank ? std::string("unknown") : cat(x.rank), ", ", axes + 2,
                  " was expected"));
    return false;
  }
  for (size_t i = 0; i < axes; ++i) {
    const auto in = [](int64_t n) { return n >= 1 && n < (int64_t{1} << 31); };
    if (w.strides.size() != axes || w.dilations.size() != axes || !in(w.kernel[i]) ||
        !in(w.strides[i]) || !in(w.dilations[i]) || !in(reach(w, i))) {
      b.invalid("windows with sizes, strides or dilations out of range");
      return false;
    }
  }
  if (w.padding == "EXPLICIT" && w.pads.size() != 2 * axes) {
    b.invalid("explicit padding without its pads");
    return false;
  }
  return true;
}

Shape result_shape(Emitter& b, const Tensor& x, const Window& w, const Dim& channels) {
  const Shape dims = b.shape(x);
  Shape out = {dims[0], channels};
  const Shape spatial = window_dims(b, x, w);
  out.insert(out.end(), spatial.begin(), spatial.end());
  return out;
}

}  // namespace

Tensor channels_first(Emitter& b, const Tensor& x) {
  if (x.rank < 3 || x.rank == kUnknownRank) return x;
  const auto rank = static_cast<int64_t>(x.rank);
  Ints perm = {0, rank - 1};
  for (int64_t i = 1; i + 1 < rank; ++i) perm.push_back(i);
  return b.permute(x, std::move(perm));
}

Tensor channels_last(Emitter& b, const Tensor& x) {
  if (x.rank < 3 || x.rank == kUnknownRank) return x;
  Ints perm = {0};
  for (size_t i = 2; i < x.rank; ++i) perm.push_back(static_cast<int64_t>(i));
  perm.push_back(1);
  return b.permute(x, std::move(perm));
}

std::optional<Ints> known_pads(Emitter& b, const Tensor& x, const Window& w) {
  const size_t axes = w.axes();
  if (w.padding == "EXPLICIT") return w.pads;
  Ints pads(2 * axes);
  if (w.padding != "SAME") return pads;
  for (size_t i = 0; i < axes; ++i) {
    const int64_t kernel = reach(w, i);
    int64_t total = 0;
    if (const auto extent = x.extent(i + 2)) {
      const int64_t count = (*extent + w.strides[i] - 1) / w.strides[i];
      total = std::max<int64_t>((count - 1) * w.strides[i] + kernel - *extent, 0);
    } else if (w.strides[i] == 1) {
      total = kernel - 1;
    } else {
      return {};
    }
    pads[i] = total / 2;
    pads[axes + i] = total - total / 2;
  }
  (void)b;
  return pads;
}

Shape window_dims(Emitter& b, const Tensor& x, const Window& w) {
  const Shape dims = b.shape(x);
  Shape out;
  for (size_t i = 0; i < w.axes(); ++i) {
    if (w.padding == "SAME") {
      out.push_back(floor_div(dims[i + 2] + (w.strides[i] - 1), w.strides[i]));
      continue;
    }
    Dim extent = dims[i + 2] - reach(w, i);
    if (w.padding == "EXPLICIT") extent = extent + w.pads[i] + w.pads[w.axes() + i];
    out.push_back(floor_div(extent, w.strides[i]) + 1);
  }
  return out;
}

Tensor convolution(Emitter& b, const Tensor& input, const Tensor& weight, int64_t groups,
                   const Window& w, const Tensor& bias) {
  const Tensor x = w.channels_last ? channels_first(b, input) : input;
  if (b.failed() || !check(b, x, w)) return input;
  const Shape dims = result_shape(b, x, w, b.shape(weight)[0]);
  Tensor y;
  if (const auto pads = known_pads(b, x, w)) {
    y = b.op(
        "Conv", {x, weight, bias},
        {{"strides", w.strides}, {"dilations", w.dilations}, {"pads", *pads}, {"group", groups}});
  } else {
    y = b.op("Conv", {x, weight, bias},
             {{"strides", w.strides},
              {"dilations", w.dilations},
              {"auto_pad", auto_pad(w)},
              {"group", groups}});
  }
  y = b.shaped(y, dims);
  return w.channels_last ? channels_last(b, y) : y;
}

Tensor pool(Emitter& b, std::string_view name, const Tensor& input, const Window& w) {
  const Tensor x = w.channels_last ? channels_first(b, input) : input;
  if (b.failed() || !check(b, x, w)) return input;
  const Shape dims = result_shape(b, x, w, b.shape(x)[1]);
  Tensor y;
  if (const auto pads = known_pads(b, x, w)) {
    y = b.op(name, {x}, {{"kernel_shape", w.kernel}, {"strides", w.strides}, {"pads", *pads}});
  } else {
    y = b.op(name, {x},
             {{"kernel_shape", w.kernel}, {"strides", w.strides}, {"auto_pad", auto_pad(w)}});
  }
  y = b.shaped(y, dims);
  return w.channels_last ? channels_last(b, y) : y;
}

Tensor transposed_convolution(Emitter& b, const Tensor& input, const Tensor& weight,
                              const std::vector<Dim>& sizes, const Window& w, const Tensor& bias) {
  const Tensor x = w.channels_last ? channels_first(b, input) : input;
  if (b.failed() || !check(b, x, w)) return input;
  const size_t axes = w.axes();
  if (weight.rank != axes + 2 || sizes.size() != axes) {
    b.invalid(cat("a weight of rank ", weight.rank, " for ", axes, " spatial axes"));
    return input;
  }
  // [.., out, in] to [in, out, ..].
  Ints perm = {static_cast<int64_t>(axes) + 1, static_cast<int64_t>(axes)};
  for (size_t i = 0; i < axes; ++i) perm.push_back(static_cast<int64_t>(i));
  const Tensor kernel = b.permute(weight, perm);
  Ints pads(2 * axes), extra(axes);
  const Shape from = b.shape(x);
  Shape out = {from[0], b.shape(kernel)[1]};
  for (size_t i = 0; i < axes; ++i) {
    const int64_t size = reach(w, i), stride = w.strides[i];
    auto in = from[i + 2].constant();
    const auto wanted = sizes[i].constant();
    // What comes in follows from what comes out.
    if (!in && wanted && w.padding == "SAME") in = (*wanted + stride - 1) / stride;
    if (!in && wanted && w.padding == "VALID") in = (*wanted - size) / stride + 1;
    int64_t total = 0, rest = 0;
    if (w.padding == "EXPLICIT") {
      pads[i] = w.pads[i];
      pads[axes + i] = w.pads[axes + i];
      total = pads[i] + pads[axes + i];
    }
    if (in && wanted && *wanted >= 0 && *in < (1 << 30) && *wanted < (int64_t{1} << 40)) {
      const int64_t whole = (*in - 1) * stride + size;
      if (w.padding == "SAME") total = std::max<int64_t>(whole - *wanted, 0);
      rest = *wanted - (whole - total);
    } else if (w.padding == "SAME") {
      // What SAME makes of in * stride elements are `in`.
      total = std::max<int64_t>(size - stride, 0);
      rest = std::max<int64_t>(stride - size, 0);
    }
    if (w.padding != "EXPLICIT") {
      pads[i] = total / 2;
      pads[axes + i] = total - total / 2;
    }
    if (rest < 0 || (rest >= stride && rest >= w.dilations[i] && rest > 0)) {
      b.invalid(cat("a result of ", sizes[i].value(), " elements that no such convolution takes"));
      return input;
    }
    extra[i] = rest;
    out.push_back((from[i + 2] - 1) * stride + (size - total + rest));
  }
  Tensor y = b.op("ConvTranspose", {x, kernel, bias},
                  {{"strides", w.strides},
                   {"dilations", w.dilations},
                   {"pads", pads},
                   {"output_padding", extra}});
  y = b.shaped(y, out);
  return w.channels_last ? channels_last(b, y) : y;
}

Tensor conv_weight(Emitter& b, const Tensor& weight) {
  if (weight.rank < 3 || weight.rank > 5) {
    b.invalid(cat("a weight of rank ", weight.rank));
    return weight;
  }
  const auto axes = static_cast<int64_t>(weight.rank) - 2;
  Ints perm = {axes + 1, axes};
  for (int64_t i = 0; i < axes; ++i) perm.push_back(i);
  return b.permute(weight, perm);
}

Tensor depthwise_weight(Emitter& b, const Tensor& weight) {
  if (weight.rank < 3 || weight.rank > 4) {
    b.invalid(cat("a weight of rank ", weight.rank));
    return weight;
  }
  const size_t axes = weight.rank - 2;
  const auto in = weight.extent(axes);
  const auto multiplier = weight.extent(axes + 1);
  if (!in || !multiplier) {
    b.unsupported("a weight whose extents are not known");
    return weight;
  }
  Ints perm = {static_cast<int64_t>(axes), static_cast<int64_t>(axes) + 1};
  Ints sizes = {*in * *multiplier, 1};
  for (size_t i = 0; i < axes; ++i) {
    perm.push_back(static_cast<int64_t>(i));
    sizes.push_back(weight.extent(i).value_or(1));
  }
  return b.reshape_ints(b.permute(weight, perm), sizes);
}

}  // namespace quern::tensorflow
