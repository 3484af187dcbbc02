// Bytes of one connection to requests, in order: a state machine without sockets, clocks or threads. What
// could be read in two ways (two lengths, a folded line, a coding that is not ours) is refused and ends the
// connection, so that nobody in between can smuggle a request.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "agent/api/body_budget.hpp"
#include "agent/api/http.hpp"

namespace meterd::api {

class RequestReader {
 public:
  explicit RequestReader(BodyBudget& bodies);  // outlives the reader
  ~RequestReader();

  // After step() asked for more: where the next bytes go, at least 1 KiB. Then how many came.
  std::span<char> room();
  void received(std::size_t bytes);

  enum class Step {
    more,     // needs bytes
    admit,    // the header is whole and a body is to come: refuse(), or step() on
    invite,   // the client waits for "100 Continue" before it sends the body; needs bytes after that
    request,  // request() is whole; after its answer, next()
    refused,  // refusal() is the answer; the connection ends with it
  };
  Step step();
  // After `admit`, or while it waits for more: refused, and nothing more is read.
  Step refuse(Response answer);

  enum class Phase { idle, header, body };
  Phase phase() const { return phase_; }  // idle: no byte of a request has come

  Request& request() { return request_; }
  const Response& refusal() const { return refusal_; }
  AnswerFrame frame() const;  // of the answer to what was read
  bool is_head() const;       // the answer has no body

  void release_body();  // its memory, as soon as nobody reads it any more

  void next();  // makes ready for the next request; what has come of it already is kept

 private:
  class Parser;
  struct Slot;
  Step read_header();
  Step read_body();
  Step refuse_with(unsigned status, std::string_view code, std::string_view message);
  bool find_header_end();
  bool know_target(std::string_view target);
  void guess_path();

  BodyBudget& bodies_;
  std::unique_ptr<Slot> slot_;  // one parser per request, in place
  Parser* parser_ = nullptr;    // the one in the slot
  std::unique_ptr<char[]> buffer_;
  std::size_t capacity_ = 0, begin_ = 0, end_ = 0;  // what has come and is not read: [begin_, end_)
  std::size_t scanned_ = 0;                         // of it: already searched for the header's end
  std::size_t header_size_ = 0;
  Phase phase_ = Phase::idle;
  Request request_;
  std::string target_;  // that request_.path and .query were read from
  Response refusal_;
};

}  // namespace meterd::api
