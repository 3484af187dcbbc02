// One logfmt line per fact, a stable event name first, with the journald priority in front ("<6>event=...").
// error: an operator must act, and the field `do` says how. warning: degraded and healing itself. info: a
// state changed. Pure layers never log. Never pass a secret, a URL, a payload, nor what producers name
// (subscriptions, events, event ids: they may be phone numbers). Thread-safe: one write per line.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <mutex>
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
  // What came of something that an operator asked for: never left out as a repeat.
  void answer(Level level, std::string_view event, Fields fields) { write(level, line(event, fields)); }

  // `event=NAME key=value ...`; values with spaces, quotes or control characters are quoted and escaped.
  static std::string line(std::string_view event, Fields fields);

 private:
  friend class SummarisingLog;
  virtual void record(Level level, std::string_view event, Fields fields) {
    write(level, line(event, fields));
  }
  virtual void write(Level level, const std::string& line) = 0;
};

// To standard error, and never waiting for it: while nobody reads the pipe, lines are dropped, and the next
// one that goes through says how many (`dropped=N`). A line of more than PIPE_BUF bytes (4 KiB) is cut there.
class StderrLog final : public Log {
 public:
  explicit StderrLog(int fd = 2) : fd_(fd) {}  // the caller's, for longer than the log

 private:
  void write(Level level, const std::string& line) override;

  int fd_;
  std::mutex mutex_;  // guards what follows, and that the room that was found is still there
  std::uint64_t dropped_ = 0;
};

class NullLog final : public Log {
  void write(Level, const std::string&) override {}
};

}  // namespace meterd
