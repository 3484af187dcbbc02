// Bytes to requests: whatever pieces they come in, and whatever could be read in two ways.
#include "agent/api/request_reader.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "agent/base/limits.hpp"

namespace meterd::api {
namespace {

using Step = RequestReader::Step;

Step admitted(RequestReader& reader) {
  const auto step = reader.step();
  return step == Step::admit ? reader.step() : step;
}
using Phase = RequestReader::Phase;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

void put(RequestReader& reader, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto room = reader.room();
    const auto size = std::min(bytes.size(), room.size());
    std::copy_n(bytes.data(), size, room.data());
    reader.received(size);
    bytes.remove_prefix(size);
  }
}

// What came of the bytes: one line per request, and the last step if it is not `more`.
std::vector<std::string> read_all(std::string_view bytes, std::size_t piece) {
  BodyBudget bodies{limits::kHttpBodiesBytesMax};
  RequestReader reader(bodies);
  std::vector<std::string> out;
  for (;;) {
    const auto step = reader.step();
    if (step == Step::request) {
      const auto& r = reader.request();
      out.push_back(r.method + " " + r.path + " " + r.body + (reader.frame().keep_alive ? "" : " close"));
      reader.next();
      continue;
    }
    if (step == Step::admit) continue;
    if (step == Step::refused) {
      out.push_back(std::to_string(reader.refusal().status));
      return out;
    }
    if (step == Step::invite) out.push_back("invite");
    if (bytes.empty()) return out;
    const auto size = std::min({piece, bytes.size(), reader.room().size()});
    put(reader, bytes.substr(0, size));
    bytes.remove_prefix(size);
  }
}

class RequestPieces : public ::testing::TestWithParam<std::size_t> {};

TEST_P(RequestPieces, DoNotChangeWhatIsRead) {
  const std::string bytes =
      "GET /a HTTP/1.1\r\nHost: d\r\n\r\n"
      "POST /b HTTP/1.1\r\nHost: d\r\nContent-Length: 5\r\n\r\nhello"
      "\r\nPOST /c HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: Chunked\r\n\r\n"
      "3\r\nabc\r\n2;x=\"y\"\r\nde\r\n0\r\nX-Trailer: 1\r\n\r\n"
      "POST /d HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n"
      "POST /d HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
      "GET /e HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n";
  EXPECT_THAT(read_all(bytes, GetParam()), ElementsAre("GET /a ", "POST /b hello", "POST /c abcde",
                                                       "POST /d ", "POST /d ", "GET /e  close"));
}

INSTANTIATE_TEST_SUITE_P(Sizes, RequestPieces, ::testing::Values(1, 2, 3, 7, 64, 1'000));

// Each would let one reader on the way see another request than the next one does.
TEST(RequestReader, RefusesWhatReadsInTwoWays) {
  for (const char* fields : {"Content-Length: 5\r\nTransfer-Encoding: chunked",
                             "Transfer-Encoding: chunked\r\nContent-Length: 5",
                             "Content-Length: 5\r\nContent-Length: 5",
                             "Content-Length: 5\r\nContent-Length: 6",
                             "Content-Length: 5, 5",
                             "Content-Length: +5",
                             "Content-Length: 5x",
                             "Content-Length: -5",
                             "Content-Length:",
                             "Content-Length: 18446744073709551616",
                             "Transfer-Encoding: chunked, identity",
                             "Transfer-Encoding: identity",
                             "Transfer-Encoding: gzip, chunked",
                             "Transfer-Encoding: xchunked",
                             "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
                             "Transfer-Encoding:\r\n chunked",
                             "X: a\r\n b",
                             "X: a\r\n\tContent-Length: 5",
                             "X:\r\n Content-Length: 5",
                             "Content-Length : 5",
                             " Content-Length: 5",
                             "X: a\nContent-Length: 5",
                             "X: a\rb",
                             "X: a\n\nGET",
                             "Host: e",
                             "Content-Type: a\r\nContent-Type: b",
                             "Authorization: a\r\nAuthorization: b",
                             "no colon",
                             ": empty"})
    EXPECT_THAT(read_all("POST /a HTTP/1.1\r\nHost: d\r\n" + std::string(fields) + "\r\n\r\nhello", 1'000),
                ElementsAre("400"))
        << fields;
  EXPECT_THAT(read_all("POST /a HTTP/1.1\r\nHost: d\r\nContent-Length: 5\r\nX: a\r\n\r\nhello", 1'000),
              ElementsAre("POST /a hello"))
      << "the same without the doubt";
}

TEST(RequestReader, RefusesAZeroByteInAField) {
  const std::string zero(1, '\0');
  EXPECT_THAT(read_all("GET /a HTTP/1.1\r\nHost: d\r\nX: a" + zero + "b\r\n\r\n", 1'000), ElementsAre("400"));
}

TEST(RequestReader, RefusesAnOldRequestInChunksAndANewOneWithoutAHost) {
  EXPECT_THAT(read_all("POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 99),
              ElementsAre("400"));
  EXPECT_THAT(read_all("GET /a HTTP/1.1\r\n\r\n", 99), ElementsAre("400"));
  EXPECT_THAT(read_all("GET /a HTTP/1.0\r\n\r\n", 99), ElementsAre("GET /a  close"));
  EXPECT_THAT(read_all("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 99), ElementsAre("GET /a "));
}

TEST(RequestReader, RefusesABrokenChunk) {
  for (const char* body : {"x\r\nabc\r\n", "3\r\nabcd\r\n0\r\n\r\n", "-1\r\nabc", "10000000000000000\r\n",
                           "3\r\nabc0\r\n\r\n"}) {
    const auto got = read_all(
        "POST /a HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n" + std::string(body), 1'000);
    ASSERT_EQ(got.size(), 1U) << body;
    EXPECT_TRUE(got[0] == "400" || got[0] == "413") << body << got[0];
  }
}

TEST(RequestReader, ATrailerChangesNothingOfTheRequest) {
  BodyBudget bodies{limits::kHttpBodiesBytesMax};
  RequestReader reader(bodies);
  put(reader,
      "POST /a HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
      "Host: evil\r\nAuthorization: Basic x\r\nce-id: 1\r\n\r\n");
  ASSERT_EQ(admitted(reader), Step::request);
  EXPECT_EQ(reader.request().host, "d");
  EXPECT_EQ(reader.request().authorization, "");
  EXPECT_TRUE(reader.request().headers.empty());
}

TEST(RequestReader, LimitsTheHeader) {
  const std::string start = "GET /a HTTP/1.1\r\nHost: d\r\nX: ";
  const std::size_t rest = limits::kHttpHeaderBytesMax - start.size() - 4;
  for (const std::size_t piece : {std::size_t{100}, std::size_t{100'000}}) {
    EXPECT_THAT(read_all(start + std::string(rest, 'x') + "\r\n\r\n", piece), ElementsAre("GET /a "));
    EXPECT_THAT(read_all(start + std::string(rest + 1, 'x') + "\r\n\r\n", piece), ElementsAre("431"));
    std::string many = start + "\r\n";
    while (many.size() < 2 * limits::kHttpHeaderBytesMax) many += "A: b\r\n";
    EXPECT_THAT(read_all(many + "\r\n", piece), ElementsAre("431")) << "in small fields too";
  }
}

TEST(RequestReader, LimitsTheBodyByItsLengthAndInChunks) {
  const auto with_length = [](std::size_t size) {
    return "POST /a HTTP/1.1\r\nHost: d\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n";
  };
  EXPECT_THAT(read_all(with_length(limits::kHttpBodyBytesMax + 1), 1'000), ElementsAre("413"));
  EXPECT_EQ(
      read_all(with_length(limits::kHttpBodyBytesMax) + std::string(limits::kHttpBodyBytesMax, 'x'), 50'000)
          .at(0)
          .size(),
      limits::kHttpBodyBytesMax + 8);
  std::string chunks = "POST /a HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 16; ++i) chunks += "10000\r\n" + std::string(0x10000, 'x') + "\r\n";
  EXPECT_EQ(read_all(chunks + "0\r\n\r\n", 9'999).at(0).size(), limits::kHttpBodyBytesMax + 8);
  EXPECT_THAT(read_all(chunks + "1\r\nx\r\n0\r\n\r\n", 9'999), ElementsAre("413"));
}

TEST(RequestReader, LimitsAChunksExtensionAndTheTrailer) {
  const std::string start = "POST /a HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string long_text(2 * limits::kHttpHeaderBytesMax, 'x');
  EXPECT_THAT(read_all(start + "1;" + long_text, 1'000), ElementsAre("431"));
  EXPECT_THAT(read_all(start + "0\r\nX: " + long_text, 1'000), ElementsAre("431"));
}

TEST(RequestReader, InvitesABodyUnlessItHasCome) {
  const std::string head = "POST /a HTTP/1.1\r\nHost: d\r\nContent-Length: 4\r\nExpect: 100-Continue\r\n\r\n";
  EXPECT_THAT(read_all(head + "body", head.size()), ElementsAre("invite", "POST /a body"));
  EXPECT_THAT(read_all(head + "body", 1'000), ElementsAre("POST /a body"));
  EXPECT_THAT(read_all("GET /a HTTP/1.1\r\nHost: d\r\nExpect: 100-continue\r\n\r\n", 1'000),
              ElementsAre("GET /a "));
}

TEST(RequestReader, RefusesAnotherExpectation) {
  EXPECT_THAT(read_all("POST /a HTTP/1.1\r\nHost: d\r\nContent-Length: 4\r\nExpect: tea\r\n\r\n", 99),
              ElementsAre("417"));
}

TEST(RequestReader, DoesNotInviteABodyThatIsTooLarge) {
  EXPECT_THAT(
      read_all("POST /a HTTP/1.1\r\nHost: d\r\nContent-Length: 9999999\r\nExpect: 100-continue\r\n\r\n", 999),
      ElementsAre("413"));
}

TEST(RequestReader, GivesTheOtherFieldsInLowerCase) {
  BodyBudget bodies{limits::kHttpBodiesBytesMax};
  RequestReader reader(bodies);
  put(reader, "GET /a HTTP/1.1\r\nHOST: d\r\nCE-Id:  a b \r\nX-Empty:\r\nContent-TYPE: t\r\n\r\n");
  ASSERT_EQ(admitted(reader), Step::request);
  EXPECT_EQ(reader.request().host, "d");
  EXPECT_EQ(reader.request().content_type, "t");
  EXPECT_THAT(reader.request().headers, ElementsAre(Pair("ce-id", "a b"), Pair("x-empty", "")));
}

TEST(RequestReader, ForgetsARequestWithTheNext) {
  BodyBudget bodies{limits::kHttpBodiesBytesMax};
  RequestReader reader(bodies);
  put(reader,
      "POST /a%20b?x=%31 HTTP/1.1\r\nHost: d\r\nAuthorization: k\r\nContent-Type: t\r\nce-id: 1\r\n"
      "Content-Length: 1\r\n\r\nx"
      "GET /b HTTP/1.1\r\nHost: e\r\n\r\nGET /b HTTP/1.1\r\nHost: e\r\n\r\n");
  ASSERT_EQ(admitted(reader), Step::request);
  EXPECT_EQ(reader.request().path, "/a b");
  EXPECT_EQ(reader.request().parameter("x"), "1");
  for (int i = 0; i < 2; ++i) {
    reader.next();
    ASSERT_EQ(admitted(reader), Step::request);
    const auto& request = reader.request();
    EXPECT_EQ(request.path, "/b");
    EXPECT_EQ(request.host, "e");
    EXPECT_EQ(request.authorization + request.content_type + request.body, "");
    EXPECT_TRUE(request.query.empty());
    EXPECT_TRUE(request.headers.empty());
  }
}

TEST(RequestReader, KnowsWhichPartOfARequestItReads) {
  BodyBudget bodies{limits::kHttpBodiesBytesMax};
  RequestReader reader(bodies);
  const auto after = [&](std::string_view bytes) {
    put(reader, bytes);
    EXPECT_EQ(admitted(reader), Step::more);
    return reader.phase();
  };
  EXPECT_EQ(after(""), Phase::idle);
  EXPECT_EQ(after("\r"), Phase::idle);
  EXPECT_EQ(after("\n"), Phase::idle) << "an empty line is no request yet";
  EXPECT_EQ(after("P"), Phase::header);
  EXPECT_EQ(after("OST /a HTTP/1.1\r\nHost: d\r\nContent-Length: 2\r\n\r"), Phase::header);
  EXPECT_EQ(after("\nx"), Phase::body);
  put(reader, "y");
  EXPECT_EQ(reader.step(), Step::request);
  reader.next();
  EXPECT_EQ(reader.phase(), Phase::idle);
}

// Whoever gives a refusal the shape of an API needs its path, however little of the request could be read.
TEST(RequestReader, KnowsThePathOfWhatItRefuses) {
  const std::string too_long(limits::kHttpHeaderBytesMax, 'x');
  for (const auto& [bytes, path] : std::vector<std::pair<std::string, std::string>>{
           {"GET /api/v2/usages?a=b HTTP/1.1\r\nX: " + too_long, "/api/v2/usages"},
           {"GET /api/" + too_long, "/api/" + too_long},
           {"GET /api/v2/\x01 HTTP/1.1\r\nHost: d\r\n\r\n", "/api/v2/\x01"},
           {"GET /a HTTP/9\r\nHost: d\r\n\r\n", "/a"},
           {"GET", ""},
           {"GET ", ""},
           {"\x16\x03\x01\x02", ""}}) {
    BodyBudget bodies{limits::kHttpBodiesBytesMax};
    RequestReader reader(bodies);
    put(reader, bytes);
    if (reader.step() == Step::more) reader.refuse(error_response(408, "late", "Late."));
    EXPECT_EQ(reader.request().path, path);
    EXPECT_FALSE(reader.frame().keep_alive);
  }
}

// RFC 9112, 3.2.2: a server takes it, and its authority counts instead of the Host.
TEST(RequestReader, TakesATargetInAbsoluteForm) {
  const auto read = [](const std::string& target) {
    BodyBudget bodies{limits::kHttpBodiesBytesMax};
    RequestReader reader(bodies);
    put(reader, "GET " + target + " HTTP/1.1\r\nHost: d\r\n\r\n");
    if (admitted(reader) != Step::request) return std::to_string(reader.refusal().status);
    return reader.request().host + " " + reader.request().path + " " +
           reader.request().parameter("a").value_or("-");
  };
  EXPECT_EQ(read("http://127.0.0.1:8480/api/v2/usages?a=b"), "127.0.0.1:8480 /api/v2/usages b");
  EXPECT_EQ(read("https://localhost"), "localhost / -");
  EXPECT_EQ(read("http://e?a=1"), "e / 1");
  EXPECT_EQ(read("/x"), "d /x -");
  for (const char* wrong : {"http://", "http:///a", "http://user@127.0.0.1/a", "ftp://127.0.0.1/a", "a.b/c"})
    EXPECT_EQ(read(wrong), "400") << wrong;
}

TEST(RequestReader, LimitsTheFieldsAndTheParameters) {
  const auto with_fields = [](std::size_t count) {
    std::string out = "GET /a HTTP/1.1\r\nHost: d\r\n";
    for (std::size_t i = 1; i < count; ++i) out += "A:\r\n";
    return out + "\r\n";
  };
  EXPECT_THAT(read_all(with_fields(limits::kHttpFieldsMax), 9'999), ElementsAre("GET /a "));
  EXPECT_THAT(read_all(with_fields(limits::kHttpFieldsMax + 1), 9'999), ElementsAre("431"));
  std::string target = "/a?a";
  for (std::size_t i = 1; i < limits::kHttpParametersMax; ++i) target += "&a";
  EXPECT_THAT(read_all("GET " + target + " HTTP/1.1\r\nHost: d\r\n\r\n", 999), ElementsAre("GET /a "));
  EXPECT_THAT(read_all("GET " + target + "&a HTTP/1.1\r\nHost: d\r\n\r\n", 999), ElementsAre("400"));
}

TEST(RequestReader, SaysAtOnceThatTlsIsNotHttp) {
  EXPECT_THAT(read_all(std::string("\x16\x03\x01\x02", 4), 4), ElementsAre("400"));
}

}  // namespace
}  // namespace meterd::api
