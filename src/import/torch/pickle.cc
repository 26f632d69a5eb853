#include "import/torch/pickle.h"

#include <algorithm>

#include "import/scan/protobuf.h"

namespace quern::torch {
namespace {

constexpr size_t kMostValues = size_t{1} << 20;
constexpr size_t kMostDims = 64;
/// Of names and keys, which objects that are recalled any number of times would multiply.
constexpr size_t kMostLetters = 256;

struct Value {
  enum class Kind : uint8_t {
    kNone,
    kNumber,  ///< `number`; booleans too
    kText,
    kGlobal,  ///< "module name" in `text`
    kMark,
    kTuple,    ///< lists too
    kDict,     ///< keys and values in turn
    kStorage,  ///< of the tuple items[0]
    kTensor,   ///< of the arguments' tuple items[0]
  };
  Kind kind = Kind::kNone;
  int64_t number = 0;
  std::string text;
  std::vector<size_t> items;  ///< by number
};

using Kind = Value::Kind;

std::unexpected<Error> broken() { return invalid_model("a pickle of tensors is damaged"); }

DType dtype_of_name(std::string_view name) {
  constexpr std::pair<std::string_view, DType> kNames[] = {
      {"FloatStorage", DType::kF32}, {"DoubleStorage", DType::kF64},
      {"HalfStorage", DType::kF16},  {"BFloat16Storage", DType::kBF16},
      {"LongStorage", DType::kI64},  {"IntStorage", DType::kI32},
      {"ShortStorage", DType::kI16}, {"CharStorage", DType::kI8},
      {"ByteStorage", DType::kU8},   {"BoolStorage", DType::kBool},
      {"uint16", DType::kU16},       {"uint32", DType::kU32},
      {"uint64", DType::kU64},
  };
  if (!name.starts_with("torch ")) return DType::kUndefined;
  for (const auto& [known, dtype] : kNames) {
    if (known == name.substr(6)) return dtype;
  }
  return DType::kUndefined;
}

class Reader {
 public:
  explicit Reader(Bytes bytes) : rest_(bytes) {}

  Result<std::map<std::string, StoredTensor>> read() {
    for (;;) {
      QUERN_ASSIGN(const Bytes op, take(1));
      if (op[0] == '.') break;
      QUERN_TRY(step(op[0]));
    }
    QUERN_ASSIGN(const size_t top, pop());
    const Value& dict = values_[top];
    if (dict.kind != Kind::kDict || dict.items.size() % 2 != 0) {
      return unsupported("a pickle that holds no dictionary of tensors");
    }
    std::map<std::string, StoredTensor> out;
    for (size_t i = 0; i < dict.items.size(); i += 2) {
      const Value& key = values_[dict.items[i]];
      const Value& value = values_[dict.items[i + 1]];
      if (key.kind != Kind::kText) return broken();
      if (value.kind != Kind::kTensor) {
        return unsupported(cat("'", key.text, "' of a pickle is no tensor"));
      }
      auto tensor = this->tensor(value);
      if (!tensor) {
        return std::unexpected(std::move(tensor).error().in(cat("tensor '", key.text, "'")));
      }
      out.insert_or_assign(key.text, *std::move(tensor));
    }
    return out;
  }

 private:
  Result<Bytes> take(uint64_t count) {
    if (count > rest_.size()) return broken();
    const Bytes out = rest_.first(static_cast<size_t>(count));
    rest_ = rest_.subspan(static_cast<size_t>(count));
    return out;
  }

  Result<uint64_t> little(size_t count) {
    QUERN_ASSIGN(const Bytes bytes, take(count));
    uint64_t out = 0;
    for (size_t i = 0; i < count; ++i) out |= uint64_t{bytes[i]} << (8 * i);
    return out;
  }

  Result<std::string> line() {
    const auto end = std::ranges::find(rest_, '\n');
    if (end == rest_.end()) return broken();
    QUERN_ASSIGN(const Bytes text, take(static_cast<uint64_t>(end - rest_.begin()) + 1));
    return std::string(text_of(text.first(text.size() - 1)));
  }

  Result<void> push(Value value) {
    if (values_.size() >= kMostValues) return limit_exceeded("a pickle of too many objects");
    stack_.push_back(values_.size());
    values_.push_back(std::move(value));
    return {};
  }
  Result<void> push_number(int64_t number) {
    return push({.kind = Kind::kNumber, .number = number});
  }
  Result<void> push_text(uint64_t size) {
    QUERN_ASSIGN(const Bytes text, take(size));
    return push({.kind = Kind::kText, .text = std::string(text_of(text))});
  }

