#include "platform/peer.hpp"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <sstream>
#include <string_view>

namespace meterd::platform {
namespace {

constexpr std::size_t kGroupsMax = 256;
constexpr std::size_t kAccountBytes = 4'096;

}  // namespace

std::optional<Peer> peer_of(int fd) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) return std::nullopt;
  Peer out{credentials.uid, credentials.pid, std::vector<std::uint32_t>(kGroupsMax)};
  auto bytes = static_cast<socklen_t>(out.groups.size() * sizeof(gid_t));
  if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, out.groups.data(), &bytes) != 0) bytes = 0;
  out.groups.resize(bytes / sizeof(gid_t));
  out.groups.push_back(credentials.gid);
  return out;
}

Peer peer_of(const Sender& sender) {
  Peer out{sender.user, sender.process, {sender.group}};
  std::array<char, kAccountBytes> text{};
  passwd account{};
  passwd* found = nullptr;
  if (getpwuid_r(sender.user, &account, text.data(), text.size(), &found) != 0 || found == nullptr)
    return out;
  std::array<gid_t, kGroupsMax> groups{};
  int count = kGroupsMax;
  if (getgrouplist(account.pw_name, account.pw_gid, groups.data(), &count) < 0) count = 0;
  out.groups.insert(out.groups.end(), groups.begin(), groups.begin() + count);
  return out;
}

std::uint32_t own_user() { return geteuid(); }

std::optional<std::uint32_t> find_user(const std::string& name) {
  std::array<char, kAccountBytes> text{};
  passwd account{};
  passwd* found = nullptr;
  if (getpwnam_r(name.c_str(), &account, text.data(), text.size(), &found) != 0 || found == nullptr)
    return std::nullopt;
  return account.pw_uid;
}

std::optional<std::uint32_t> find_group(const std::string& name) {
  std::array<char, 16 * kAccountBytes> text{};  // a group lists its members
  group entry{};
  group* found = nullptr;
  if (getgrnam_r(name.c_str(), &entry, text.data(), text.size(), &found) != 0 || found == nullptr)
    return std::nullopt;
  return entry.gr_gid;
}

// "0::/system.slice/sms.service", or on a system with the old hierarchy "1:name=systemd:/...". The first part
// that is no slice: below it the group is its unit's own, and a user's manager, say, names what it likes
// there.
std::string unit_in(const std::string& cgroups) {
  std::istringstream lines(cgroups);
  std::string unit;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("0::/") && line.find(":name=systemd:/") == std::string::npos) continue;
    std::istringstream parts(line.substr(line.find('/')));
    for (std::string part; std::getline(parts, part, '/');) {
      if (part.empty() || part.ends_with(".slice")) continue;
      if (part.ends_with(".service") || part.ends_with(".scope")) unit = part;
      break;
    }
    if (!unit.empty()) return unit;
  }
  return unit;
}

// The 22nd field of /proc/PID/stat (proc(5)); the second may hold anything, and ends with the last bracket.
std::optional<std::uint64_t> start_of(std::int32_t process) {
  constexpr int kFieldsBetween = 20;
  std::array<char, 1'024> text{};
  const int fd = ::open(("/proc/" + std::to_string(process) + "/stat").c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  const auto size = ::read(fd, text.data(), text.size());
  ::close(fd);
  std::string_view rest(text.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  rest.remove_prefix(std::min(rest.rfind(')'), rest.size()));
  for (int field = 0; field < kFieldsBetween && !rest.empty(); ++field)
    rest.remove_prefix(std::min(rest.find(' ', 1), rest.size()));
  if (rest.empty()) return std::nullopt;
  rest.remove_prefix(1);
  std::uint64_t started = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), started);
  if (error != std::errc()) return std::nullopt;
  return started;
}

std::string unit_of(std::int32_t process) {
  if (process <= 0) return {};
  std::ifstream file("/proc/" + std::to_string(process) + "/cgroup");
  std::ostringstream text;
  text << file.rdbuf();
  return unit_in(text.str());
}

}  // namespace meterd::platform
