// A request to the device's own API and its answer, as plain values. The wire is request_reader.cpp (in) and
// http.cpp (out); the sockets are http_server.cpp.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/base/result.hpp"
#include "agent/meter/permit.hpp"

namespace meterd::api {

class BodyStream;

struct Request {
  std::string method;
  std::string path;                                        // decoded
  std::vector<std::pair<std::string, std::string>> query;  // decoded, in order
  std::string content_type;
  std::string authorization;
  std::string body;
  std::string host;  // the Host header, as sent
  // The other header fields, in order: the name in lower case, the value as sent.
  std::vector<std::pair<std::string, std::string>> headers;
  bool admitted = false;  // its header was, before its body came
  bool over_tcp = false;
  // Over the unix socket, from a peer to whom [access] allows everything: operators' verbs exist only there.
  bool local = false;
  // Where [access] allows its peer, or its input over TCP, some events and nothing else: which.
  std::shared_ptr<const meter::Permit> only;
  std::string peer;  // who that is, for the audit: "user 0"

  std::optional<std::string> parameter(std::string_view name) const {
    for (const auto& [key, value] : query)
      if (key == name) return value;
    return std::nullopt;
  }
  // The first field of this name (in lower case), or nothing.
  std::optional<std::string_view> header(std::string_view name) const {
    for (const auto& [key, value] : headers)
      if (key == name) return value;
    return std::nullopt;
  }
};

struct Response {
  unsigned status = 200;
  std::string body;
  const char* content_type = "application/json";  // a literal: it is not copied
  std::vector<std::pair<std::string, std::string>> headers;
  std::shared_ptr<void> held = {};          // given up once the answer is out, whether it was taken or not
  std::shared_ptr<BodyStream> stream = {};  // instead of `body`; to HTTP/1.1 only, where its end is marked
};

// {"error":{"code","message"}}; `message` says what to do.
Response error_response(unsigned status, std::string_view code, std::string_view message);
// 409 for what the journal's rules refuse, 503 for what may pass, else 500.
Response error_response(const Error& error);
// 200 with this JSON.
Response json_response(std::string body);

// A media type without its parameters against one in lower case: "Application/JSON; charset=utf-8" is
// "application/json".
bool is_media_type(std::string_view content_type, std::string_view type);

// Appends `text` as a JSON string with its quotes. `text` is valid UTF-8.
void append_json_string(std::string& out, std::string_view text);

// Appends the answer's status line and header fields, the empty line included.
struct AnswerFrame {
  unsigned version = 11;  // 10 or 11: the request's
  bool keep_alive = true;
};
void append_head(std::string& out, const Response& answer, AnswerFrame frame);

}  // namespace meterd::api
