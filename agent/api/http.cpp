#include "agent/api/http.hpp"

#include <algorithm>

namespace meterd::api {
namespace {

std::string_view reason_of(unsigned status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 413:
      return "Payload Too Large";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 421:
      return "Misdirected Request";
    case 422:
      return "Unprocessable Entity";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 505:
      return "HTTP Version Not Supported";
    case 503:
      return "Service Unavailable";
    default:
      return "Other";
  }
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

}  // namespace

bool is_media_type(std::string_view content_type, std::string_view type) {
  auto name = content_type.substr(0, content_type.find(';'));
  while (!name.empty() && (name.back() == ' ' || name.back() == '\t')) name.remove_suffix(1);
  return std::equal(name.begin(), name.end(), type.begin(), type.end(),
                    [](char a, char b) { return lower(a) == b; });
}

void append_json_string(std::string& out, std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  out.push_back('"');
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (byte < 0x20) {
      out.append("\\u00");
      out.push_back(kHex[byte >> 4U]);
      out.push_back(kHex[byte & 15U]);
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
}

Response error_response(unsigned status, std::string_view code, std::string_view message) {
  std::string one_line(message);
  std::replace_if(
      one_line.begin(), one_line.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }, ' ');
  Response out;
  out.status = status;
  out.body = "{\"error\":{\"code\":";
  append_json_string(out.body, code);
  out.body += ",\"message\":";
  append_json_string(out.body, one_line);
  out.body += "}}";
  return out;
}

Response error_response(const Error& error) {
  if (error.code == Code::rejected) return error_response(409, "rejected", error.message + ".");
  const bool later = error.code == Code::retry || error.code == Code::full || error.code == Code::cancelled;
  return error_response(later ? 503 : 500, name_of(error.code), error.message);
}

Response json_response(std::string body) {
  Response out;
  out.body = std::move(body);
  return out;
}

void append_head(std::string& out, const Response& answer, AnswerFrame frame) {
  out += frame.version == 10 ? "HTTP/1.0 " : "HTTP/1.1 ";
  out += std::to_string(answer.status);
  out += ' ';
  out += reason_of(answer.status);
  out += "\r\nContent-Type: ";
  out += answer.content_type;
  for (const auto& [name, value] : answer.headers) {
    out += "\r\n";
    out += name;
    out += ": ";
    out += value;
  }
  if (answer.stream) {
    out += "\r\nTransfer-Encoding: chunked";
  } else {
    out += "\r\nContent-Length: ";
    out += std::to_string(answer.body.size());
  }
  if (!frame.keep_alive)
    out += "\r\nConnection: close";
  else if (frame.version == 10)
    out += "\r\nConnection: keep-alive";
  out += "\r\n\r\n";
}

}  // namespace meterd::api
