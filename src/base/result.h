// Errors as values. No exception crosses a function boundary in Quern.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

#include "base/text.h"

namespace quern {

/// What kind of failure an error is; the runtime maps each to a typed JavaScript error.
enum class ErrorCode : uint8_t {
  kInvalidModel,     ///< the model's bytes or graph break their format's rules
  kUnsupported,      ///< valid, but an operator, type or form that this build or device lacks
  kInvalidArgument,  ///< a caller's value: unknown input, wrong type or shape
  kLimit,            ///< a declared bound (memory, device limit, nesting) would be passed
  kInternal,         ///< a broken invariant of our own
};

/// One error: lower case, with node name, operator, shapes and what was expected.
struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;

  /// The same error with `context` and ": " put before its message, unless it begins with it.
  [[nodiscard]] Error in(std::string_view context) && {
    if (!message.starts_with(context)) message.insert(0, cat(context, ": "));
    return std::move(*this);
  }
};

template <class T>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> invalid_model(std::string message) {
  return std::unexpected(Error{ErrorCode::kInvalidModel, std::move(message)});
}
inline std::unexpected<Error> unsupported(std::string message) {
  return std::unexpected(Error{ErrorCode::kUnsupported, std::move(message)});
}
inline std::unexpected<Error> invalid_argument(std::string message) {
  return std::unexpected(Error{ErrorCode::kInvalidArgument, std::move(message)});
}
inline std::unexpected<Error> limit_exceeded(std::string message) {
  return std::unexpected(Error{ErrorCode::kLimit, std::move(message)});
}
inline std::unexpected<Error> internal_error(std::string message) {
  return std::unexpected(Error{ErrorCode::kInternal, std::move(message)});
}

#define QUERN_CONCAT_(a, b) a##b
#define QUERN_CONCAT(a, b) QUERN_CONCAT_(a, b)

/// Returns the error of a Result expression, if it is one.
#define QUERN_TRY(expression)                                     \
  do {                                                            \
    if (auto quern_try_ = (expression); !quern_try_) [[unlikely]] \
      return std::unexpected(std::move(quern_try_).error());      \
  } while (false)

/// `QUERN_ASSIGN(auto x, f());`: x is the value of f(), or its error is returned.
#define QUERN_ASSIGN(declaration, expression) \
  QUERN_ASSIGN_(QUERN_CONCAT(quern_result_, __LINE__), declaration, expression)
#define QUERN_ASSIGN_(temporary, declaration, expression) \
  auto temporary = (expression);                          \
  if (!temporary) [[unlikely]]                            \
    return std::unexpected(std::move(temporary).error()); \
  declaration = *std::move(temporary)

}  // namespace quern
