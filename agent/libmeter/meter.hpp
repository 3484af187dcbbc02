// libmeter for C++17: meter.h with ownership and exceptions. Header only.
//
//     libmeter::Meter meter;
//     libmeter::Counter calls = meter.counter("api.calls", "sub_1");
//     calls.add(1);
#pragma once

#include <meter.h>

#include <cerrno>
#include <memory>
#include <string>
#include <system_error>

namespace libmeter {

// What(): what to do. code(): the errno that meter.h names.
class Error : public std::system_error {
 public:
  Error(int code, const meter_t* meter)
      : std::system_error(code, std::generic_category(), meter_error(meter)) {}
};

// As long as its Meter lives. Copies count into the same.
class Counter {
 public:
  explicit Counter(meter_counter_t* counter) : counter_(counter) {}
  void add(std::uint64_t units) const { meter_add(counter_, units); }

 private:
  meter_counter_t* counter_;
};

class Meter {
 public:
  Meter() : Meter(nullptr) {}
  explicit Meter(const std::string& directory) : Meter(directory.c_str()) {}
  explicit Meter(const char* directory) : meter_(meter_open(directory)) {
    if (!meter_) throw Error(errno, nullptr);
  }

  Counter counter(const std::string& event, const std::string& subscription = {}) {
    meter_counter_t* found = meter_counter(meter_.get(), event.c_str(), subscription.c_str());
    if (found == nullptr) throw Error(errno, meter_.get());
    return Counter(found);
  }
  void report(const meter_event& event) {
    if (meter_report(meter_.get(), &event) != 0) throw Error(errno, meter_.get());
  }

 private:
  struct Close {
    void operator()(meter_t* meter) const { meter_close(meter); }
  };
  std::unique_ptr<meter_t, Close> meter_;
};

}  // namespace libmeter
