#include "import/tflite/mutate.h"
#ifndef __EMSCRIPTEN__

#include <algorithm>
#include <cstring>
#include <random>

#include "import/onnx/mutate.h"

namespace quern {
namespace {

/// What a field of a table leads to.
enum class Kind : uint8_t { kScalar, kList, kTable, kTables };
struct Form;
struct FieldForm {
  unsigned id;
  Kind kind;
  size_t width;  ///< of a scalar, or of a list's elements
  const Form* form = nullptr;
};
struct Form {
  std::vector<FieldForm> fields;
};

/// The parts of the schema that matter; texts and buffers' data are left alone.
const Form& model_form() {
  using enum Kind;
  static const Form kOptions = {{{0, kScalar, 4},
                                 {1, kScalar, 4},
                                 {2, kScalar, 4},
                                 {3, kScalar, 1},
                                 {4, kScalar, 1},
                                 {5, kScalar, 1}}};
  static const Form kCode = {{{0, kScalar, 1}, {2, kScalar, 4}, {3, kScalar, 4}}};
  static const Form kBuffer = {{{1, kScalar, 8}, {2, kScalar, 8}}};
  static const Form kQuantization = {{{2, kList, 4}, {3, kList, 8}, {6, kScalar, 4}}};
  static const Form kLevel = {{{0, kScalar, 1}, {1, kScalar, 4}, {2, kScalar, 1}, {4, kScalar, 1}}};
  static const Form kSparsity = {{{0, kList, 4}, {1, kList, 4}, {2, kTables, 4, &kLevel}}};
  static const Form kTensor = {{{0, kList, 4},
                                {1, kScalar, 1},
                                {2, kScalar, 4},
                                {4, kTable, 4, &kQuantization},
                                {5, kScalar, 1},
                                {6, kTable, 4, &kSparsity},
                                {7, kList, 4}}};
  static const Form kOperator = {
      {{0, kScalar, 4}, {1, kList, 4}, {2, kList, 4}, {4, kTable, 4, &kOptions}, {5, kList, 1}}};
  static const Form kSubgraph = {
      {{0, kTables, 4, &kTensor}, {1, kList, 4}, {2, kList, 4}, {3, kTables, 4, &kOperator}}};
  static const Form kName = {{{1, kScalar, 4}}};
  static const Form kSignature = {
      {{0, kTables, 4, &kName}, {1, kTables, 4, &kName}, {4, kScalar, 4}}};
  static const Form kModel = {{{0, kScalar, 4},
                               {1, kTables, 4, &kCode},
                               {2, kTables, 4, &kSubgraph},
                               {4, kTables, 4, &kBuffer},
                               {7, kTables, 4, &kSignature}}};
  return kModel;
}

class Mutator {
 public:
  Mutator(std::span<const uint8_t> file, uint64_t seed)
      : bytes_(file.begin(), file.end()), random_(seed) {
    link(0, 4);
    visit(follow(0), model_form());
  }

  std::vector<uint8_t> run() {
    for (uint64_t count = 1 + below(2); count > 0; --count) {
      // Files whose structure is broken end there.
      change(below(6) == 0 || numbers_.empty() ? links_ : numbers_);
    }
    return std::move(bytes_);
  }

 private:
  struct Place {
    size_t at;
    size_t width;
  };

  uint64_t below(uint64_t limit) { return random_() % std::max<uint64_t>(limit, 1); }

  uint64_t number(size_t at, size_t width) const {
    uint64_t out = 0;
    if (at <= bytes_.size() && width <= bytes_.size() - at) {
      std::memcpy(&out, bytes_.data() + at, width);
    }
    return out;
  }
  size_t follow(size_t at) const { return at + number(at, 4); }
  void put(std::vector<Place>& list, size_t at, size_t width) const {
    if (at <= bytes_.size() && width <= bytes_.size() - at) list.push_back({at, width});
  }
  /// An offset, a length, or a field's place.
  void link(size_t at, size_t width) { put(links_, at, width); }
  void value(size_t at, size_t width) { put(numbers_, at, width); }

  void visit(size_t table, const Form& form) {
    const size_t vtable = table - static_cast<size_t>(static_cast<int32_t>(number(table, 4)));
    link(table, 4);
    for (const FieldForm& field : form.fields) {
      const size_t slot = 4 + size_t{2} * field.id;
      if (slot + 2 > number(vtable, 2)) continue;
      link(vtable + slot, 2);
      const size_t offset = number(vtable + slot, 2);
      if (offset == 0) continue;
      const size_t at = table + offset;
      if (field.kind == Kind::kScalar) {
        value(at, field.width);
        continue;
      }
      link(at, 4);
      if (field.kind == Kind::kTable) {
        visit(follow(at), *field.form);
      } else {
        const size_t list = follow(at);
        link(list, 4);
        const size_t count = std::min<size_t>(number(list, 4), 4096);
        for (size_t i = 0; i < count; ++i) {
          const size_t item = list + 4 + i * field.width;
          if (field.kind == Kind::kList) {
            value(item, field.width);
          } else {
            link(item, 4);
            visit(follow(item), *field.form);
          }
        }
      }
    }
  }

  void change(const std::vector<Place>& places) {
    const Place to = places[below(places.size())];
    constexpr int64_t kNumbers[] = {
        0,   1,         2,         3,    4,  5,  6,  7,   9,       17,        32,    -1,  -2,  127,
        128, INT32_MAX, INT32_MIN, 1000, 64, 13, 14, 118, 1 << 20, INT64_MAX, 65536, 142, -128};
    uint64_t value = static_cast<uint64_t>(kNumbers[below(std::size(kNumbers))]);
    if (below(2) == 0) {
      const Place from = places[below(places.size())];
      value = number(from.at, std::min(from.width, to.width));
    } else if (below(3) == 0) {
      value = number(to.at, to.width) + below(9) - 4;
    }
    std::memcpy(bytes_.data() + to.at, &value, to.width);
  }

  std::vector<uint8_t> bytes_;
  std::mt19937_64 random_;
  std::vector<Place> links_, numbers_;
};

}  // namespace

std::vector<uint8_t> mutant_of_tflite(std::span<const uint8_t> file, uint64_t seed,
                                      uint64_t number) {
  std::mt19937_64 random(seed * 0x9e3779b97f4a7c15 + number);
  if (random() % 8 == 0) return mutant_of(file, seed, number);
  return Mutator(file, random()).run();
}

}  // namespace quern

#endif
