#include "agent/app/clients.hpp"

#include <string>
#include <string_view>
#include <utility>

#include "platform/linux/linux.hpp"

namespace meterd::app {
namespace {

std::string basic_authorization(const std::string& user, const std::string& password) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const std::string in = user + ":" + password;
  std::string out = "Basic ";
  for (std::size_t i = 0; i < in.size(); i += 3) {
    std::uint32_t bits = 0;
    for (std::size_t k = 0; k < 3; ++k)
      bits = (bits << 8U) | (i + k < in.size() ? static_cast<unsigned char>(in[i + k]) : 0U);
    for (std::size_t k = 0; k < 4; ++k)
      out.push_back(i + k <= in.size() ? kAlphabet[(bits >> (18U - 6U * static_cast<unsigned>(k))) & 63U]
                                       : '=');
  }
  return out;
}

}  // namespace

std::unique_ptr<upstream::HttpClient> make_client(const boost::asio::any_io_executor& loop,
                                                  const UpstreamConfig& config) {
  upstream::HttpClientOptions options;
  options.tls = config.tls;
  options.host = config.host;
  options.port = config.port;
  options.authorization = config.kind == UpstreamKind::chargebee
                              ? basic_authorization(config.key.reveal(), "")  // the vendor's rule
                              : basic_authorization(config.account, config.token.reveal());
  return make_client(loop, std::move(options));
}

std::unique_ptr<upstream::HttpClient> make_client(const boost::asio::any_io_executor& loop,
                                                  upstream::HttpClientOptions options) {
  options.wall = platform::read_wall;
  return upstream::make_http_client(loop, std::move(options));
}

}  // namespace meterd::app
