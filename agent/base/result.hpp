// Result<T>: a value or an Error. Every expected failure in meterd travels as one of these; exceptions of
// libraries are caught in the file that calls them. The class is nodiscard: a dropped Result does not compile
// under CI's flags. A broken invariant is not an Error: see check() below.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace meterd {

// What the caller can do about it.
enum class Code : std::uint8_t {
  retry,         // nothing is wrong with the request; the same call may succeed later
  full,          // a declared limit is reached; refused until something is freed
  corrupt,       // stored bytes fail their checksum or do not parse
  invalid,       // the input is wrong and will stay wrong
  rejected,      // the other side refused it for good
  unauthorised,  // credentials are missing or wrong
  cancelled,     // the daemon is stopping, or a deadline passed
  io,            // the operating system refused; usually an operator must act
};

std::string_view name_of(Code code);

struct Error {
  Code code = Code::io;
  std::string message;  // one line, says what to do; no secrets, no payloads
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : state_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  explicit operator bool() const { return ok(); }
  bool ok() const { return std::holds_alternative<T>(state_); }

  T& operator*() & { return std::get<T>(state_); }
  const T& operator*() const& { return std::get<T>(state_); }
  T&& operator*() && { return std::get<T>(std::move(state_)); }
  T* operator->() { return &std::get<T>(state_); }
  const T* operator->() const { return &std::get<T>(state_); }

  const Error& error() const { return std::get<Error>(state_); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  explicit operator bool() const { return ok(); }
  bool ok() const { return !error_.has_value(); }
  const Error& error() const { return *error_; }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;

// Aborts with the place and the claim, in release builds too: a daemon whose own invariant is broken must not
// go on billing. systemd restarts it, the journal is untouched.
// (Builtins: clang 14 has no std::source_location with this C++ library.)
void check(bool holds, const char* claim, const char* file = __builtin_FILE(), int line = __builtin_LINE());

}  // namespace meterd
