// `meterctl status`: pure, one screen, whatever the daemon says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "agent/ctl/render.hpp"
#include "tests/ctl/rendered.hpp"

namespace meterd::ctl {
namespace {

namespace json = boost::json;
using test::lines_of;
using test::text_of;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string kLongId(100, 'x');

json::value quiet_status() {
  return json::parse(R"({"version":"0.1.0","device":"gw-0042","state":"running","uptime_seconds":11520,
    "clock":{"time":"2026-11-22T01:02:03Z","trusted":true,"undated_slices":0},
    "counting":{"events":123,"duplicates":0,"sequence_gaps":0,"datagrams":10,"refused":{},"loss_window_ms":10000,
      "uncommitted":false,"inputs":["unix:/run/meterd/statsd.sock","udp:127.0.0.1:8125","/run/meterd/ingest.sock"],
      "sources":[{"name":"interface:wwan0:data.bytes","trouble":"","gaps":2}],"producers_connected":1},
    "journal":{"directory":"/var/lib/meterd","epoch":"00ff","used_bytes":1048576,"map_bytes":67108864,
      "watermark_bytes":58720256,"above_watermark":false,"commits":5,"failed_commits":0,"disk_full":false,
      "flash_bytes_per_day_max":176947200,"set_aside":0,"conservation_error":0},
    "buckets":{"open":3,"next_seal":"2026-11-22T01:05:00Z"},
    "upstreams":[{"name":"billing","kind":"chargebee","state":"ok","waiting":1,"in_doubt":0,"parked":0,"delivered":7,
      "oldest_waiting":"2026-11-22T01:00:00Z","last_delivery":"2026-11-22T01:01:00Z","last_error":"",
      "last_error_at":null,"paused_for_ms":0}],
    "attention":[]})");
}

json::value need(std::string_view what, std::string_view how) {
  return json::object{{"what", what}, {"do", how}};
}

TEST(RenderStatus, AnswersTheFiveQuestions) {
  const auto rendered = render_status(quiet_status());
  const auto text = text_of(rendered);
  EXPECT_THAT(text, HasSubstr("meterd 0.1.0 on gw-0042: running for 3 h 12 min\n"));
  EXPECT_THAT(text, HasSubstr("counting   yes; 123 events, 1 producer connected\n"));
  EXPECT_THAT(text, HasSubstr("inputs     unix:/run/meterd/statsd.sock, udp:127.0.0.1:8125,\n"
                              "           /run/meterd/ingest.sock\n"));
  EXPECT_THAT(text, HasSubstr("a power cut loses at most 10 s of received, no committed events\n"));
  EXPECT_THAT(text, HasSubstr("that window costs at most 168.7 MiB a day\n"));
  EXPECT_THAT(text, HasSubstr("buckets    3 open, next seal 2026-11-22T01:05:00Z\n"));
  EXPECT_THAT(text, HasSubstr("billing   ok           1         0       0          7\n"));
  EXPECT_THAT(text, HasSubstr("oldest 2026-11-22T01:00:00Z; last delivery 2026-11-22T01:01:00Z\n"));
  EXPECT_THAT(text, HasSubstr("attention  none: nothing to do\n"));
  EXPECT_FALSE(rendered->attention);
}

TEST(RenderStatus, SaysWhenItDoesNotCountAsItShould) {
  auto status = quiet_status();
  status.at("state").emplace_string() = "stopping";
  EXPECT_THAT(text_of(render_status(status)), HasSubstr("counting   NO, meterd is stopping"));
  status = quiet_status();
  status.at("journal").at("disk_full") = true;
  EXPECT_THAT(text_of(render_status(status)),
              HasSubstr("counting   only in memory: the journal has no room"));
  status = quiet_status();
  status.at("journal").at("commits") = 1;
  EXPECT_THAT(text_of(render_status(status)), HasSubstr(", 1 commit, "));
  status = quiet_status();
  status.at("journal").at("above_watermark") = true;
  EXPECT_THAT(text_of(render_status(status)),
              HasSubstr("counting   yes, but new subscriptions and days are refused"));
  status = quiet_status();
  status.at("clock").at("trusted") = false;
  EXPECT_THAT(text_of(render_status(status)), HasSubstr("NOT trusted"));
  status = quiet_status();
  status.at("counting").at("refused") = json::object{{"bad_quantity", 2}, {"unknown_event", 30}};
  EXPECT_THAT(text_of(render_status(status)), HasSubstr("refused    32: unknown_event 30, bad_quantity 2\n"));
}

json::object gap(const char* until, int lost, json::value lost_max, const char* reason) {
  return {{"from", nullptr}, {"until", until}, {"trusted", true},     {"reason", reason},
          {"what", ""},      {"lost", lost},   {"lost_max", lost_max}};
}

json::object source_with(const char* name, json::array gaps) {
  const auto count = gaps.size();
  return {{"name", name}, {"trouble", ""}, {"gaps", count}, {"recent_gaps", std::move(gaps)}};
}

TEST(RenderStatus, NamesTheLastGapBelowItsSource) {
  auto status = quiet_status();
  auto& sources = status.at("counting").at("sources");
  EXPECT_THAT(text_of(render_status(status)), Not(HasSubstr("lost:")));
  sources = json::array{
      source_with("interface:wwan0:data.bytes",
                  {gap("2026-11-20T01:00:00Z", 0, nullptr, "the device was started again"),
                   gap("2026-11-22T01:00:00Z", 0, "1100", "the journal was put back: in doubt")})};
  EXPECT_THAT(text_of(render_status(status)),
              HasSubstr("sources    interface:wwan0:data.bytes (2 gaps)\n"
                        "           2026-11-22T01:00:00Z, at most 1100 lost: the journal was put ba"));
  sources = json::array{
      source_with("access-log:/run/a.sock", {gap("2026-11-20T01:00:00Z", 7, nullptr, "messages lost")}),
      source_with("quiet", {}), source_with("modem", {gap("2026-11-21T01:00:00Z", 0, nullptr, "deleted")})};
  EXPECT_THAT(text_of(render_status(status)),
              HasSubstr("sources    modem (1 gap)\n"
                        "           2026-11-21T01:00:00Z, nobody knows how much: deleted\n"
                        "           access-log:/run/a.sock (1 gap)\n"
                        "           2026-11-20T01:00:00Z, 7 lost: messages lost\n"
                        "           quiet\n"));
}

TEST(RenderStatus, SaysWhatBecomesOfWhatIsInDoubt) {
  auto status = quiet_status();
  auto& upstream = status.at("upstreams").at(0).as_object();
  upstream["in_doubt_policy"] = nullptr;
  EXPECT_THAT(text_of(render_status(status)), Not(HasSubstr("in doubt: ")));
  upstream["in_doubt_policy"] = "hold";
  EXPECT_THAT(text_of(render_status(status)), HasSubstr("\n  in doubt: hold, none now; oldest 2026"));
  upstream["in_doubt_policy"] = "assume-delivered";
  upstream["in_doubt"] = 12;
  EXPECT_THAT(text_of(render_status(status)),
              HasSubstr("\n  in doubt: assume-delivered, 12 now; oldest 2026-11-22T01:00:00Z\n"
                        "  last delivery 2026-11-22T01:01:00Z\n"));
}

TEST(RenderStatus, SaysWhatIsWrongAndWhatToDo) {
  auto status = quiet_status();
  auto& upstream = status.at("upstreams").at(0).as_object();
  upstream["state"] = "throttled";
  upstream["paused_for_ms"] = 39'500;
  upstream["last_error"] = "429 Too Many Requests";
  upstream["last_error_at"] = "2026-11-22T01:02:00Z";
  status.at("attention").as_array().push_back(need("billing: 2 usages are parked", "see meterctl outbox"));
  const auto rendered = render_status(status);
  const auto text = text_of(rendered);
  EXPECT_TRUE(rendered->attention);
  EXPECT_THAT(text, HasSubstr("paused 40 s\n"));
  EXPECT_THAT(text, HasSubstr("  error 2026-11-22T01:02:00Z: 429 Too Many Requests\n"));
  EXPECT_THAT(text, HasSubstr("ATTENTION\n* billing: 2 usages are parked -> see meterctl outbox\n"));
}

TEST(RenderStatus, ForgetsAnErrorThatADeliveryFollowed) {
  auto status = quiet_status();
  auto& upstream = status.at("upstreams").at(0).as_object();
  upstream["last_error"] = "503 Service Unavailable";
  upstream["last_error_at"] = "2026-11-22T00:59:00Z";
  EXPECT_THAT(text_of(render_status(status)), Not(HasSubstr("503")));
}

TEST(RenderStatus, FitsOneScreenWhateverTheDaemonHasToSay) {
  for (std::size_t upstreams = 0; upstreams < 20; ++upstreams) {
    for (std::size_t needs = 0; needs < 20; ++needs) {
      auto status = quiet_status();
      status.at("device") = kLongId;
      auto& counting = status.at("counting").as_object();
      counting["refused"] = json::object{{"unknown_event", 4'000'000'000},
                                         {"missing_subscription", 4'000'000'000},
                                         {"unknown_subscription", 4'000'000'000},
                                         {"bad_quantity", 1}};
      counting["events"] = UINT64_MAX;
      counting["inputs"] = json::array(20, "unix:/run/meterd/a-long-directory/statsd.sock");
      counting["sources"] = json::array(
          20, source_with(kLongId.c_str(), {gap("2026-11-22T01:00:00Z", 1, nullptr, kLongId.c_str())}));
      status.at("journal").at("directory") = "/" + kLongId;
      auto upstream = status.at("upstreams").at(0);
      upstream.at("name") = kLongId;
      upstream.at("state") = "unauthorised";
      upstream.at("waiting") = 4'000'000'000;
      upstream.at("last_error") = kLongId + "\n" + kLongId;
      status.at("upstreams") = json::array(upstreams, upstream);
      const auto long_need = need("the journal has no room; " + kLongId, "free space below /" + kLongId);
      status.at("attention") = json::array(needs, long_need);
      const auto rendered = render_status(status);
      const auto text = text_of(rendered);
      EXPECT_LE(lines_of(text).size(), kStatusLinesMax) << text;
      EXPECT_EQ(rendered->attention, needs > 0);
      if (needs > 0) {
        EXPECT_THAT(text, HasSubstr("* the journal has no room")) << "the first need is always shown";
      }
      if (needs > 5 || upstreams > 10) {
        EXPECT_THAT(text, HasSubstr("more: meterctl status --json"));
      }
      if (upstreams > 0) {
        EXPECT_THAT(text, HasSubstr("unauthorised"));
      }
    }
  }
}

TEST(RenderStatus, ShowsAnUpstreamInTroubleBeforeTheOthers) {
  auto status = quiet_status();
  const auto well = status.at("upstreams").at(0);
  json::array upstreams(15, well);
  upstreams[14].at("name") = "last";
  upstreams[14].at("state") = "unauthorised";
  status.at("upstreams") = upstreams;
  EXPECT_THAT(text_of(render_status(status)), HasSubstr("last      unauthorised"));
}

TEST(RenderStatus, RefusesWhatIsNoStatus) {
  for (const auto* body : {"null", "[]", "{}", "\"ok\"", R"({"counting":{},"attention":"none"})"}) {
    const auto rendered = render_status(json::parse(body));
    ASSERT_FALSE(rendered.ok()) << body;
    EXPECT_EQ(rendered.error().code, Code::corrupt);
  }
  // Of another version: what is missing is a dash and not a crash.
  EXPECT_THAT(text_of(render_status(json::parse(R"({"counting":{},"attention":[1]})"))),
              HasSubstr("* - -> -"));
}

}  // namespace
}  // namespace meterd::ctl
