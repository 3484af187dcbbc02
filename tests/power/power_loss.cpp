// power_loss: opens what a power cut could leave of the journal at each system call, and counts what was
// lost.
#include <lmdb.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <iostream>
#include <map>
#include <optional>

#include "tests/power/campaign.hpp"

int main(int argc, char** argv) {
  meterd::power::CampaignOptions options;
  options.jobs = 2;
  std::optional<std::uint64_t> point;
  std::string control;
  CLI::App app{"Cuts the power at every system call of the journal and opens what is left."};
  app.add_option("--points", options.points, "how many system calls to cut at, at least")
      ->capture_default_str();
  app.add_option("--seed", options.seed, "of the first trial; each further one has the next")
      ->capture_default_str();
  app.add_option("--jobs", options.jobs, "processes")->capture_default_str()->check(CLI::Range(1, 64));
  app.add_option("--point", point, "replay: one trial, judged at this system call only");
  app.add_option("--control", control, "what must fail: nosync or nometasync")
      ->check(CLI::IsMember({"nosync", "nometasync"}));
  CLI11_PARSE(app, argc, argv);
  if (control == "nosync") options.environment_flags = MDB_NOSYNC;
  if (control == "nometasync") options.environment_flags = MDB_NOMETASYNC;
  options.in_child = !control.empty();

  const auto began = std::chrono::steady_clock::now();
  const auto outcome = point ? meterd::power::replay(options, *point) : meterd::power::run_campaign(options);
  const auto took = std::chrono::steady_clock::now() - began;
  meterd::power::print(std::cout, outcome,
                       std::chrono::duration_cast<std::chrono::milliseconds>(took).count());
  return outcome.error.empty() && outcome.counts.failures() == 0 ? 0 : 1;
}
