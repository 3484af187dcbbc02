#include "agent/api/backup.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/connect_pipe.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/readable_pipe.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/writable_pipe.hpp>
#include <mutex>
#include <string>

namespace meterd::api {

namespace asio = boost::asio;

namespace {
constexpr std::size_t kPieceBytes = 64 * 1024;  // a pipe holds no more
}

// What the copier's thread and the loop share.
struct Backups::Copy {
  std::mutex mutex;
  bool ended = false;
  Status result;

  void end(Status with) {
    const std::lock_guard<std::mutex> held(mutex);
    ended = true;
    result = std::move(with);
  }
  bool has_ended() {
    const std::lock_guard<std::mutex> held(mutex);
    return ended;
  }
};

class Backups::Stream final : public BodyStream {
 public:
  Stream(Dependencies deps, asio::readable_pipe pipe, std::shared_ptr<Copy> copy)
      : deps_(std::move(deps)),
        pipe_(std::move(pipe)),
        copy_(std::move(copy)),
        until_(deps_.clock.boot() + kTimeMax),
        was_short_(deps_.short_of_room()),
        piece_(kPieceBytes, '\0') {}

  ~Stream() override {
    if (!complete_)
      deps_.log.warning("backup_cut",
                        {{"reason", reason_.empty() ? "its reader has gone or was too slow" : reason_}});
  }

  asio::awaitable<Result<std::string_view>> next() override {
    if (deps_.clock.boot() >= until_) co_return cut("it took more than ten minutes");
    if (deps_.short_of_room() && !was_short_) co_return cut("the journal runs short of room");
    auto [error, got] =
        co_await pipe_.async_read_some(asio::buffer(piece_), asio::as_tuple(asio::use_awaitable));
    if (!error) {
      bytes_ += got;
      co_return std::string_view(piece_).substr(0, got);
    }
    if (error != asio::error::eof) co_return cut("meterd stops");
    const std::lock_guard<std::mutex> held(copy_->mutex);
    if (!copy_->result) co_return cut(copy_->result.error().message);
    complete_ = true;
    deps_.log.info("backup_taken", {{"bytes", bytes_}});
    co_return std::string_view();
  }

  void close() {
    boost::system::error_code ignored;  // nothing is left to report
    pipe_.close(ignored);
  }

 private:
  Error cut(std::string reason) {
    reason_ = std::move(reason);
    return {Code::cancelled, "the backup was cut: " + reason_};
  }

  Dependencies deps_;  // its own: only the log is used once the daemon has ended
  asio::readable_pipe pipe_;
  std::shared_ptr<Copy> copy_;
  BootTime until_;
  bool was_short_;
  bool complete_ = false;
  std::uint64_t bytes_ = 0;
  std::string reason_;
  std::string piece_;
};

Backups::Backups(Dependencies dependencies) : deps_(std::move(dependencies)) {}

Backups::~Backups() {
  close();
  copier_.join();
}

Result<std::shared_ptr<BodyStream>> Backups::begin(journal::CopyForm form) {
  if (closed_) return Error{Code::cancelled, "meterd stops"};
  if (!stream_.expired() || (copy_ && !copy_->has_ended()))
    return Error{Code::retry, "another backup is being taken; take this one after it"};
  asio::readable_pipe reads(deps_.loop);
  auto writes = std::make_shared<asio::writable_pipe>(copier_.get_executor());
  boost::system::error_code failed;
  asio::connect_pipe(reads, *writes, failed);
  if (failed) return Error{Code::io, "a backup needs a pipe: " + failed.message()};
  copy_ = std::make_shared<Copy>();
  asio::post(copier_, [&journal = deps_.journal, copy = copy_, writes, form]() mutable {
    copy->end(journal.copy_to(writes->native_handle(), form));
    writes.reset();  // the reader's end: after the result is there
  });
  auto stream = std::make_shared<Stream>(deps_, std::move(reads), copy_);
  stream_ = stream;
  return std::shared_ptr<BodyStream>(std::move(stream));
}

void Backups::close() {
  closed_ = true;
  if (const auto stream = stream_.lock()) stream->close();
}

}  // namespace meterd::api
