// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_ELECTION_CERTIFICATES_HPP
#define SEAWALL_TESTS_ELECTION_CERTIFICATES_HPP

// A certificate authority of the test's own: whatever a member, or somebody who would like to be one, may show.

#include <memory>
#include <stdexcept>
#include <string>

#include "seawall/election/transport/options.hpp"
#include "seawall/random.hpp"
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

namespace election_test {

struct freed {
  void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
  void operator()(X509* p) const { X509_free(p); }
  void operator()(X509_EXTENSION* p) const { X509_EXTENSION_free(p); }
  void operator()(BIO* p) const { BIO_free(p); }
};
using key_ptr = std::unique_ptr<EVP_PKEY, freed>;
using certificate_ptr = std::unique_ptr<X509, freed>;

template <class Write>
std::string pem_of(Write write) {
  const std::unique_ptr<BIO, freed> out(BIO_new(BIO_s_mem()));
  if (write(out.get()) != 1) throw std::runtime_error("cannot write PEM");
  char* text = nullptr;
  const long size = BIO_get_mem_data(out.get(), &text);
  return std::string(text, static_cast<std::size_t>(size));
}

struct certificate_wishes {
  std::string names = {};  ///< as OpenSSL writes them: "DNS:a,URI:b"; empty: none
  std::string usage = {};  ///< extended key usages
  std::string common_name = "somebody";
  int rsa_bits = 0;  ///< zero: P-256
  long from_seconds = -3600;
  long to_seconds = 3600;
};

class authority {
 public:
  authority()
      : key_(EVP_EC_gen("P-256")),
        certificate_(make(key_.get(),
                          {.common_name = "authority " + std::to_string(seawall::thread_random().next())},
                          true)) {}

  std::string pem() const {
    return pem_of([&](BIO* out) { return PEM_write_bio_X509(out, certificate_.get()); });
  }

  struct issued {
    std::string certificate;
    std::string key;
    certificate_ptr x509;
  };
  issued issue(const certificate_wishes& wishes) const {
    const key_ptr key(wishes.rsa_bits != 0 ? EVP_RSA_gen(static_cast<unsigned>(wishes.rsa_bits))
                                           : EVP_EC_gen("P-256"));
    certificate_ptr x509 = make(key.get(), wishes, false);
    return {pem_of([&](BIO* out) { return PEM_write_bio_X509(out, x509.get()); }), pem_of([&](BIO* out) {
              return PEM_write_bio_PrivateKey(out, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
            }),
            std::move(x509)};
  }
  /// What a member needs that trusts this authority.
  seawall::raft::tls_options tls(const certificate_wishes& wishes) const {
    const issued i = issue(wishes);
    return {.ca = pem(), .certificate = i.certificate, .private_key = i.key};
  }

  /// Who has a certificate, and signs another one with its key.
  seawall::raft::tls_options signed_by(const issued& by, const certificate_wishes& wishes) const {
    const authority fraud(by);
    seawall::raft::tls_options t = fraud.tls(wishes);
    t.certificate += by.certificate;
    t.ca = pem();
    return t;
  }

 private:
  explicit authority(const issued& is)
      : key_(PEM_read_bio_PrivateKey(
            std::unique_ptr<BIO, freed>(BIO_new_mem_buf(is.key.data(), static_cast<int>(is.key.size())))
                .get(),
            nullptr, nullptr, nullptr)),
        certificate_(X509_dup(is.x509.get())) {}

  certificate_ptr make(EVP_PKEY* key, const certificate_wishes& wishes, bool ca) const {
    certificate_ptr c(X509_new());
    X509_set_version(c.get(), 2);
    ASN1_INTEGER_set_uint64(X509_get_serialNumber(c.get()), seawall::thread_random().next() >> 1U);
    X509_gmtime_adj(X509_getm_notBefore(c.get()), wishes.from_seconds);
    X509_gmtime_adj(X509_getm_notAfter(c.get()), wishes.to_seconds);
    X509_set_pubkey(c.get(), key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(c.get()), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(wishes.common_name.c_str()), -1, -1, 0);
    X509_set_issuer_name(c.get(), X509_get_subject_name(ca ? c.get() : certificate_.get()));
    if (ca) add(*c, NID_basic_constraints, "critical,CA:TRUE");
    if (!wishes.names.empty()) add(*c, NID_subject_alt_name, wishes.names);
    if (!wishes.usage.empty()) add(*c, NID_ext_key_usage, wishes.usage);
    if (X509_sign(c.get(), key_.get(), EVP_sha256()) == 0) throw std::runtime_error("cannot sign");
    return c;
  }
  static void add(X509& c, int what, const std::string& value) {
    const std::unique_ptr<X509_EXTENSION, freed> e(
        X509V3_EXT_conf_nid(nullptr, nullptr, what, value.c_str()));
    if (!e || X509_add_ext(&c, e.get(), -1) != 1) throw std::runtime_error("cannot add " + value);
  }

  const key_ptr key_;
  const certificate_ptr certificate_;
};

}  // namespace election_test

#endif  // SEAWALL_TESTS_ELECTION_CERTIFICATES_HPP
