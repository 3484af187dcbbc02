#include "agent/app/config_reader.hpp"

#include <algorithm>
#include <numeric>

#include "agent/app/config_secret.hpp"
#include "agent/app/config_values.hpp"
#include "agent/base/limits.hpp"
#include "agent/base/text.hpp"

namespace meterd::app {
namespace {

constexpr std::size_t kErrorLinesMax = 20;
constexpr const char* kSecretShape =
    R"({ file = "/PATH" }, { credential = "NAME" } or { env = "NAME" }; a secret itself is not written into this file)";

// How many single-character edits lead from one word to the other.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0U);
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t k = 0; k < b.size(); ++k) {
      const auto replaced = diagonal + (a[i] == b[k] ? 0U : 1U);
      diagonal = row[k + 1];
      row[k + 1] = std::min({replaced, row[k] + 1, diagonal + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates) {
  const std::string* nearest = nullptr;
  std::size_t best = std::max<std::size_t>(2, word.size() / 3) + 1;
  for (const auto& candidate : candidates) {
    const auto distance = edit_distance(word, candidate);
    if (distance >= best || distance >= candidate.size()) continue;
    best = distance;
    nearest = &candidate;
  }
  return nearest == nullptr ? "" : " (did you mean \"" + *nearest + "\"?)";
}

std::string list_of(std::initializer_list<const char*> choices) {
  std::string out;
  for (std::size_t i = 0; i < choices.size(); ++i) {
    if (i > 0) out += i + 1 == choices.size() ? " or " : ", ";
    out += toml_quote(*(choices.begin() + i));
  }
  return out;
}

Problems::Entry Problems::entry(const Place& place, const std::string& message) const {
  std::string text = path_;
  if (place.line > 0) text += ":" + std::to_string(place.line);
  if (!place.key.empty()) text += ": " + place.key;
  return {place.line, text + ": " + message};
}

std::optional<Error> Problems::errors() const {
  if (errors_.empty()) return std::nullopt;
  auto sorted = errors_;
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const Entry& a, const Entry& b) { return a.line < b.line; });
  Error out{Code::invalid, ""};
  for (std::size_t i = 0; i < std::min(sorted.size(), kErrorLinesMax); ++i)
    out.message += (i > 0 ? "\n" : "") + sorted[i].text;
  if (sorted.size() > kErrorLinesMax)
    out.message += "\n" + path_ + ": and " + std::to_string(sorted.size() - kErrorLinesMax) + " more";
  return out;
}

std::vector<std::string> Problems::warnings() const {
  std::vector<std::string> out;
  for (const auto& warning : warnings_) out.push_back(warning.text);
  return out;
}

Section::Section(Problems& problems, const ConfigSources& sources, std::string name, const TomlNode* table)
    : problems_(problems), sources_(sources), name_(std::move(name)), table_(table) {
  if (table_ == nullptr || table_->kind == TomlNode::Kind::table) return;
  problems_.error({table_->line, name_}, "expected a table; found " + std::string(table_->kind_name()));
  table_ = nullptr;
}

Problems::Place Section::place(std::string_view key) const {
  const auto* node = table_ == nullptr ? nullptr : table_->find(key);
  const int line = node != nullptr ? node->line : table_ != nullptr ? table_->line : 0;
  return {line, name_.empty() ? std::string(key) : name_ + "." + std::string(key)};
}

void Section::expected(std::string_view key, const std::string& what) {
  const auto* node = table_ == nullptr ? nullptr : table_->find(key);
  error(key, "expected " + what + (node == nullptr ? "; it is missing" : "; found " + node->found()));
}

void Section::require(std::string_view key, const std::string& what) {
  if (!has(key)) expected(key, what);
}

const TomlNode* Section::take(std::string_view key) {
  known_.emplace_back(key);
  return table_ == nullptr ? nullptr : table_->find(key);
}

const std::string* Section::text(std::string_view key, const std::string& what) {
  const auto* node = take(key);
  if (node == nullptr) return nullptr;
  if (node->kind == TomlNode::Kind::string) return &node->text;
  expected(key, what);
  return nullptr;
}

void Section::choice(std::string_view key, std::initializer_list<const char*> choices, std::string& out) {
  const auto* value = text(key, list_of(choices));
  if (value == nullptr) return;
  if (std::find(choices.begin(), choices.end(), *value) == choices.end())
    return expected(key, list_of(choices));
  out = *value;
}

std::optional<std::string> Section::clean_text(std::string_view key, std::size_t length_max) {
  const std::string what =
      "a string of 1 to " + std::to_string(length_max) + " bytes without control characters";
  const auto* value = text(key, what);
  if (value == nullptr) return std::nullopt;
  if (is_clean_text(*value, length_max)) return *value;
  expected(key, what);
  return std::nullopt;
}

void Section::subscription(std::string_view key, SubscriptionId& out) {
  const auto* node = take(key);
  if (node == nullptr) return;
  if (node->kind == TomlNode::Kind::string && is_clean_text(node->text, limits::kIdMax))
    out = SubscriptionId(node->text);
  else
    error(key, "expected a string of 1 to " + std::to_string(limits::kIdMax) +
                   " bytes without control characters; found " + std::string(node->kind_name()));
}

std::optional<Milliseconds> Section::duration_value(std::string_view key, const DurationRule& rule,
                                                    Milliseconds step) {
  const auto* value = text(key, rule.expected);
  if (value == nullptr) return std::nullopt;
  const auto duration = parse_duration(*value);
  if (duration && *duration >= rule.least && *duration <= rule.most && *duration % step == Milliseconds(0))
    return *duration;
  expected(key, rule.expected);
  return std::nullopt;
}

bool Section::size(std::string_view key, std::uint64_t& out) {
  const std::string what = R"(a size such as "8MiB", in KiB, MiB or GiB)";
  const auto* value = text(key, what);
  if (value == nullptr) return false;
  const auto size = parse_size(*value);
  if (!size) return expected(key, what), false;
  out = *size;
  return true;
}

void Section::unsigned_integer(std::string_view key, std::uint64_t least, std::uint64_t most,
                               std::uint64_t& out) {
  const auto* node = take(key);
  if (node == nullptr) return;
  const auto value = node->integer < 0 ? 0 : static_cast<std::uint64_t>(node->integer);
  const bool fits = node->integer >= 0 && value >= least && value <= most;
  if (node->kind != TomlNode::Kind::integer || !fits)
    return expected(key, "a whole number from " + std::to_string(least) + " to " + std::to_string(most));
  out = value;
}

void Section::quantity(std::string_view key, std::optional<Quantity>& out) {
  const std::string what = R"(an exact decimal as a string such as "0.0075", not negative)";
  const auto* value = text(key, what);
  if (value == nullptr) return;
  const auto quantity = Quantity::parse(*value);
  if (!quantity || quantity->is_negative()) return expected(key, what);
  out = *quantity;
}

std::optional<std::vector<const TomlNode*>> Section::items(std::string_view key, const std::string& what) {
  const auto* node = take(key);
  if (node == nullptr) return std::nullopt;
  if (node->kind != TomlNode::Kind::array) {
    expected(key, "an array of strings, " + what);
    return std::nullopt;
  }
  std::vector<const TomlNode*> out;
  for (const auto& item : node->children) {
    if (item.kind == TomlNode::Kind::string) {
      out.push_back(&item);
    } else {
      item_error(key, item, "expected a string, " + what + "; found " + item.found());
    }
  }
  return out;
}

void Section::strings(std::string_view key, const std::string& what, std::vector<std::string>& out) {
  const auto nodes = items(key, what);
  if (!nodes) return;
  out.clear();
  for (const auto* node : *nodes) out.push_back(node->text);
}

const TomlNode* Section::secret_source(std::string_view key) {
  const auto* node = take(key);
  if (node == nullptr) return nullptr;
  if (node->kind != TomlNode::Kind::table) {
    error(key, std::string("expected ") + kSecretShape + "; found " + std::string(node->kind_name()));
    return nullptr;
  }
  const bool one = node->children.size() == 1;
  const auto& source = one ? node->children.front() : *node;
  const bool known = one && (source.key == "file" || source.key == "credential" || source.key == "env");
  if (known && source.kind == TomlNode::Kind::string && is_clean_text(source.text, 4'096)) return &source;
  // Not even a key's name is shown: whoever writes a secret in the wrong place may write it there.
  error(key, std::string("expected ") + kSecretShape + "; found a table of another shape");
  return nullptr;
}

void Section::secret(std::string_view key, Secret& out) {
  const auto* source = secret_source(key);
  if (source == nullptr) return;
  std::string doubt;
  auto secret = read_secret(source->key, source->text, sources_, doubt);
  if (!doubt.empty()) warning(key, doubt);
  if (!secret) return error(key, secret.error().message);
  out = std::move(*secret);
}

std::optional<Section> Section::table(std::string_view key, const std::string& what) {
  const auto* node = take(key);
  if (node == nullptr) return std::nullopt;
  if (node->kind == TomlNode::Kind::table) return Section(problems_, sources_, place(key).key, node);
  expected(key, what);
  return std::nullopt;
}

void Section::finish() {
  if (table_ == nullptr) return;
  for (const auto& child : table_->children)
    if (std::find(known_.begin(), known_.end(), child.key) == known_.end())
      error(child.key, "unknown key" + did_you_mean(child.key, known_));
}

void Section::user_exists(std::string_view key, const std::string& name) {
  if (sources_.has_user && !sources_.has_user(name))
    warning(key, "this system has no user " + toml_quote(name) + " so far");
}

void Section::group_exists(std::string_view key, const std::string& name) {
  if (sources_.has_group && !sources_.has_group(name))
    warning(key, "this system has no group " + toml_quote(name) + " so far");
}

std::vector<Section> sections(Problems& problems, const ConfigSources& sources, Section& root,
                              const char* name) {
  std::vector<Section> out;
  const auto* array = root.take(name);
  if (array == nullptr) return out;
  if (array->kind != TomlNode::Kind::array) {
    root.error(name, std::string("expected [[") + name + "]]; found " + std::string(array->kind_name()));
    return out;
  }
  for (const auto& item : array->children) out.emplace_back(problems, sources, name, &item);
  return out;
}

}  // namespace meterd::app
