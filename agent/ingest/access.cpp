#include "agent/ingest/access.hpp"

#include <algorithm>
#include <utility>

namespace meterd::ingest {
namespace {

constexpr std::size_t kSendersKnown = 64;
constexpr Milliseconds kSenderKnownFor{60'000};
constexpr Milliseconds kProcessKnownFor{10};

PermitPtr everything(std::string who) {
  return std::make_shared<const meter::Permit>(meter::Permit{std::move(who), {}, true});
}

PermitPtr only(std::string who, std::vector<meter::Permit::Rule> rules, std::string scope) {
  if (rules.empty()) return nullptr;
  return std::make_shared<const meter::Permit>(
      meter::Permit{std::move(who), std::move(rules), false, std::move(scope)});
}

bool is_member(const platform::Peer& peer, const std::string& group) {
  const auto id = platform::find_group(group);
  return id && std::find(peer.groups.begin(), peer.groups.end(), *id) != peer.groups.end();
}

}  // namespace

bool Access::is_for(const AccessRule& rule, const platform::Peer& peer, const std::string& unit) const {
  if (!rule.user.empty()) return platform::find_user(rule.user) == peer.user;
  if (!rule.group.empty()) return is_member(peer, rule.group);
  return !rule.unit.empty() && rule.unit == unit;
}

PermitPtr Access::of(const platform::Peer& peer) const {
  auto who = "user " + std::to_string(peer.user);
  auto scope = who + ":";
  if (peer.user == 0 || peer.user == platform::own_user()) return everything(std::move(who));
  if (std::any_of(rules_.groups.begin(), rules_.groups.end(),
                  [&](const std::string& group) { return is_member(peer, group); }))
    return everything(std::move(who));
  const auto unit = names_processes() ? processes_.unit_of(peer.process) : std::string();
  if (!unit.empty()) who += " in " + unit;
  std::vector<meter::Permit::Rule> rules;
  for (const auto& rule : rules_.allow)
    if (is_for(rule, peer, unit)) rules.push_back(rule.permit);
  return only(std::move(who), std::move(rules), std::move(scope));
}

PermitPtr Access::of_socket(int fd) const {
  const auto peer = platform::peer_of(fd);
  return peer ? of(*peer) : nullptr;
}

PermitPtr Access::of_input(const std::string& input) const {
  std::vector<meter::Permit::Rule> rules;
  for (const auto& rule : rules_.allow)
    if (rule.input == input) rules.push_back(rule.permit);
  return rules.empty() ? everything(input) : only(input, std::move(rules), input + ":");
}

bool Access::names_processes() const {
  return std::any_of(rules_.allow.begin(), rules_.allow.end(),
                     [](const AccessRule& rule) { return !rule.unit.empty(); });
}

bool Access::names_others() const {
  return std::any_of(rules_.allow.begin(), rules_.allow.end(),
                     [](const AccessRule& rule) { return rule.input.empty(); });
}

bool SenderAccess::is_same_process(Known& known, BootTime now) const {
  if (!by_process_ || now - known.looked_at < kProcessKnownFor) return true;
  const bool is_same = access_.processes().start_of(known.sender.process) == known.started;
  if (is_same) known.looked_at = now;
  return is_same;
}

const meter::Permit* SenderAccess::of(const std::optional<platform::Sender>& sender, BootTime now) {
  if (!sender) return nullptr;
  auto asked = *sender;
  if (!by_process_) asked.process = 0;
  const auto fits = [&](Known& one) {
    return one.sender == asked && now < one.until && is_same_process(one, now);
  };
  if (last_ < known_.size() && fits(known_[last_])) return known_[last_].permit.get();
  const auto found = std::find_if(known_.begin(), known_.end(), fits);
  if (found == known_.end()) {
    std::erase_if(known_, [&](const Known& one) { return one.sender == asked || now >= one.until; });
    if (known_.size() >= kSendersKnown) known_.erase(known_.begin());
    const auto started = by_process_ ? access_.processes().start_of(asked.process) : std::nullopt;
    known_.push_back({asked, access_.of(platform::peer_of(*sender)), now + kSenderKnownFor, started, now});
    last_ = known_.size() - 1;
  } else {
    last_ = static_cast<std::size_t>(found - known_.begin());
  }
  return known_[last_].permit.get();
}

}  // namespace meterd::ingest
