/*
 * What TLS needs and Swift cannot say to libssl itself: macros, parameter lists, and text that holds secrets.
 */
#pragma once
#include <string.h>
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

/* Whether the processor computes AES and the multiplication of GCM itself. */
static inline int co_has_aes(void) {
#if defined(__x86_64__) || defined(__i386__)
    unsigned int a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_AES) && (c & bit_PCLMUL);
#elif defined(__aarch64__) && defined(__linux__)
    /* HWCAP_AES and HWCAP_PMULL. */
    return (getauxval(AT_HWCAP) & 0x18) == 0x18;
#else
    return 0;
#endif
}

/*
 * A context for TLS 1.3 alone: no older version, no tickets, no resumption, no early data, no compression; the server picks the cipher. The
 * messages that only serve to look like TLS 1.2 (RFC 8446, appendix D.4) are left out: what stands between two peers has seen multistream-select before.
 */
static inline SSL_CTX *co_tls_context(const char *suites, const char *groups, const char *signatures, long certificate_bytes_max) {
    SSL_CTX *context = SSL_CTX_new(TLS_method());
    if (!context) return NULL;
    SSL_CTX_set_security_level(context, 2);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_clear_options(context, SSL_OP_ENABLE_MIDDLEBOX_COMPAT);
    SSL_CTX_set_options(
        context, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(context, SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_max_cert_list(context, certificate_bytes_max);
    if (SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1 && SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1 &&
        SSL_CTX_set_num_tickets(context, 0) == 1 && SSL_CTX_set_max_early_data(context, 0) == 1 &&
        SSL_CTX_set_ciphersuites(context, suites) == 1 && SSL_CTX_set1_groups_list(context, groups) == 1 &&
        SSL_CTX_set1_sigalgs_list(context, signatures) == 1)
        return context;
    SSL_CTX_free(context);
    return NULL;
}

/* A connection that reads from and writes to memory; the buffers are its own. */
static inline SSL *co_tls_connection(SSL_CTX *context, int is_client) {
    SSL *ssl = SSL_new(context);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    if (!ssl || !in || !out) {
        BIO_free(in);
        BIO_free(out);
        SSL_free(ssl);
        return NULL;
    }
    SSL_set_bio(ssl, in, out);
    if (is_client) SSL_set_connect_state(ssl);
    else SSL_set_accept_state(ssl);
    return ssl;
}

static inline void *co_tls_owner(const SSL *ssl) { return SSL_get_ex_data(ssl, 0); }

/* The connection whose far end's certificate is being judged. */
static inline SSL *co_tls_of_store(X509_STORE_CTX *store) {
    return X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
}

static inline int co_certificates_count(const STACK_OF(X509) * list) { return list ? sk_X509_num(list) : 0; }

/*
 * The secret in a line of NSS's key log format, when it has this label: label, space, the client's random number, space, the secret, both in
 * hexadecimal. Returns the secret's length, or 0.
 */
static inline size_t co_secret_of_line(const char *line, const char *label, uint8_t *out, size_t capacity) {
    size_t label_length = strlen(label), length = 0;
    if (strncmp(line, label, label_length) != 0 || line[label_length] != ' ') return 0;
    const char *hex = strchr(line + label_length + 1, ' ');
    if (!hex) return 0;
    for (hex++; hex[0] && hex[1]; hex += 2) {
        int high = OPENSSL_hexchar2int(hex[0]), low = OPENSSL_hexchar2int(hex[1]);
        if (high < 0 || low < 0 || length == capacity) return 0;
        out[length++] = (uint8_t)(high << 4 | low);
    }
    return length;
}

/* HKDF-Expand (RFC 5869, section 2.3); 1 on success. */
static inline int co_hkdf_expand(
    const char *digest, const uint8_t *secret, size_t secret_length, const uint8_t *info, size_t info_length, uint8_t *out, size_t length) {
    int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY, ok;
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *context = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)digest, 0),
        OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)secret, secret_length),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)info, info_length),
        OSSL_PARAM_construct_end(),
    };
    ok = context && EVP_KDF_derive(context, out, length, params) == 1;
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
    return ok;
}

/*
 * A self-signed certificate for `key` with one extension beside what every certificate has; NULL when it cannot be made. Times are in seconds from now.
 */
