// Runs a function on another thread's executor and comes back with its result: how a coroutine of the loop
// asks the reader thread. With the loop's own executor it runs there, which is what the simulator does.
//
// Name the function before the co_await: g++ 12 copies a closure made inside a co_await expression bit by bit
// and destroys it twice (tests/tidy.py refuses it).
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <optional>
#include <type_traits>
#include <utility>

namespace meterd::platform {

namespace detail {
// A free coroutine that owns the function: nothing is captured across a suspension.
template <class Function, class R>
boost::asio::awaitable<std::optional<R>> call(Function function) {
  co_return std::optional<R>(function());
}
}  // namespace detail

template <class Function>
boost::asio::awaitable<std::invoke_result_t<Function&>> run_on(boost::asio::any_io_executor executor,
                                                               Function function) {
  using R = std::invoke_result_t<Function&>;
  auto result = co_await boost::asio::co_spawn(executor, detail::call<Function, R>(std::move(function)),
                                               boost::asio::use_awaitable);
  co_return std::move(*result);
}

}  // namespace meterd::platform
