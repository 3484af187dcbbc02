// RTM_GETLINK by name, answered by the kernel at once. Attributes: rtnetlink(7), linux/if_link.h.
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "platform/linux/linux.hpp"

namespace meterd::platform {
namespace {

// The kernel's macros are C: their casts are not ours.
#pragma GCC diagnostic ignored "-Wold-style-cast"
#pragma GCC diagnostic ignored "-Wcast-qual"

constexpr std::size_t kAnswerBytesMax = 32 * 1024;

struct Query {
  nlmsghdr header;
  ifinfomsg info;
  rtattr name;
  char text[RTA_ALIGN(IFNAMSIZ)];
};

Error system_error(const char* doing) { return {Code::io, std::string(doing) + ": " + std::strerror(errno)}; }

Result<LinkSample> parse(const char* bytes, std::size_t size) {
  const auto* header = reinterpret_cast<const nlmsghdr*>(bytes);
  if (!NLMSG_OK(header, size)) return Error{Code::io, "netlink: a short answer"};
  if (header->nlmsg_type == NLMSG_ERROR) {
    const auto* failed = static_cast<const nlmsgerr*>(NLMSG_DATA(header));
    if (failed->error == -ENODEV) return Error{Code::rejected, "there is no such network interface"};
    return Error{Code::io, std::string("netlink: ") + std::strerror(-failed->error)};
  }
  LinkSample sample;
  sample.index = static_cast<const ifinfomsg*>(NLMSG_DATA(header))->ifi_index;
  auto rest = static_cast<int>(header->nlmsg_len - NLMSG_LENGTH(sizeof(ifinfomsg)));
  const auto* attribute = reinterpret_cast<const rtattr*>(static_cast<const char*>(NLMSG_DATA(header)) +
                                                          NLMSG_ALIGN(sizeof(ifinfomsg)));
  for (; RTA_OK(attribute, rest); attribute = RTA_NEXT(attribute, rest)) {
    if (attribute->rta_type != IFLA_STATS64) continue;
    rtnl_link_stats64 stats{};
    std::memcpy(&stats, RTA_DATA(attribute), std::min<std::size_t>(sizeof stats, RTA_PAYLOAD(attribute)));
    sample.rx_bytes = stats.rx_bytes;
    sample.tx_bytes = stats.tx_bytes;
    return sample;
  }
  return Error{Code::io, "netlink: an answer without byte counters"};
}

class LinuxLinks final : public Links {
 public:
  LinuxLinks() : fd_(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)) {}
  ~LinuxLinks() override {
    if (fd_ >= 0) close(fd_);
  }
  LinuxLinks(const LinuxLinks&) = delete;
  LinuxLinks& operator=(const LinuxLinks&) = delete;

  Result<LinkSample> sample(const std::string& interface_name) override {
    if (fd_ < 0) return Error{Code::io, "netlink: no socket"};
    if (interface_name.size() >= IFNAMSIZ)
      return Error{Code::invalid, "an interface name has at most 15 characters"};
    Query query{};
    query.header.nlmsg_type = RTM_GETLINK;
    query.header.nlmsg_flags = NLM_F_REQUEST;
    query.header.nlmsg_seq = ++sequence_;
    query.info.ifi_family = AF_UNSPEC;
    query.name.rta_type = IFLA_IFNAME;
    query.name.rta_len = static_cast<unsigned short>(RTA_LENGTH(interface_name.size() + 1));
    std::memcpy(query.text, interface_name.c_str(), interface_name.size() + 1);
    query.header.nlmsg_len =
        static_cast<std::uint32_t>(NLMSG_LENGTH(sizeof query.info) + RTA_ALIGN(query.name.rta_len));
    if (send(fd_, &query, query.header.nlmsg_len, 0) < 0) return system_error("netlink: send");
    alignas(nlmsghdr) std::array<char, kAnswerBytesMax> answer;
    for (;;) {  // an answer to an earlier, failed query is passed over
      const auto got = recv(fd_, answer.data(), answer.size(), 0);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return system_error("netlink: receive");
      const auto* header = reinterpret_cast<const nlmsghdr*>(answer.data());
      if (static_cast<std::size_t>(got) >= sizeof *header && header->nlmsg_seq != sequence_) continue;
      return parse(answer.data(), static_cast<std::size_t>(got));
    }
  }

 private:
  int fd_;
  std::uint32_t sequence_ = 0;
};

}  // namespace

std::unique_ptr<Links> make_links() { return std::make_unique<LinuxLinks>(); }

}  // namespace meterd::platform
