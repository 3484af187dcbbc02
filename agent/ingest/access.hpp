// [access]: who may report what. Whoever speaks over a unix socket is known by the kernel's word; what comes
// over loopback has no peer and is known by its input alone. Immutable; loop thread.
#pragma once

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

class Access {
 public:
  explicit Access(AccessRules rules) : rules_(std::move(rules)) {}
  // Root, meterd's own user and the groups: everything. Looks into the system's databases each time: a user
  // may become a group's member while meterd runs.
  PermitPtr of(const platform::Peer& peer) const;
  PermitPtr of_socket(int fd) const;  // who connected it; null also where the kernel does not say
  // "udp:127.0.0.1:8125": everything, unless a rule names it.
  PermitPtr of_input(const std::string& input) const;
  bool names_processes() const;  // a rule goes by unit
  // Others than the groups' members are to reach the sockets.
  bool names_others() const;

 private:
  bool is_for(const AccessRule& rule, const platform::Peer& peer, const std::string& unit) const;

  AccessRules rules_;
};

// The verdicts on senders of datagrams, for a minute each: a look into the databases for each datagram would
// cost more than the datagram.
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
  };
  const Access& access_;
  bool by_process_;
  std::vector<Known> known_;
  std::size_t last_ = 0;
};

}  // namespace meterd::ingest
