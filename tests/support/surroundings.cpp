#include "tests/support/surroundings.hpp"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "agent/base/text.hpp"

namespace meterd::testing {

upstream::HttpResponse json_answer(unsigned status, const std::string& body) {
  return {status, {{"content-type", "application/json"}}, body};
}

upstream::HttpResponse vendor_error(unsigned status, const std::string& code) {
  return json_answer(status, R"({"message":"m","type":"invalid_request","api_error_code":")" + code + "\"}");
}

std::map<std::string, std::string> form_fields(const std::string& body) {
  std::map<std::string, std::string> out;
  std::string_view rest = body;
  while (!rest.empty()) {
    const auto part = rest.substr(0, rest.find('&'));
    rest = part.size() == rest.size() ? std::string_view{} : rest.substr(part.size() + 1);
    const auto equals = part.find('=');
    out[std::string(part.substr(0, equals))] = percent_decode(part.substr(equals + 1), true).value_or("");
  }
  return out;
}

TempDirectory::TempDirectory(const std::string& parent) {
  // In memory where the system has that: thousands of commits then cost neither time nor flash. TMPDIR
  // overrules it.
  const bool in_memory = std::getenv("TMPDIR") == nullptr && ::access("/dev/shm", W_OK) == 0;
  const auto usual = in_memory ? std::filesystem::path("/dev/shm") : std::filesystem::temp_directory_path();
  const auto below = parent.empty() ? usual : std::filesystem::path(parent);
  std::string pattern = (below / "meterd-test-XXXXXX").string();
  check(mkdtemp(pattern.data()) != nullptr, "a temporary directory can be made");
  path_ = pattern;
}
TempDirectory::~TempDirectory() {
  std::error_code ignored;  // a leftover directory is no reason to fail a test
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace meterd::testing
