// Reading one table of meterd.toml key by key. Every getter leaves its target unchanged when the key is
// absent or wrong, and reports what is wrong with file, line and key. finish() then reports the keys that
// nobody asked for, so the set of known keys is written down once: as the calls that read them.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/app/config.hpp"
#include "agent/app/config_toml.hpp"

namespace meterd::app {

// Everything found wrong or doubtful in one file.
class Problems {
 public:
  explicit Problems(std::string path) : path_(std::move(path)) {}

  struct Place {
    int line = 0;  // 0: the file as a whole
    std::string key;
  };
  void error(const Place& place, const std::string& message) { errors_.push_back(entry(place, message)); }
  void warning(const Place& place, const std::string& message) { warnings_.push_back(entry(place, message)); }

  // In the order of the file. At most 20 lines of errors, then how many more there are.
  std::optional<Error> errors() const;
  std::vector<std::string> warnings() const;

 private:
  struct Entry {
    int line;
    std::string text;
  };
  Entry entry(const Place& place, const std::string& message) const;

  std::string path_;
  std::vector<Entry> errors_;
  std::vector<Entry> warnings_;
};

struct DurationRule {
  Milliseconds least;
  Milliseconds most;
  const char* expected;  // `a duration such as "1d", at most one day`
};

class Section {
 public:
  // `table` may be null: the section is absent and everything keeps its default.
  Section(Problems& problems, const ConfigSources& sources, std::string name, const TomlNode* table);

  bool has(std::string_view key) const { return table_ != nullptr && table_->find(key) != nullptr; }
  // The key's place, or the section's where the key is absent.
  Problems::Place place(std::string_view key) const;
  void error(std::string_view key, const std::string& message) { problems_.error(place(key), message); }
  void warning(std::string_view key, const std::string& message) { problems_.warning(place(key), message); }
  // Error: "KEY: expected EXPECTED; found ..."
  void expected(std::string_view key, const std::string& what);
  // Error unless the key is there.
  void require(std::string_view key, const std::string& what);

  const TomlNode* take(std::string_view key);  // marks the key as known; null when absent
  // A string, or null; another type is reported with `what`.
  const std::string* text(std::string_view key, const std::string& what);
  void choice(std::string_view key, std::initializer_list<const char*> choices, std::string& out);
  // A name or id from outside: clean text of at most `length_max` bytes.
  template <class Name>
  void name(std::string_view key, std::size_t length_max, Name& out) {
    if (auto value = clean_text(key, length_max)) out = Name(std::move(*value));
  }
  // It may be a phone number: no message repeats it.
  void subscription(std::string_view key, SubscriptionId& out);
  template <class Duration>
  void duration(std::string_view key, const DurationRule& rule, Duration& out) {
    if (const auto value = duration_value(key, rule, Milliseconds(Duration(1))))
      out = std::chrono::duration_cast<Duration>(*value);
  }
  template <class Duration>
  void duration(std::string_view key, const DurationRule& rule, std::optional<Duration>& out) {
    if (Duration value{-1}; duration(key, rule, value), value >= Duration(0)) out = value;
  }
  bool size(std::string_view key, std::uint64_t& out);  // whether it was given and well formed
  void unsigned_integer(std::string_view key, std::uint64_t least, std::uint64_t most, std::uint64_t& out);
  void quantity(std::string_view key, std::optional<Quantity>& out);  // not negative
  // The nodes of an array of strings, or nullopt; an item of another type is reported at its own line and
  // left out.
  std::optional<std::vector<const TomlNode*>> items(std::string_view key, const std::string& what);
  void item_error(std::string_view key, const TomlNode& item, const std::string& message) {
    problems_.error({item.line, place(key).key}, message);
  }
  // Every string of an array.
  void strings(std::string_view key, const std::string& what, std::vector<std::string>& out);
  // Reads the secret itself. Only its source can appear in a message.
  void secret(std::string_view key, Secret& out);
  // A table inside this one; unknown keys in it are reported under KEY.
  std::optional<Section> table(std::string_view key, const std::string& what);

  // Warns of a name that this system does not have.
  void user_exists(std::string_view key, const std::string& name);
  void group_exists(std::string_view key, const std::string& name);

  void finish();

 private:
  std::optional<std::string> clean_text(std::string_view key, std::size_t length_max);
  std::optional<Milliseconds> duration_value(std::string_view key, const DurationRule& rule,
                                             Milliseconds step);
  const TomlNode* secret_source(std::string_view key);

  Problems& problems_;
  const ConfigSources& sources_;
  std::string name_;
  const TomlNode* table_;
  std::vector<std::string> known_;
};

// The sections of an array of tables ("[[meter]]").
std::vector<Section> sections(Problems& problems, const ConfigSources& sources, Section& root,
                              const char* name);

// " (did you mean "seal"?)" where one of the candidates is close, else nothing.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);

// `"a", "b" or "c"`.
std::string list_of(std::initializer_list<const char*> choices);

}  // namespace meterd::app