  Result<void> global(const std::string& module, const std::string& name) {
    if (module.size() > kMostLetters || name.size() > kMostLetters) return broken();
    return push({.kind = Kind::kGlobal, .text = cat(module, " ", name)});
  }

  Result<size_t> pop() {
    if (stack_.empty()) return broken();
    const size_t out = stack_.back();
    stack_.pop_back();
    return out;
  }

  /// What is on the stack since the last mark, or `count` of it.
  Result<std::vector<size_t>> pop_items(std::optional<size_t> count = {}) {
    size_t at = stack_.size();
    if (count) {
      if (*count > at) return broken();
      at -= *count;
    } else {
      while (at > 0 && values_[stack_[at - 1]].kind != Kind::kMark) --at;
      if (at == 0) return broken();
    }
    std::vector<size_t> out(stack_.begin() + static_cast<ptrdiff_t>(at), stack_.end());
    stack_.resize(count ? at : at - 1);
    return out;
  }

  Result<void> tuple(std::optional<size_t> count) {
    QUERN_ASSIGN(std::vector<size_t> items, pop_items(count));
    return push({.kind = Kind::kTuple, .items = std::move(items)});
  }

  /// Adds to the dictionary or list that is then on top of the stack.
  Result<void> add(Kind kind, std::optional<size_t> count) {
    QUERN_ASSIGN(const std::vector<size_t> items, pop_items(count));
    if (stack_.empty() || values_[stack_.back()].kind != kind) return broken();
    std::vector<size_t>& to = values_[stack_.back()].items;
    to.insert(to.end(), items.begin(), items.end());
    return {};
  }

  Result<void> remember(uint64_t index) {
    if (stack_.empty() || index >= kMostValues) return broken();
    memo_[index] = stack_.back();
    return {};
  }
  Result<void> recall(uint64_t index) {
    const auto found = memo_.find(index);
    if (found == memo_.end()) return broken();
    stack_.push_back(found->second);
    if (stack_.size() > kMostValues) return limit_exceeded("a pickle of too many objects");
    return {};
  }

  Result<void> reduce() {
    QUERN_ASSIGN(const size_t arguments, pop());
    QUERN_ASSIGN(const size_t called, pop());
    if (values_[called].kind != Kind::kGlobal || values_[arguments].kind != Kind::kTuple) {
      return broken();
    }
    const std::string name = values_[called].text;
    if (name == "collections OrderedDict" && values_[arguments].items.empty()) {
      return push({.kind = Kind::kDict});
    }
    if (name == "torch._utils _rebuild_tensor_v2" || name == "torch._utils _rebuild_tensor_v3") {
      return push(
          {.kind = Kind::kTensor, .number = name.ends_with('3') ? 3 : 2, .items = {arguments}});
    }
    if (name == "torch._utils _rebuild_parameter" && !values_[arguments].items.empty()) {
      const size_t inner = values_[arguments].items[0];
      if (values_[inner].kind != Kind::kTensor) return broken();
      stack_.push_back(inner);
      return {};
    }
    return unsupported(cat("a pickle that calls ", name,
                           ": it is never executed; save the program with PyTorch 2.9 or newer"));
  }

  /// State that is set on an object: a dictionary's metadata, which means nothing here.
  Result<void> build() {
    QUERN_TRY(pop());
    if (stack_.empty() || values_[stack_.back()].kind != Kind::kDict) return broken();
    return {};
  }

