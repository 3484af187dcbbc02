// A connection to the system bus under Asio: nothing on it waits, every call has a deadline. The address is
// DBUS_SYSTEM_BUS_ADDRESS, or libsystemd's default. Loop thread.
#pragma once

#include <systemd/sd-bus.h>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "agent/base/result.hpp"
#include "platform/clock.hpp"

namespace meterd::platform {

struct BusPlace {
  std::string destination, path, interface, member;
};

class Bus {
 public:
  // `reply`: nullptr-free; an error reply is one, too (sd_bus_message_is_method_error).
  using Done = std::function<void(sd_bus_message* reply)>;

  Bus(boost::asio::any_io_executor loop, Clock& clock);
  ~Bus();
  Bus(const Bus&) = delete;
  Bus& operator=(const Bus&) = delete;

  // Begins to connect; what is wrong with the other side shows in serve().
  Status open();
  std::string id();  // of the bus, once a reply has come; another one each time it starts
  // Signals by a match rule without `sender`: who receives one looks at its sender.
  Status match(const std::string& rule, Done signal);
  Status call(const BusPlace& place, const std::vector<std::string>& arguments, Done done);

  // Moves messages until the connection is lost, stop() is called, or `tick`, which runs before each wait and
  // says how long that may be at most, says 0.
  boost::asio::awaitable<std::string> serve(std::function<Milliseconds()> tick);  // why it ended
  void stop();
  void close();

 private:
  struct Waiting;
  struct Wake;
  void arm();
  Milliseconds until_timeout(Milliseconds at_most);

  boost::asio::any_io_executor loop_;
  Clock& clock_;
  sd_bus* bus_ = nullptr;
  std::list<Waiting> waiting_;  // calls and matches: their place in memory is what libsystemd calls back with
  std::shared_ptr<Wake> wake_;
  bool stopping_ = false;
};

}  // namespace meterd::platform
