// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_TRANSPORT_TLS_HPP
#define SEAWALL_ELECTION_TRANSPORT_TLS_HPP

// OpenSSL set up for members that show each other certificates: TLS 1.3 or later, no session is resumed, no certificate is
// optional. One context serves both directions.

#include <cstddef>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "seawall/election/transport/options.hpp"
#include "seawall/options.hpp"
#include <asio/buffer.hpp>
#include <asio/error_code.hpp>
#include <asio/ssl/context.hpp>
#include <openssl/ssl.h>

namespace seawall::raft::detail {

/// The context, or why there is none.
struct tls_result {
  std::shared_ptr<asio::ssl::context> context = {};
  std::optional<option_error> error = {};
};

class tls_builder {
 public:
  static tls_result build(const tls_options& o) {
    tls_builder b;
    b.restrict_protocol();
    b.ca(o);
    b.certificate(o);
    b.private_key(o);
    if (b.error_) return {nullptr, std::move(b.error_)};
    return {std::move(b.context_), std::nullopt};
  }

 private:
  static constexpr std::size_t max_pem_bytes = 1U << 20U;
  static constexpr long max_chain_bytes = 32L << 10U;

  void restrict_protocol() {
    ::SSL_CTX* const ctx = context_->native_handle();
    if (::SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1)
      error_ = option_error{"tls", "OpenSSL", "must be a version that knows TLS 1.3"};
    // A session that is resumed would be one whose certificate nobody has looked at again.
    ::SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    ::SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    ::SSL_CTX_set_num_tickets(ctx, 0);
    ::SSL_CTX_set_max_cert_list(ctx, max_chain_bytes);
#ifdef SSL_OP_NO_RX_CERTIFICATE_COMPRESSION
    // A few bytes could unfold into megabytes before anybody has shown anything.
    ::SSL_CTX_set_options(ctx, SSL_OP_NO_RX_CERTIFICATE_COMPRESSION | SSL_OP_NO_TX_CERTIFICATE_COMPRESSION);
#endif
    context_->set_verify_mode(asio::ssl::verify_peer | asio::ssl::verify_fail_if_no_peer_cert);
    // Or OpenSSL would ask for it on the terminal.
    context_->set_password_callback(
        [](std::size_t, asio::ssl::context::password_purpose) { return std::string(); });
  }

  void ca(const tls_options& o) {
    const std::string pem = read("tls.ca", o.ca, o.ca_file);
    asio::error_code ec;
    if (!error_) judge("tls.ca", context_->add_certificate_authority(asio::buffer(pem), ec));
  }
  void certificate(const tls_options& o) {
    const std::string pem = read("tls.certificate", o.certificate, o.certificate_file);
    asio::error_code ec;
    if (!error_) judge("tls.certificate", context_->use_certificate_chain(asio::buffer(pem), ec));
  }
  void private_key(const tls_options& o) {
    const std::string pem = read("tls.private_key", o.private_key, o.private_key_file);
    asio::error_code ec;
    if (!error_)
      judge("tls.private_key", context_->use_private_key(asio::buffer(pem), asio::ssl::context::pem, ec));
    if (!error_ && ::SSL_CTX_check_private_key(context_->native_handle()) != 1)
      error_ = option_error{"tls.private_key", "another one", "must be that of the certificate"};
  }

  std::string read(std::string_view field, const std::string& text, const std::string& file) {
    std::string pem = text;
    if (!file.empty()) {
      std::ifstream in(file, std::ios::binary);
      pem.resize(max_pem_bytes + 1);
      in.read(pem.data(), static_cast<std::streamsize>(pem.size()));
      pem.resize(static_cast<std::size_t>(in.gcount()));
    }
    if (!error_ && (pem.empty() || pem.size() > max_pem_bytes))
      error_ = option_error{std::string(field) + (file.empty() ? "" : "_file"),
                            file.empty() ? to_text(std::uint64_t{pem.size()}) + " bytes" : file,
                            "must be there, and have at most 1048576 bytes"};
    return pem;
  }
  void judge(std::string_view field, const asio::error_code& ec) {
    if (ec) error_ = option_error{std::string(field), ec.message(), "must be PEM that OpenSSL accepts"};
  }

  std::shared_ptr<asio::ssl::context> context_ =
      std::make_shared<asio::ssl::context>(asio::ssl::context::tls);
  std::optional<option_error> error_;
};

}  // namespace seawall::raft::detail

#endif  // SEAWALL_ELECTION_TRANSPORT_TLS_HPP
