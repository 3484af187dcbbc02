// A directory of its own for each test, with a meterd.toml and secrets in it.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>

#include "agent/app/config.hpp"

namespace meterd::app {

class ConfigFixture : public testing::Test {
 protected:
  ConfigFixture() {
    std::string pattern = testing::TempDir() + "meterd-config-XXXXXX";
    directory_ = mkdtemp(pattern.data());
    sources_.machine_id = "0123456789abcdef0123456789abcdef";
  }
  ~ConfigFixture() override { std::filesystem::remove_all(directory_); }

  std::string path(const std::string& name) const { return directory_ + "/" + name; }

  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name), std::ios::binary) << text;
    std::filesystem::permissions(path(name),
                                 std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    return path(name);
  }

  // Makes a credential as systemd would pass it.
  void pass_credential(const std::string& name, const std::string& value) {
    sources_.credentials_directory = directory_;
    write(name, value);
  }

  Result<Config> load(const std::string& text) const {
    return load_config(write("meterd.toml", text), sources_);
  }

  // The whole error text with the directory cut off ("meterd.toml:1: ..."), or "" when it loads.
  std::string errors(const std::string& text) const {
    const auto config = load(text);
    return config ? "" : short_paths(config.error().message);
  }

  std::string warnings(const std::string& text) const {
    const auto config = load(text);
    if (!config) return "does not load: " + config.error().message;
    std::string out;
    for (const auto& warning : config->warnings) out += short_paths(warning) + "\n";
    return out;
  }

  std::string short_paths(std::string text) const {
    for (auto at = text.find(directory_ + "/"); at != std::string::npos; at = text.find(directory_ + "/"))
      text.erase(at, directory_.size() + 1);
    return text;
  }

  std::string directory_;
  ConfigSources sources_;
};

}  // namespace meterd::app