static inline X509 *co_self_signed(
    EVP_PKEY *key, long valid_from, long valid_to, const char *extension_oid, int is_critical, const uint8_t *value, size_t length) {
    uint8_t random[16];
    char name_text[17];
    X509 *certificate = X509_new();
    X509_NAME *name = X509_NAME_new();
    BIGNUM *number = NULL;
    ASN1_OBJECT *oid = OBJ_txt2obj(extension_oid, 1);
    ASN1_OCTET_STRING *octets = ASN1_OCTET_STRING_new();
    X509_EXTENSION *extension = NULL;
    int ok = certificate && name && oid && octets && RAND_bytes(random, sizeof random) == 1;
    if (ok) {
        /* A serial number is positive and has at most 20 bytes (RFC 5280, section 4.1.2.2). */
        random[0] = (random[0] & 0x7f) | 0x40;
        number = BN_bin2bn(random, 8, NULL);
        for (int i = 0; i < 8; i++) {
            name_text[2 * i] = "0123456789abcdef"[random[8 + i] >> 4];
            name_text[2 * i + 1] = "0123456789abcdef"[random[8 + i] & 15];
        }
        name_text[16] = 0;
        ok = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) && X509_set_version(certificate, X509_VERSION_3) == 1 &&
            X509_NAME_add_entry_by_NID(name, NID_serialNumber, MBSTRING_ASC, (const uint8_t *)name_text, 16, -1, 0) == 1 &&
            X509_set_subject_name(certificate, name) == 1 && X509_set_issuer_name(certificate, name) == 1 &&
            X509_gmtime_adj(X509_getm_notBefore(certificate), valid_from) && X509_gmtime_adj(X509_getm_notAfter(certificate), valid_to) &&
            X509_set_pubkey(certificate, key) == 1 && ASN1_OCTET_STRING_set(octets, value, (int)length) == 1 &&
            (extension = X509_EXTENSION_create_by_OBJ(NULL, oid, is_critical, octets)) && X509_add_ext(certificate, extension, -1) == 1 &&
            X509_sign(certificate, key, EVP_sha256()) > 0;
    }
    X509_EXTENSION_free(extension);
    ASN1_OCTET_STRING_free(octets);
    ASN1_OBJECT_free(oid);
    BN_free(number);
    X509_NAME_free(name);
    if (ok) return certificate;
    X509_free(certificate);
    return NULL;
}

/* The dotted form of an extension's name, cut to fit. */
static inline void co_extension_oid(X509_EXTENSION *extension, char *out, size_t capacity) {
    OBJ_obj2txt(out, (int)capacity, X509_EXTENSION_get_object(extension), 1);
}

/* The value of an extension, in place. */
static inline const uint8_t *co_extension_value(X509_EXTENSION *extension, size_t *length) {
    const ASN1_OCTET_STRING *octets = X509_EXTENSION_get_data(extension);
    *length = (size_t)ASN1_STRING_length(octets);
    return ASN1_STRING_get0_data(octets);
}

/* Whether the certificate's key may sign handshakes: it may when nothing says what it is for (RFC 5280, section 4.2.1.3). */
static inline int co_may_sign(X509 *certificate) { return (X509_get_key_usage(certificate) & KU_DIGITAL_SIGNATURE) != 0; }

/* -1 before the certificate's time, 1 after it, 0 within; 2 when its times cannot be read. */
static inline int co_time_order(const X509 *certificate, int64_t seconds) {
    time_t now = (time_t)seconds;
    int from = X509_cmp_time(X509_get0_notBefore(certificate), &now), to = X509_cmp_time(X509_get0_notAfter(certificate), &now);
    if (from == 0 || to == 0) return 2;
    return from > 0 ? -1 : to < 0 ? 1 : 0;
}

/* Whether the certificate has one of the fields that libp2p's TLS specification forbids. */
static inline int co_has_unique_id(const X509 *certificate) {
    const ASN1_BIT_STRING *issuer = NULL, *subject = NULL;
    X509_get0_uids(certificate, &issuer, &subject);
    return issuer != NULL || subject != NULL;
}

/* Whether the curve of a key was given by its parameters. */
static inline int co_has_described_curve(EVP_PKEY *key) {
    int is_described = 0;
    return EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &is_described) != 1 || is_described;
}

/* Bits of security of the certificate's own signature, or 0 when they are not known. */
static inline int co_signature_bits(X509 *certificate) {
    int bits = 0;
    return X509_get_signature_info(certificate, NULL, NULL, &bits, NULL) == 1 ? bits : 0;
}
