// Prints every sample as one line of JSON: its name, what /status and what /metrics says of it. For the tests
// that read them with other programs' parsers.
#include <boost/json.hpp>
#include <cstdio>

#include "agent/api/metrics.hpp"
#include "tests/api/status_samples.hpp"

int main() {
  namespace json = boost::json;
  for (const auto& sample : meterd::api::test::status_samples()) {
    const json::object line{{"name", sample.name},
                            {"status", meterd::api::to_json(sample.status)},
                            {"metrics", meterd::api::to_metrics(sample.status)}};
    std::puts(json::serialize(line).c_str());
  }
}
