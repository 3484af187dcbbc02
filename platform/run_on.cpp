#include "platform/run_on.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace meterd::platform::detail {

namespace {
// A free coroutine that owns the call: nothing is captured across a suspension.
boost::asio::awaitable<void> run_there(std::shared_ptr<Call> call) {
  call->run();
  co_return;
}
}  // namespace

boost::asio::awaitable<void> run_call(boost::asio::any_io_executor executor, std::shared_ptr<Call> call) {
  return boost::asio::co_spawn(std::move(executor), run_there(std::move(call)), boost::asio::use_awaitable);
}

}  // namespace meterd::platform::detail
