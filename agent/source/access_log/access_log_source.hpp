// API calls from the access log of a web server or proxy: datagrams, one message a line. The numbers that its
// workers give their messages reveal what was lost on the way; how far they came is stored with what was
// counted, so that what a crash takes from memory, and what was sent while nobody listened, is missed
// afterwards. What is lost at a worker's very end shows with its next message only. Nothing of a message is
// kept or logged.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "agent/ingest/datagram_input.hpp"
#include "agent/source/access_log/calls.hpp"
#include "agent/source/access_log/rule.hpp"
#include "agent/source/access_log/sequences.hpp"
#include "agent/source/gaps.hpp"
#include "agent/source/source.hpp"

namespace meterd::source {

class AccessLogSource final : public Source {
 public:
  AccessLogSource(AccessLogRule rule, const Dependencies& dependencies, Stored stored);
  std::string name() const override { return rule_.name(); }
  void harvest(ingest::Batcher& batcher, const platform::WallReading& now) override;
  boost::asio::awaitable<void> run() override;
  void stop() override;
  Report report() const override;
  Stored stored() const override;

 private:
  void take_line(std::string_view line, const meter::Permit* permit, const platform::WallReading& now);
  void note_missed(ingest::Batcher& batcher);
  void take_number(const CallReader::Sender& sender, bool is_lost, const platform::WallReading& now);

  // Of the open window.
  struct Missed {
    std::uint64_t lost = 0, found = 0, doubtful = 0;
    std::int64_t from_ms = 0, until_ms = 0;
    bool trusted = false;
  };

  AccessLogRule rule_;
  ingest::Batcher& batcher_;
  CallReader calls_;
  Sequences sequences_;
  Gaps gaps_;
  Missed missed_;
  journal::CounterCursor cursor_;                 // as of the last harvest
  bool closed_ = false;                           // its file's mode keeps out who may write to it
  std::unique_ptr<ingest::DatagramInput> input_;  // null: there is no socket
};

}  // namespace meterd::source
