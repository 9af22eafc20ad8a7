// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_EXAMPLES_SUPPORT_CERTIFICATES_HPP
#define SEAWALL_EXAMPLES_SUPPORT_CERTIFICATES_HPP

// An authority of one's own and a certificate for each name, for an hour: ca.pem, <name>.pem and <name>.key. docs/election.md has
// the same with the openssl command.

#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

struct freed {
  void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
  void operator()(X509* p) const { X509_free(p); }
  void operator()(X509_EXTENSION* p) const { X509_EXTENSION_free(p); }
  void operator()(std::FILE* p) const { std::fclose(p); }
};
using key_ptr = std::unique_ptr<EVP_PKEY, freed>;
using certificate_ptr = std::unique_ptr<X509, freed>;

/// Signed by `issuer` with `issuer_key`; by itself, if there is no issuer.
inline certificate_ptr certify(EVP_PKEY* key, const std::string& name, X509* issuer, EVP_PKEY* issuer_key) {
  certificate_ptr c(X509_new());
  const auto extend = [&c](int what, const std::string& value) {
    const std::unique_ptr<X509_EXTENSION, freed> e(
        X509V3_EXT_conf_nid(nullptr, nullptr, what, value.c_str()));
    X509_add_ext(c.get(), e.get(), -1);
  };
  std::uint64_t serial = 0;
  RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial);
  X509_set_version(c.get(), X509_VERSION_3);
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(c.get()), serial >> 1U);
  X509_gmtime_adj(X509_getm_notBefore(c.get()), -3600);
  X509_gmtime_adj(X509_getm_notAfter(c.get()), 3600);
  X509_set_pubkey(c.get(), key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(c.get()), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509_set_issuer_name(c.get(), X509_get_subject_name(issuer != nullptr ? issuer : c.get()));
  if (issuer == nullptr)
    extend(NID_basic_constraints, "critical,CA:TRUE");
  else
    extend(NID_subject_alt_name, "DNS:" + name);
  if (X509_sign(c.get(), issuer_key, EVP_sha256()) == 0) throw std::runtime_error("cannot sign");
  return c;
}

inline void make_certificates(const std::string& folder, const std::vector<std::string>& names) {
  const auto file = [&folder](const std::string& name) {
    std::unique_ptr<std::FILE, freed> f(std::fopen((folder + "/" + name).c_str(), "wb"));
    return f ? std::move(f) : throw std::runtime_error("cannot write " + folder + "/" + name);
  };
  const key_ptr ca_key(EVP_EC_gen("P-256"));
  const certificate_ptr ca = certify(ca_key.get(), "example authority", nullptr, ca_key.get());
  PEM_write_X509(file("ca.pem").get(), ca.get());
  for (const std::string& name : names) {
    const key_ptr key(EVP_EC_gen("P-256"));
    PEM_write_X509(file(name + ".pem").get(), certify(key.get(), name, ca.get(), ca_key.get()).get());
    PEM_write_PrivateKey(file(name + ".key").get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  }
}

#endif  // SEAWALL_EXAMPLES_SUPPORT_CERTIFICATES_HPP
