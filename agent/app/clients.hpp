// The HTTP client of an upstream, as it is configured.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>

#include "agent/app/config.hpp"
#include "agent/upstream/http.hpp"
#include "agent/upstream/upstream.hpp"

namespace meterd::app {

std::unique_ptr<upstream::HttpClient> make_client(const boost::asio::any_io_executor& loop,
                                                  const UpstreamConfig& config);
// With this system's clock, by which certificates are judged.
std::unique_ptr<upstream::HttpClient> make_client(const boost::asio::any_io_executor& loop,
                                                  upstream::HttpClientOptions options);

}  // namespace meterd::app
