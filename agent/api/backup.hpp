// The journal as a stream: what meterctl backup gets. A thread of its own copies it into a pipe; the loop
// reads the pipe. No commit waits for it, however slow the reader is; but the pages that the copy is made of
// are not used again meanwhile, so a copy has its time, one is made at a time, and it gives way when the
// journal runs short.
#pragma once

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/thread_pool.hpp>
#include <functional>
#include <memory>

#include "agent/api/body_stream.hpp"
#include "agent/base/log.hpp"
#include "agent/journal/journal.hpp"
#include "platform/clock.hpp"

namespace meterd::api {

class Backups {
 public:
  struct Dependencies {
    boost::asio::any_io_executor loop;
    const journal::Journal& journal;
    platform::Clock& clock;
    Log& log;
    std::function<bool()> short_of_room;  // whether the journal refuses new keys
  };
  static constexpr Milliseconds kTimeMax{10 * 60'000};

  explicit Backups(Dependencies dependencies);
  ~Backups();  // after close()

  // What is committed now, in that form. Code::retry while another is made. The stream must go before this
  // does.
  Result<std::shared_ptr<BodyStream>> begin(journal::CopyForm form = journal::CopyForm::file);
  // Cuts the one that is made, and begins no other.
  void close();

 private:
  struct Copy;
  class Stream;
  Dependencies deps_;
  boost::asio::thread_pool copier_{1};
  std::weak_ptr<Stream> stream_;
  std::shared_ptr<Copy> copy_;  // the last one
  bool closed_ = false;
};

}  // namespace meterd::api
