// Who is at the other end of a unix socket, as the kernel says (unix(7)), and what the system knows of users.
// A user, group or process of another namespace that has no name in ours reads as 65534, or as process 0.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace meterd::platform {

struct Peer {
  std::uint32_t user = 0;
  std::int32_t process = 0;           // 0: not known
  std::vector<std::uint32_t> groups;  // all of them
};

// Of a connected socket: who connected. nullopt: the kernel does not say.
std::optional<Peer> peer_of(int fd);

// Who sent a datagram (SCM_CREDENTIALS), whose kernel says nothing of the user's further groups.
struct Sender {
  std::uint32_t user = 0;
  std::uint32_t group = 0;
  std::int32_t process = 0;
  bool operator==(const Sender&) const = default;
};
// With the groups that the system's user database gives the user.
Peer peer_of(const Sender& sender);

std::uint32_t own_user();
std::optional<std::uint32_t> find_user(const std::string& name);
std::optional<std::uint32_t> find_group(const std::string& name);

// When the process was started, in clock ticks since boot: another one that gets its number later has
// another. nullopt: there is none.
std::optional<std::uint64_t> start_of(std::int32_t process);
// The systemd unit that a process runs in: "sms.service"; empty: none, or it has ended.
std::string unit_of(std::int32_t process);
// The same of what /proc/PID/cgroup says (cgroups(7)).
std::string unit_in(const std::string& cgroups);

}  // namespace meterd::platform
