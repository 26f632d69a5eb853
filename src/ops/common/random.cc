#include "ops/common/random.h"

#include <array>
#include <bit>
#include <numbers>

#include "ops/common/cast.h"

namespace quern {
namespace {

constexpr int kRounds = 20;
constexpr std::array<uint32_t, 8> kRotations = {13, 15, 26, 6, 17, 29, 16, 24};
constexpr uint32_t kParity = 0x1bd11bda;

std::array<uint32_t, 3> key_schedule(uint64_t key) {
  const auto low = static_cast<uint32_t>(key);
  const auto high = static_cast<uint32_t>(key >> 32);
  return {low, high, low ^ high ^ kParity};
}

Expr word(ExprBuilder& b, uint32_t v) { return b.constant_int(Scalar::kU32, v); }

}  // namespace

uint64_t random_key(const Node& node) {
  if (node.attribute("seed") != nullptr) {
    return __builtin_bit_cast(uint32_t, node.float_or("seed", 0.0f));
  }
  uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  for (const char c : node.name) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  return hash;
}

RandomWords random_words(ExprBuilder& b, uint64_t key, Expr low, Expr high) {
  const std::array<uint32_t, 3> keys = key_schedule(key);
  Expr x = b.add(low, word(b, keys[0]));
  Expr y = b.add(high, word(b, keys[1]));
  for (uint32_t round = 0; round < kRounds; ++round) {
    const uint32_t turn = kRotations[round % 8];
    x = b.add(x, y);
    const Expr left = b.binary(ExprOp::kShl, y, word(b, turn));
    const Expr right = b.binary(ExprOp::kShr, y, word(b, 32 - turn));
    y = b.binary(ExprOp::kBitXor, b.binary(ExprOp::kBitOr, left, right), x);
    if (round % 4 != 3) continue;
    const uint32_t step = round / 4 + 1;
    x = b.add(x, word(b, keys[step % 3]));
    y = b.add(y, word(b, keys[(step + 1) % 3] + step));
  }
  return {x, y};
}

std::pair<uint32_t, uint32_t> random_words(uint64_t key, uint32_t low, uint32_t high) {
  const std::array<uint32_t, 3> keys = key_schedule(key);
  uint32_t x = low + keys[0];
  uint32_t y = high + keys[1];
  for (uint32_t round = 0; round < kRounds; ++round) {
    x += y;
    y = std::rotl(y, static_cast<int>(kRotations[round % 8])) ^ x;
    if (round % 4 != 3) continue;
    const uint32_t step = round / 4 + 1;
    x += keys[step % 3];
    y += keys[(step + 1) % 3] + step;
  }
  return {x, y};
}

Expr element_number(ExprContext& c) {
  Expr number = word(c.b, 0);
  for (size_t a = 0; a < c.output(0).rank(); ++a) {
    const Expr extent = c.b.cast(c.output_dim(0, a), Scalar::kU32);
    number = c.b.add(c.b.mul(number, extent), c.b.cast(c.index(a), Scalar::kU32));
  }
  return number;
}

Expr uniform(ExprBuilder& b, Expr bits, Scalar type) {
  const Expr top = b.cast(b.binary(ExprOp::kShr, bits, word(b, 8)), Scalar::kI32);
  return b.mul(b.cast(top, type), b.constant(type, 0x1p-24));
}

Expr normal(ExprBuilder& b, const RandomWords& words, Scalar type) {
  // In (0, 1], whose logarithm is finite.
  const Expr radius = b.sub(b.constant(type, 1), uniform(b, words.first, type));
  const Expr length =
      b.unary(ExprOp::kSqrt, b.mul(b.constant(type, -2), b.unary(ExprOp::kLog, radius)));
  const Expr angle = b.mul(uniform(b, words.second, type), b.constant(type, 2 * std::numbers::pi));
  return b.mul(length, b.unary(ExprOp::kCos, angle));
}

Result<void> infer_random(InferContext& c, DType fallback, std::optional<Shape> shape) {
  QUERN_ASSIGN(const DType type, type_attribute(c.node(), "dtype", fallback));
  c.set(0, type, std::move(shape));
  return {};
}

Result<Shape> shape_attribute(const Node& node) {
  const std::vector<int64_t>* dims = node.ints("shape");
  if (dims == nullptr) return invalid_model(cat(node.describe(), ": shape is absent"));
  Shape shape;
  for (const int64_t d : *dims) {
    if (d < 0) return invalid_model(cat(node.describe(), ": shape has the extent ", d));
    shape.emplace_back(d);
  }
  return shape;
}

Result<Expr> random_uniform_expr(ExprContext& c, size_t) {
  ExprBuilder& b = c.b;
  const Scalar type = compute_type(c.output(0).dtype);
  const RandomWords words = random_words(b, random_key(c.node()), element_number(c), word(b, 0));
  const auto low = static_cast<double>(c.node().float_or("low", 0.0f));
  const auto high = static_cast<double>(c.node().float_or("high", 1.0f));
  return b.add(b.constant(type, low),
               b.mul(b.constant(type, high - low), uniform(b, words.first, type)));
}

Result<Expr> random_normal_expr(ExprContext& c, size_t) {
  ExprBuilder& b = c.b;
  const Scalar type = compute_type(c.output(0).dtype);
  const RandomWords words = random_words(b, random_key(c.node()), element_number(c), word(b, 0));
  const Expr mean = b.constant(type, c.node().float_or("mean", 0.0f));
  const Expr scale = b.constant(type, c.node().float_or("scale", 1.0f));
  return b.add(mean, b.mul(scale, normal(b, words, type)));
}

}  // namespace quern