  Result<void> step(uint8_t op) {
    switch (op) {
      case 0x80: {  // PROTO
        QUERN_ASSIGN(const uint64_t version, little(1));
        return version >= 2 && version <= 5 ? Result<void>() : broken();
      }
      case 0x95:  // FRAME
        QUERN_TRY(take(8));
        return {};
      case 'N':
        return push({});
      case 0x88:
      case 0x89:
        return push_number(op == 0x88 ? 1 : 0);
      case 'K':
      case 'M':
      case 'J': {
        QUERN_ASSIGN(const uint64_t bits, little(op == 'K' ? 1 : op == 'M' ? 2 : 4));
        return push_number(op == 'J' ? int64_t{static_cast<int32_t>(bits)}
                                     : static_cast<int64_t>(bits));
      }
      case 0x8a: {  // LONG1
        QUERN_ASSIGN(const uint64_t count, little(1));
        if (count > 8) return broken();
        QUERN_ASSIGN(uint64_t bits, little(static_cast<size_t>(count)));
        const bool is_negative = count > 0 && count < 8 && (bits >> (8 * count - 1)) != 0;
        if (is_negative) bits |= ~uint64_t{0} << (8 * count);
        return push_number(static_cast<int64_t>(bits));
      }
      case 'X':
      case 0x8c: {
        QUERN_ASSIGN(const uint64_t size, little(op == 'X' ? 4 : 1));
        return push_text(size);
      }
      case 'c': {
        QUERN_ASSIGN(const std::string module, line());
        QUERN_ASSIGN(const std::string name, line());
        return global(module, name);
      }
      case 0x93: {  // STACK_GLOBAL
        QUERN_ASSIGN(const size_t name, pop());
        QUERN_ASSIGN(const size_t module, pop());
        return global(values_[module].text, values_[name].text);
      }
      case 'q':
      case 'r': {
        QUERN_ASSIGN(const uint64_t index, little(op == 'q' ? 1 : 4));
        return remember(index);
      }
      case 0x94:
        return remember(memo_.size());
      case 'h':
      case 'j': {
        QUERN_ASSIGN(const uint64_t index, little(op == 'h' ? 1 : 4));
        return recall(index);
      }
      case '(':
        return push({.kind = Kind::kMark});
      case ')':
        return tuple(0);
      case ']':
        return push({.kind = Kind::kTuple});
      case '}':
        return push({.kind = Kind::kDict});
      case 't':
        return tuple({});
      case 0x85:
      case 0x86:
      case 0x87:
        return tuple(op - 0x84);
      case 's':
        return add(Kind::kDict, 2);
      case 'u':
        return add(Kind::kDict, {});
      case 'a':
        return add(Kind::kTuple, 1);
      case 'e':
        return add(Kind::kTuple, {});
      case 'Q': {
        QUERN_ASSIGN(const size_t of, pop());
        return push({.kind = Kind::kStorage, .items = {of}});
      }
      case 'R':
        return reduce();
      case 'b':
        return build();
      default:
        return unsupported(cat("opcode ", int{op},
                               " in a pickle of tensors: it is never executed; save the program "
                               "with PyTorch 2.9 or newer"));
    }
  }

  [[nodiscard]] const Value* item(const Value& of, size_t i, Kind kind) const {
    if (i >= of.items.size() || values_[of.items[i]].kind != kind) return nullptr;
    return &values_[of.items[i]];
  }

  /// _rebuild_tensor_v2(storage, offset, sizes, strides, requires_grad, hooks); v3 has the element
  /// type behind these.
  Result<StoredTensor> tensor(const Value& value) const {
    const Value& given = values_[value.items[0]];
    const Value* storage = item(given, 0, Kind::kStorage);
    const Value* offset = item(given, 1, Kind::kNumber);
    const Value* sizes = item(given, 2, Kind::kTuple);
    const Value* strides = item(given, 3, Kind::kTuple);
    const Value* saved = storage != nullptr ? item(*storage, 0, Kind::kTuple) : nullptr;
    // ('storage', torch.FloatStorage, '0', 'cpu', elements)
    const Value* type = saved != nullptr ? item(*saved, 1, Kind::kGlobal) : nullptr;
    const Value* key = saved != nullptr ? item(*saved, 2, Kind::kText) : nullptr;
    if (value.number == 3) type = item(given, 6, Kind::kGlobal);
    if (offset == nullptr || sizes == nullptr || strides == nullptr || type == nullptr ||
        key == nullptr || key->text.size() > kMostLetters ||
        sizes->items.size() != strides->items.size()) {
      return broken();
    }
    StoredTensor out;
    out.payload = key->text;
    out.meta.dtype = dtype_of_name(type->text);
    if (out.meta.dtype == DType::kUndefined) return unsupported(cat("of type ", type->text));
    if (sizes->items.size() > kMostDims) return unsupported("of too many dims");
    for (size_t i = 0; i < sizes->items.size(); ++i) {
      const Value* size = item(*sizes, i, Kind::kNumber);
      const Value* stride = item(*strides, i, Kind::kNumber);
      if (size == nullptr || stride == nullptr || size->number < 0) return broken();
      out.meta.sizes.push_back(Dim(size->number));
      out.meta.strides.emplace_back(stride->number);
    }
    out.meta.storage_offset = offset->number;
    return out;
  }

  Bytes rest_;
  std::vector<Value> values_;
  std::vector<size_t> stack_;
  std::map<uint64_t, size_t> memo_;
};

}  // namespace

Result<std::map<std::string, StoredTensor>> read_tensor_pickle(std::span<const uint8_t> bytes) {
  return Reader(bytes).read();
}

}  // namespace quern::torch
