// Who may report over TCP: HTTP Basic, as the vendors' SDKs send it. With the device's own API key as the
// user and an empty password (Chargebee's), or an account's sid and its token (Twilio's). Loop thread.
#pragma once

#include <array>
#include <string_view>

namespace meterd::api {

class BasicAuth {
 public:
  BasicAuth() = default;  // no key: nobody is let in
  explicit BasicAuth(std::string_view key) { set_key(key); }

  // Replaces the key; an empty one lets nobody in.
  void set_key(std::string_view key) { set_credentials(key, ""); }
  void set_credentials(std::string_view user, std::string_view password);
  bool has_key() const { return has_key_; }

  // The Authorization header as sent. Takes the same time whichever part of the credentials is wrong.
  bool allows(std::string_view authorization) const;

 private:
  using Digest = std::array<unsigned char, 32>;
  static Digest digest_of(std::string_view bytes);

  Digest expected_{};  // of the credentials as they stand in the header: the key itself is not kept
  bool has_key_ = false;
};

}  // namespace meterd::api
