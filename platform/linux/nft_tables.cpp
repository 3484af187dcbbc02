// Asks nfnetlink itself, no command and no library that makes an object of each element: 10,000 elements are
// parsed where they were received. A dump is several messages, between which the ruleset may change: the
// kernel marks most such dumps, and its generation number, asked for before and after, betrays the rest. Such
// a read begins again.
//
// No notification is listened to (NFNLGRP_NFTABLES; looked at with Linux 6.18). That of an element deleted by
// a command carries its last counter, but none is sent for elements that time out, the ones of a deleted
// table, set or counter come without it, and any may be lost: what a deletion takes along has to be told as a
// gap anyway.
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "platform/linux/linux.hpp"
#include "platform/linux/nft_messages.hpp"

namespace meterd::platform {
namespace {

#pragma GCC diagnostic ignored "-Wold-style-cast"
#pragma GCC diagnostic ignored "-Wcast-qual"

constexpr std::size_t kReceiveBytes = 64 * 1024;  // twice what the kernel puts into one answer of a dump
constexpr std::size_t kQueryBytes = 1024;
constexpr timeval kAnswerWithin{2, 0};
constexpr std::uint8_t kEveryFamily = 0;  // NFPROTO_UNSPEC
constexpr int kTriesMax = 5;
constexpr std::size_t kFlowtablesMax = 64;

enum class Answered : std::uint8_t { all, interrupted };

Error system_error(const char* doing, int error) {
  return {Code::io, std::string("nftables: ") + doing + ": " + std::strerror(error)};
}

Error refused(int error) {
  if (error == EPERM || error == EACCES)
    return {Code::unauthorised,
            "nftables: meterd lacks CAP_NET_ADMIN: give it to its unit (AmbientCapabilities=)"};
  if (error == ENOENT) return {Code::rejected, "nftables: not there"};
  if (error == EINTR || error == EAGAIN)
    return {Code::retry, "nftables: the ruleset was changed while it was read"};
  if (error == EPROTONOSUPPORT || error == EOPNOTSUPP || error == EINVAL || error == EAFNOSUPPORT)
    return {Code::rejected,
            std::string("nftables: the kernel does not take the question: ") + std::strerror(error)};
  return system_error("answer", error);
}

class LinuxNftTables final : public NftTables {
 public:
  LinuxNftTables() : received_(kReceiveBytes) {}
  ~LinuxNftTables() override { disconnect(); }
  LinuxNftTables(const LinuxNftTables&) = delete;
  LinuxNftTables& operator=(const LinuxNftTables&) = delete;

  Status read(const NftTarget& target, NftReading& into) override {
    if (auto connected = connect(); !connected) return connected;
    for (int tried = 0; tried < kTriesMax; ++tried) {
      const auto before = generation();
      if (!before) return failed(before.error());
      auto got = target.is_set ? read_set(target, into) : read_counter(target, into);
      if (!got && got.error().code != Code::retry) return failed(got.error());
      const auto after = generation();
      if (!after) return failed(after.error());
      if (got && *before == *after) return {};
    }
    return Error{Code::retry, "nftables: the ruleset changes faster than it can be read"};
  }

  Result<std::vector<NftFlowtable>> flowtables() override {
    if (auto connected = connect(); !connected) return connected.error();
    std::vector<NftFlowtable> found;
    auto* query = begin(NFT_MSG_GETFLOWTABLE, kEveryFamily, NLM_F_DUMP);
    auto answered = ask(query, [&](const nlmsghdr* message) -> Status {
      auto one = nft_flowtable(message);
      if (one && found.size() < kFlowtablesMax) found.push_back(std::move(*one));
      return {};
    });
    // Interrupted: the next look sees them.
    if (!answered && answered.error().code != Code::retry) return failed(answered.error());
    return found;
  }

