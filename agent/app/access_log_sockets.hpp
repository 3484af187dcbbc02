// The sockets that access logs come over, from before the sources that read them are made. Loop thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/app/config.hpp"
#include "agent/ingest/access.hpp"
#include "agent/source/source.hpp"
#include "platform/sockets.hpp"

namespace meterd::app {

class AccessLogSockets {
 public:
  // `common`, which lives longer: who may send where a source says nothing of it.
  AccessLogSockets(platform::SocketBinder& binder, const ingest::Access& common)
      : binder_(binder), common_(common) {}

  // Those of the configuration. Otherwise the address that cannot be bound, and why.
  struct Refused {
    std::string address;
    Error error;
  };
  std::optional<Refused> bind(const Config& config, int receive_bytes);
  std::vector<std::string> addresses() const;
  source::DatagramSocket take(const std::string& path);  // once

 private:
  struct One {
    platform::Socket socket;
    std::optional<ingest::Access> access;  // its own
    bool closed = false;                   // to some of those
  };
  platform::SocketBinder& binder_;
  const ingest::Access& common_;
  std::map<std::string, One> by_path_;
};

}  // namespace meterd::app
