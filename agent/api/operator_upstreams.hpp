// Operators' verbs that ask upstreams, on the unix socket. Each answers within seconds; the program asks on
// while `more` is true.
//   POST /operator/reconcile   upstream= (or all): after a restore, what the upstreams have of what is held
//   POST /operator/compare     upstream=, run= (of the answer before; absent: from the beginning): what the
//                              upstream has beside what was delivered, and the invoices it put usages on
//   GET  /operator/doctor      what is wrong, and what to do about it (doctor.hpp)
//   GET  /operator/statement   upstream=, invoice=: the document that the upstream prints
// Loop thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/api/doctor.hpp"
#include "agent/api/http.hpp"
#include "agent/flush/compare.hpp"
#include "agent/flush/reconcile.hpp"

namespace meterd::api {

class OperatorUpstreams {
 public:
  struct Dependencies {
    // Of one upstream, or of all that are held; for about `at_most`. `by`: who wants it.
    std::function<boost::asio::awaitable<Result<std::vector<flush::Reconciled>>>(
        std::optional<UpstreamName> only, std::string by, Milliseconds at_most)>
        reconcile = {};
    // From the beginning if `run` is 0.
    std::function<boost::asio::awaitable<Result<flush::Compared>>(UpstreamName upstream, std::uint64_t run,
                                                                  Milliseconds at_most)>
        compare = {};
    std::function<boost::asio::awaitable<Result<std::string>>(UpstreamName upstream, std::string invoice)>
        statement = {};
    // Asks each configured upstream whether it knows us: beside what it is sent, which goes on.
    std::function<boost::asio::awaitable<Result<std::vector<ExaminedUpstream>>>(Milliseconds at_most)>
        examine = {};
    std::function<boost::asio::awaitable<Result<Status>>()> status = {};
  };
  explicit OperatorUpstreams(Dependencies dependencies) : deps_(std::move(dependencies)) {}

  static bool has(const Request& request);
  boost::asio::awaitable<Response> answer(const Request& request);

 private:
  boost::asio::awaitable<Response> reconcile(const Request& request);
  boost::asio::awaitable<Response> compare(const Request& request);
  boost::asio::awaitable<Response> statement(const Request& request);
  boost::asio::awaitable<Response> doctor();

  Dependencies deps_;
};

}  // namespace meterd::api
