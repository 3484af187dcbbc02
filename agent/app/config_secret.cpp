#include "agent/app/config_secret.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "agent/app/config_toml.hpp"

namespace meterd::app {
namespace {

constexpr std::size_t kSecretMax = 1'024;

Error invalid(std::string message) { return Error{Code::invalid, std::move(message)}; }

Result<std::string> from_file(const std::string& path, std::string& warning) {
  if (path.front() != '/') return invalid("a secret's file needs an absolute path");
  auto bytes = read_small_file(path, kSecretMax);
  if (!bytes) return invalid(bytes.error().message + "; create it, readable by the daemon's user only");
  std::error_code failed;
  const auto mode = std::filesystem::status(path, failed).permissions();
  if (!failed && (mode & std::filesystem::perms::others_read) != std::filesystem::perms::none)
    warning = "every user of this system can read " + path + "; run: chmod o-rwx " + path;
  return bytes;
}

Result<std::string> from_credential(const std::string& name, const ConfigSources& sources) {
  if (name.find('/') != std::string::npos || name == "." || name == "..")
    return invalid("a credential is named without a path");
  if (sources.credentials_directory.empty())
    return invalid(
        "no credentials were passed ($CREDENTIALS_DIRECTORY is not set); start meterd by a unit with "
        "LoadCredential=" +
        name + ":PATH, or use { file = ... }");
  auto bytes = read_small_file(sources.credentials_directory + "/" + name, kSecretMax);
  if (!bytes) return invalid(bytes.error().message + "; add LoadCredential=" + name + ":PATH to the unit");
  return bytes;
}

Result<std::string> from_environment(const std::string& name) {
  const bool well_formed = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
  if (!well_formed) return invalid("an environment variable's name has letters, digits and _ only");
  const char* value = std::getenv(name.c_str());
  if (value == nullptr || *value == '\0')
    return invalid("the environment variable " + name +
                   " is not set or empty; set it where meterd is started");
  return std::string(value);
}

}  // namespace

Result<std::string> read_small_file(const std::string& path, std::size_t size_max) {
  std::error_code unknown;  // the open below says what is wrong
  const auto kind = std::filesystem::status(path, unknown).type();
  if (!unknown && kind != std::filesystem::file_type::regular &&
      kind != std::filesystem::file_type::not_found)
    return Error{Code::io,
                 path + " cannot be read: it is not a file"};  // a pipe would be waited for without end
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::string bytes(size_max + 1, '\0');
  if (file) file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!file.is_open() || file.bad())
    return Error{Code::io,
                 path + " cannot be read: " + std::generic_category().message(errno != 0 ? errno : EIO)};
  bytes.resize(static_cast<std::size_t>(file.gcount()));
  if (bytes.size() > size_max)
    return Error{Code::io, path + " is larger than " + std::to_string(size_max) + " bytes"};
  return bytes;
}

Result<Secret> read_secret(std::string_view kind, const std::string& name, const ConfigSources& sources,
                           std::string& warning) {
  auto value = kind == "file"         ? from_file(name, warning)
               : kind == "credential" ? from_credential(name, sources)
                                      : from_environment(name);
  if (!value) return value.error();
  if (value->ends_with('\n')) value->pop_back();
  if (value->empty()) return invalid("the secret is empty");
  // It becomes part of an HTTP header: a line break in it would let its author write headers.
  const bool printable =
      std::all_of(value->begin(), value->end(), [](char c) { return c > ' ' && c < 0x7F; });
  if (!printable)
    return invalid("the secret has a character that no key has (a space, a line break, not ASCII)");
  return Secret(std::move(*value), "{ " + std::string(kind) + " = " + toml_quote(name) + " }");
}

}  // namespace meterd::app
