// How much memory the bodies of requests take, and that it is given back.
#include "agent/api/body_budget.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "agent/api/request_reader.hpp"
#include "agent/base/limits.hpp"

namespace meterd::api {
namespace {

using Step = RequestReader::Step;

void put(RequestReader& reader, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto room = reader.room();
    const auto size = std::min(bytes.size(), room.size());
    std::copy_n(bytes.data(), size, room.data());
    reader.received(size);
    bytes.remove_prefix(size);
  }
}

Step admitted(RequestReader& reader) {
  const auto step = reader.step();
  return step == Step::admit ? reader.step() : step;
}

TEST(BodyBudget, GivesTheMemoryOfALargeRequestBack) {
  BodyBudget bodies{limits::kHttpBodiesBytesMax};
  RequestReader reader(bodies);
  const std::string body(100'000, 'x');
  put(reader, "POST /a HTTP/1.1\r\nHost: " + std::string(10'000, 'd') + "\r\nContent-Length: 100000\r\n\r\n");
  ASSERT_EQ(reader.step(), Step::admit);
  for (std::size_t at = 0; at < body.size(); at += 1'000) {
    put(reader, std::string_view(body).substr(at, 1'000));
    reader.step();
  }
  ASSERT_EQ(reader.request().body, body);
  EXPECT_EQ(bodies.held(), body.size());
  EXPECT_GE(reader.request().body.capacity(), body.size());
  reader.next();
  EXPECT_EQ(bodies.held(), 0U);
  EXPECT_LE(reader.request().body.capacity(), 4'096U);
  EXPECT_LE(reader.request().host.capacity(), 4'096U);
}

TEST(BodyBudget, TakesFromTheBudgetNoMoreThanThereIs) {
  BodyBudget bodies{1'000};
  const auto read = [&](RequestReader& reader, std::size_t size) {
    put(reader, "POST /a HTTP/1.1\r\nHost: d\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n" +
                    std::string(size, 'x'));
    return admitted(reader);
  };
  RequestReader first(bodies);
  EXPECT_EQ(read(first, 600), Step::request);
  {
    RequestReader second(bodies);
    EXPECT_EQ(read(second, 401), Step::refused);
    EXPECT_EQ(second.refusal().status, 503U);
    RequestReader third(bodies);
    EXPECT_EQ(read(third, 400), Step::request);
    EXPECT_EQ(bodies.held(), 1'000U);
  }
  EXPECT_EQ(bodies.held(), 600U) << "a reader that ends gives back what it held";
}

}  // namespace
}  // namespace meterd::api
