#include "common/certificate.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <algorithm>
#include <ctime>
#include <memory>

#include "common/clock.h"

namespace faultline {

Result<int64_t> CertificateEnd(std::string_view pem) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> text(
      BIO_new_mem_buf(pem.data(), static_cast<int>(std::min<size_t>(pem.size(), 1 << 20))),
      &BIO_free);
  int64_t first = INT64_MAX;
  for (int i = 0; i < 100 && text; ++i) {
    const std::unique_ptr<X509, decltype(&X509_free)> certificate(
        PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr), &X509_free);
    if (!certificate) break;
    tm end{};
    if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate.get()), &end) != 1) continue;
    first = std::min(first, static_cast<int64_t>(timegm(&end)) * kNsPerSecond);
  }
  ERR_clear_error();
  if (first == INT64_MAX) return Fail(ErrorCode::kNotFound, "no certificate");
  return first;
}

}  // namespace faultline
