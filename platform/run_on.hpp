// Runs a function on another thread's executor and comes back with its result: how a coroutine of the loop
// asks the reader thread. With the loop's own executor it runs there, which is what the simulator does.
//
// Name the function before the co_await: g++ 12 copies a closure made inside a co_await expression bit by bit
// and destroys it twice (tests/tidy.py refuses it).
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace meterd::platform {

namespace detail {
// What is to be done there. One type for all functions: what Asio needs to go there and back is many KB of
// code for each type that it carries.
class Call {
 public:
  virtual ~Call() = default;
  virtual void run() = 0;
};

// Throws what the call throws. The call is shared: a loop that ends first leaves it to the other thread.
boost::asio::awaitable<void> run_call(boost::asio::any_io_executor executor, std::shared_ptr<Call> call);

template <class Function>
class CallOf final : public Call {
 public:
  using R = std::invoke_result_t<Function&>;
  explicit CallOf(Function function) : function_(std::move(function)) {}
  void run() override { result_.emplace(function_()); }
  R take() { return std::move(*result_); }

 private:
  Function function_;
  std::optional<R> result_;
};
}  // namespace detail

template <class Function>
boost::asio::awaitable<std::invoke_result_t<Function&>> run_on(boost::asio::any_io_executor executor,
                                                               Function function) {
  auto call = std::make_shared<detail::CallOf<Function>>(std::move(function));
  co_await detail::run_call(std::move(executor), call);
  co_return call->take();
}

}  // namespace meterd::platform
