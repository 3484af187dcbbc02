#include "agent/base/log.hpp"

#include <algorithm>
#include <cstdio>

namespace meterd {
namespace {

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

void append_value(std::string& out, std::string_view value) {
  const bool plain = !value.empty() && std::none_of(value.begin(), value.end(), [](char c) {
    return is_control(c) || c == ' ' || c == '"' || c == '=' || c == '\\';
  });
  if (plain) {
    out.append(value);
    return;
  }
  out.push_back('"');
  for (const char c : value) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(is_control(c) ? ' ' : c);
  }
  out.push_back('"');
}

}  // namespace

std::string Log::line(std::string_view event, Fields fields) {
  std::string out = "event=";
  out.append(event);
  for (const auto& field : fields) {
    out.append(1, ' ').append(field.key).append(1, '=');
    append_value(out, field.value);
  }
  return out;
}

void StderrLog::write(Level level, const std::string& line) {
  const std::string out = "<" + std::to_string(static_cast<int>(level)) + ">" + line + "\n";
  std::fwrite(out.data(), 1, out.size(), stderr);
}

}  // namespace meterd
