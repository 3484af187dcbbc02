// One logfmt line per fact, a stable event name first, with the journald priority in front ("<6>event=...").
// error: an operator must act, and the field `do` says how. warning: degraded and healing itself. info: a
// state changed. Pure layers never log. Never pass a secret, a URL, a payload, nor what producers name
// (subscriptions, events, event ids: they may be phone numbers). Thread-safe: one write per line.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace meterd {

enum class Level : std::uint8_t { error = 3, warning = 4, info = 6, debug = 7 };

class Log {
 public:
  struct Field {
    Field(std::string_view k, std::string_view v) : key(k), value(v) {}
    Field(std::string_view k, const char* v) : key(k), value(v) {}
    Field(std::string_view k, std::string v) : key(k), value(std::move(v)) {}
    template <class Integer>
    requires std::is_integral_v<Integer> Field(std::string_view k, Integer v)
        : key(k), value(std::to_string(v)) {}
    std::string_view key;
    std::string value;
  };
  using Fields = std::initializer_list<Field>;

  virtual ~Log() = default;

  void error(std::string_view event, Fields fields = {}) { record(Level::error, event, fields); }
  void warning(std::string_view event, Fields fields = {}) { record(Level::warning, event, fields); }
  void info(std::string_view event, Fields fields = {}) { record(Level::info, event, fields); }

  // `event=NAME key=value ...`; values with spaces, quotes or control characters are quoted and escaped.
  static std::string line(std::string_view event, Fields fields);

 private:
  friend class SummarisingLog;
  virtual void record(Level level, std::string_view event, Fields fields) {
    write(level, line(event, fields));
  }
  virtual void write(Level level, const std::string& line) = 0;
};

// To standard error.
class StderrLog final : public Log {
  void write(Level level, const std::string& line) override;
};

class NullLog final : public Log {
  void write(Level, const std::string&) override {}
};

}  // namespace meterd