 private:
  Status connect() {
    if (fd_ >= 0) return {};
    fd_ = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
    if (fd_ < 0) return system_error("socket", errno);
    if (setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &kAnswerWithin, sizeof kAnswerWithin) < 0) {
      const int error = errno;
      disconnect();
      return system_error("time limit", error);
    }
    socklen_t size = sizeof network_;
    if (getsockopt(fd_, SOL_SOCKET, SO_NETNS_COOKIE, &network_, &size) < 0) network_ = 0;
    return {};
  }

  void disconnect() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

  // After an answer that did not come or was not understood, what is still on its way must not be taken for
  // the next one's.
  Error failed(Error error) {
    if (error.code == Code::io) disconnect();
    return error;
  }

  nlmsghdr* begin(std::uint16_t type, std::uint8_t family, std::uint16_t flags) {
    auto* message = mnl_nlmsg_put_header(query_);
    message->nlmsg_type = static_cast<std::uint16_t>((NFNL_SUBSYS_NFTABLES << 8) | type);
    message->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
    message->nlmsg_seq = ++sequence_;
    auto* head = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(nfgenmsg)));
    head->nfgen_family = family;
    head->version = NFNETLINK_V0;
    return message;
  }

  // Sends the query and hands every message of its answer to `take`, whose error ends it. Code::retry: the
  // kernel said that the answer is of two rulesets.
  template <class Take>
  Status ask(nlmsghdr* query, Take take) {
    const bool dumps = (query->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
    if (!dumps) query->nlmsg_flags |= NLM_F_ACK;  // so that each answer has an end
    if (send(fd_, query, query->nlmsg_len, 0) < 0) return system_error("send", errno);
    bool interrupted = false;
    Status taken;
    for (;;) {
      const auto got = recv(fd_, received_.data(), received_.size(), MSG_TRUNC);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0 && errno == EAGAIN)
        return Error{Code::io, "nftables: the kernel did not answer within 2 s"};
      if (got < 0) return system_error("receive", errno);
      if (static_cast<std::size_t>(got) > received_.size())
        return Error{Code::io, "nftables: an answer was cut off"};
      auto left = static_cast<int>(got);
      for (auto* message = reinterpret_cast<const nlmsghdr*>(received_.data()); mnl_nlmsg_ok(message, left);
           message = mnl_nlmsg_next(message, &left)) {
        if (message->nlmsg_seq != sequence_) continue;  // of an earlier query that was given up
        interrupted = interrupted || (message->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
        if (message->nlmsg_type == NLMSG_ERROR || message->nlmsg_type == NLMSG_DONE) {
          if (auto ended = outcome_of(message); !ended) return ended;
          if (interrupted) return refused(EINTR);
          return taken;
        }
        if (taken && mnl_nlmsg_get_payload_len(message) >= sizeof(nfgenmsg)) taken = take(message);
      }
    }
  }

  // NLMSG_ERROR and NLMSG_DONE both begin with a negative error number or 0.
  static Status outcome_of(const nlmsghdr* message) {
    int error = 0;
    if (mnl_nlmsg_get_payload_len(message) >= sizeof error)
      std::memcpy(&error, mnl_nlmsg_get_payload(message), sizeof error);
    return error == 0 ? Status() : Status(refused(-error));
  }

  Result<std::uint32_t> generation() {
    std::optional<std::uint32_t> found;
    auto answered = ask(begin(NFT_MSG_GETGEN, kEveryFamily, 0), [&](const nlmsghdr* message) -> Status {
      found = nft_generation(message);
      return {};
    });
    if (!answered) return answered.error();
    if (!found) return Error{Code::io, "nftables: an answer without a generation"};
    return *found;
  }

  Result<std::uint64_t> table_handle(const NftTarget& target) {
    auto* query = begin(NFT_MSG_GETTABLE, static_cast<std::uint8_t>(target.family), 0);
    mnl_attr_put_strz(query, NFTA_TABLE_NAME, target.table.c_str());
    std::optional<std::uint64_t> handle;
    auto answered = ask(query, [&](const nlmsghdr* message) -> Status {
      handle = nft_table_handle(message);
      return {};
    });
    if (!answered && answered.error().code == Code::rejected)
      return Error{Code::rejected, "nftables: there is no table " + target.table + ": load its ruleset"};
    if (!answered) return answered.error();
    if (!handle) return Error{Code::io, "nftables: a table without a handle: Linux 4.16 or later is needed"};
    return *handle;
  }

  Status start(const NftTarget& target, NftReading& into) {
    into.elements.clear();
    into.without_counter = into.without_key = 0;
    into.object = 0;
    into.keys = NftKeyKind::none;
    into.network = network_;
    auto handle = table_handle(target);
    if (!handle) return handle.error();
    into.table = *handle;
    return {};
  }

  Result<NftSetShape> set_shape(const NftTarget& target) {
    auto* query = begin(NFT_MSG_GETSET, static_cast<std::uint8_t>(target.family), 0);
    mnl_attr_put_strz(query, NFTA_SET_TABLE, target.table.c_str());
    mnl_attr_put_strz(query, NFTA_SET_NAME, target.object.c_str());
    std::optional<NftSetShape> shape;
    auto answered = ask(query, [&](const nlmsghdr* message) -> Status {
      shape = nft_set_shape(message);
      return {};
    });
    const std::string named = "nftables: the set " + target.object;
    if (!answered && answered.error().code == Code::rejected)
      return Error{Code::rejected, named + " is not in table " + target.table + ": load its ruleset"};
    if (!answered) return answered.error();
    if (!shape) return Error{Code::io, "nftables: a set without a handle"};
    if (shape->keys == NftKeyKind::none)
      return Error{Code::invalid,
                   named + " has other keys than meterd can name: type ipv4_addr, ipv6_addr or mark"};
    return *shape;
  }

  Status read_set(const NftTarget& target, NftReading& into) {
    if (auto started = start(target, into); !started) return started;
    const auto shape = set_shape(target);
    if (!shape) return shape.error();
    into.object = shape->handle;
    into.keys = shape->keys;
    auto* query = begin(NFT_MSG_GETSETELEM, static_cast<std::uint8_t>(target.family), NLM_F_DUMP);
    mnl_attr_put_strz(query, NFTA_SET_ELEM_LIST_TABLE, target.table.c_str());
    mnl_attr_put_strz(query, NFTA_SET_ELEM_LIST_SET, target.object.c_str());
    auto answered = ask(query, [&](const nlmsghdr* message) -> Status {
      if (nft_elements(message, shape->key_bytes, into)) return {};
      return Error{Code::full,
                   "nftables: the set has more than 100000 elements: split it, or use several sources"};
    });
    if (!answered) return answered;
    if (!shape->counts && into.without_counter > 0 && into.elements.empty())
      return Error{Code::invalid, "nftables: the elements of the set " + target.object +
                                      " have no counters: say `counter` in its definition"};
    return {};
  }

  Status read_counter(const NftTarget& target, NftReading& into) {
    if (auto started = start(target, into); !started) return started;
    auto* query = begin(NFT_MSG_GETOBJ, static_cast<std::uint8_t>(target.family), 0);
    mnl_attr_put_strz(query, NFTA_OBJ_TABLE, target.table.c_str());
    mnl_attr_put_strz(query, NFTA_OBJ_NAME, target.object.c_str());
    mnl_attr_put_u32(query, NFTA_OBJ_TYPE, htobe32(NFT_OBJECT_COUNTER));
    auto answered = ask(query, [&](const nlmsghdr* message) -> Status {
      if (nft_named_counter(message, into)) return {};
      return Error{Code::io, "nftables: an answer without a counter"};
    });
    if (!answered && answered.error().code == Code::rejected)
      return Error{Code::rejected, "nftables: the counter " + target.object + " is not in table " +
                                       target.table + ": load its ruleset"};
    return answered;
  }

  int fd_ = -1;
  std::uint64_t network_ = 0;
  std::uint32_t sequence_ = 0;
  std::vector<char> received_;
  alignas(nlmsghdr) char query_[kQueryBytes]{};
};

}  // namespace

std::unique_ptr<NftTables> make_nft_tables() { return std::make_unique<LinuxNftTables>(); }

}  // namespace meterd::platform
