// The effective configuration as TOML text.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/app/config.hpp"
#include "agent/app/config_toml.hpp"
#include "agent/app/config_values.hpp"

namespace meterd::app {

// Writes `key = value` lines. Optional values that are not set are left out: TOML has no null.
class TomlWriter {
 public:
  void header(std::string_view line) {
    if (!out_.empty()) out_ += "\n";
    out_.append(line).append("\n");
  }
  void raw(std::string_view key, std::string_view value) {
    out_.append(key).append(" = ").append(value).append("\n");
  }
  void comment(const std::string& line) { out_.append("# ").append(line).append("\n"); }
  void text(std::string_view key, const std::string& value) { raw(key, toml_quote(value)); }
  void text_if(std::string_view key, const std::string& value) {
    if (!value.empty()) text(key, value);
  }
  void duration(std::string_view key, Milliseconds value) { text(key, duration_text(value)); }
  void secret(std::string_view key, const Secret& value) {
    if (!value.source().empty()) raw(key, value.source());
  }
  void list(std::string_view key, const std::vector<std::string>& values) {
    std::string out = "[";
    for (const auto& value : values) out += (out.size() > 1 ? ", " : "") + toml_quote(value);
    raw(key, out + "]");
  }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

}  // namespace meterd::app
