// [access]: who may report what. Whoever speaks over a unix socket is known by the kernel's word; what comes
// over loopback has no peer and is known by its input alone. Immutable; loop thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/base/usage_day.hpp"
#include "agent/meter/permit.hpp"
#include "platform/peer.hpp"

namespace meterd::ingest {

struct AccessRule {
  std::string user, group, unit, input;  // one of them: whom it is for
  meter::Permit::Rule permit;
  bool operator==(const AccessRule&) const = default;
};

struct AccessRules {
  std::vector<std::string> groups{"meterd"};  // their members may report everything, and operate
  std::vector<AccessRule> allow;
  bool operator==(const AccessRules&) const = default;
};

// null: nothing.
using PermitPtr = std::shared_ptr<const meter::Permit>;

// What the system says of a process, which may have ended meanwhile.
struct Processes {
  std::function<std::string(std::int32_t)> unit_of = platform::unit_of;
  std::function<std::optional<std::uint64_t>(std::int32_t)> start_of = platform::start_of;
};

class Access {
 public:
  explicit Access(AccessRules rules, Processes processes = {})
      : rules_(std::move(rules)), processes_(std::move(processes)) {}
  // Root, meterd's own user and the groups: everything. Looks into the system's databases each time: a user
  // may become a group's member while meterd runs.
  PermitPtr of(const platform::Peer& peer) const;
  PermitPtr of_socket(int fd) const;  // who connected it; null also where the kernel does not say
  // "udp:127.0.0.1:8125": everything, unless a rule names it.
  PermitPtr of_input(const std::string& input) const;
  bool names_processes() const;  // a rule goes by unit
  const Processes& processes() const { return processes_; }
  // Others than the groups' members are to reach the sockets.
  bool names_others() const;

 private:
  bool is_for(const AccessRule& rule, const platform::Peer& peer, const std::string& unit) const;

  AccessRules rules_;
  Processes processes_;
};

// The verdicts on senders of datagrams, for a minute each: a look into the databases for each datagram would
// cost more than the datagram. A verdict that goes by unit is of one process: whether the number is still
// that process's is looked at every 10 ms (5 us each), in which the numbers of processes do not go round.
class SenderAccess {
 public:
  explicit SenderAccess(const Access& access) : access_(access), by_process_(access.names_processes()) {}
  // nullopt: the kernel did not say who it is. Valid until the next call.
  const meter::Permit* of(const std::optional<platform::Sender>& sender, BootTime now);

 private:
  struct Known {
    platform::Sender sender;
    PermitPtr permit;
    BootTime until;
    std::optional<std::uint64_t> started;  // of its process
    BootTime looked_at;
  };
  bool is_same_process(Known& known, BootTime now) const;
  const Access& access_;
  bool by_process_;
  std::vector<Known> known_;
  std::size_t last_ = 0;
};

}  // namespace meterd::ingest
