// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_TRANSPORT_IDENTITY_HPP
#define SEAWALL_ELECTION_TRANSPORT_IDENTITY_HPP

// By what a member's certificate is known: a name among its subject alternative names, or the hash of its key. Compared
// exactly; no wildcards, and the common name is not looked at.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

namespace seawall::raft::detail {

struct certificate_identity {
  enum class form : std::uint8_t {
    dns,     ///< without regard to the case of ASCII letters
    uri,     ///< byte by byte
    sha256,  ///< of the public key (SubjectPublicKeyInfo in DER)
  };

  form how = form::dns;
  std::string value;  ///< lower case for `dns`, 32 bytes for `sha256`

  friend bool operator==(const certificate_identity&, const certificate_identity&) = default;
};

inline std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

inline std::optional<std::string> from_hex(std::string_view hex) {
  const auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
  };
  std::string out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    if (digit(hex[i]) < 0 || digit(hex[i + 1]) < 0) return std::nullopt;
    out.push_back(static_cast<char>(digit(hex[i]) * 16 + digit(hex[i + 1])));
  }
  return out;
}

/// "DNS:node-1.example", "URI:spiffe://example/node-1" or "SHA256:" and 64 hexadecimal digits. Empty: none of these.
inline std::optional<certificate_identity> parse_identity(std::string_view text) {
  using form = certificate_identity::form;
  const auto colon = text.find(':');
  if (colon == std::string_view::npos || colon + 1 == text.size() || text.size() > 512) return std::nullopt;
  const std::string_view how = text.substr(0, colon);
  const std::string_view value = text.substr(colon + 1);
  // A name that OpenSSL could have cut short, or a wildcard, would not mean what it says.
  if (value.find('\0') != std::string_view::npos) return std::nullopt;
  if (how == "DNS" && value.find('*') == std::string_view::npos)
    return certificate_identity{form::dns, lower_case(value)};
  if (how == "URI") return certificate_identity{form::uri, std::string(value)};
  if (how != "SHA256" || value.size() != 64) return std::nullopt;
  auto bytes = from_hex(value);
  if (!bytes) return std::nullopt;
  return certificate_identity{form::sha256, *std::move(bytes)};
}

inline std::string public_key_hash(const ::X509* certificate) {
  unsigned char* der = nullptr;
  const int size = ::i2d_X509_PUBKEY(::X509_get_X509_PUBKEY(certificate), &der);
  if (size <= 0) return {};
  std::array<unsigned char, 32> hash{};
  unsigned int length = 0;
  const bool done =
      ::EVP_Digest(der, static_cast<std::size_t>(size), hash.data(), &length, ::EVP_sha256(), nullptr) == 1;
  ::OPENSSL_free(der);
  return done ? std::string(hash.begin(), hash.end()) : std::string();
}

inline bool has_alternative_name(const ::X509* certificate, const certificate_identity& wanted) {
  struct closing {
    void operator()(::GENERAL_NAMES* names) const noexcept { ::GENERAL_NAMES_free(names); }
  };
  const std::unique_ptr<::GENERAL_NAMES, closing> names(
      static_cast<::GENERAL_NAMES*>(::X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  const bool dns = wanted.how == certificate_identity::form::dns;
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const ::GENERAL_NAME* const name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != (dns ? GEN_DNS : GEN_URI)) continue;
    const ::ASN1_IA5STRING* const text = dns ? name->d.dNSName : name->d.uniformResourceIdentifier;
    // With its length: a zero byte in it ends nothing.
    const std::string_view value(reinterpret_cast<const char*>(::ASN1_STRING_get0_data(text)),
                                 static_cast<std::size_t>(::ASN1_STRING_length(text)));
    if (dns ? lower_case(value) == wanted.value : value == wanted.value) return true;
  }
  return false;
}

inline bool carries(const ::X509* certificate, const certificate_identity& wanted) {
  if (certificate == nullptr || wanted.value.empty()) return false;
  if (wanted.how == certificate_identity::form::sha256) return public_key_hash(certificate) == wanted.value;
  return has_alternative_name(certificate, wanted);
}

}  // namespace seawall::raft::detail

#endif  // SEAWALL_ELECTION_TRANSPORT_IDENTITY_HPP
