/*
 * OpenSSL 3.0, and what Swift cannot say to it itself: macros, functions that take any number of arguments, and keys made from lists of parameters,
 * whose pointers must stay where they are until the list has been used; beside them, what is done with numbers and points of a curve. A function that
 * returns a key gives a new reference, the caller's to free, or NULL.
 */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

static inline void co_free(void *memory) { OPENSSL_free(memory); }

static inline EVP_PKEY *co_key_from_params(const char *algorithm, int selection, OSSL_PARAM *params) {
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, algorithm, NULL);
    if (context && EVP_PKEY_fromdata_init(context) == 1 && EVP_PKEY_fromdata(context, &key, selection, params) != 1) key = NULL;
    EVP_PKEY_CTX_free(context);
    return key;
}

/* A public key from a point in its octet form, which is checked to be on the curve. */
static inline EVP_PKEY *co_ec_public_key(const char *group, const uint8_t *point, size_t length) {
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)point, length),
        OSSL_PARAM_construct_end(),
    };
    return co_key_from_params("EC", EVP_PKEY_PUBLIC_KEY, params);
}

/* A key pair from its private scalar, big-endian. The scalar must be at least 1 and below the order of the group. */
static inline EVP_PKEY *co_ec_private_key(const char *group_name, int group_number, const uint8_t *scalar, size_t length) {
    EVP_PKEY *key = NULL;
    uint8_t public_octets[133], native[66];
    EC_GROUP *group = EC_GROUP_new_by_curve_name(group_number);
    BIGNUM *number = BN_secure_new();
    EC_POINT *point = group ? EC_POINT_new(group) : NULL;
    if (group && number && point && length <= sizeof native && BN_bin2bn(scalar, (int)length, number) && !BN_is_zero(number) &&
        BN_cmp(number, EC_GROUP_get0_order(group)) < 0) {
        BN_set_flags(number, BN_FLG_CONSTTIME);
        size_t octets = 0;
        if (EC_POINT_mul(group, point, number, NULL, NULL, NULL) == 1)
            octets = EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, public_octets, sizeof public_octets, NULL);
        if (octets > 0 && BN_bn2nativepad(number, native, (int)length) == (int)length) {
            OSSL_PARAM params[] = {
                OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)group_name, 0),
                OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, public_octets, octets),
                OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_PRIV_KEY, native, length),
                OSSL_PARAM_construct_end(),
            };
            key = co_key_from_params("EC", EVP_PKEY_KEYPAIR, params);
        }
        OPENSSL_cleanse(native, sizeof native);
    }
    EC_POINT_free(point);
    BN_clear_free(number);
    EC_GROUP_free(group);
    return key;
}

static inline EVP_PKEY *co_generate_ec(const char *group) { return EVP_PKEY_Q_keygen(NULL, NULL, "EC", group); }
static inline EVP_PKEY *co_generate_rsa(size_t bits) { return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", bits); }
static inline EVP_PKEY *co_generate(const char *algorithm) { return EVP_PKEY_Q_keygen(NULL, NULL, algorithm); }

/* The public point in octet form, compressed or not; 0 when it does not fit. */
static inline size_t co_ec_point(EVP_PKEY *key, int group_number, int is_compressed, uint8_t *out, size_t capacity) {
    uint8_t octets[133];
    size_t length = 0, written = 0;
    if (EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, octets, sizeof octets, &length) != 1) return 0;
    EC_GROUP *group = EC_GROUP_new_by_curve_name(group_number);
    EC_POINT *point = group ? EC_POINT_new(group) : NULL;
    if (point && EC_POINT_oct2point(group, point, octets, length, NULL) == 1)
        written = EC_POINT_point2oct(
            group, point, is_compressed ? POINT_CONVERSION_COMPRESSED : POINT_CONVERSION_UNCOMPRESSED, out, capacity, NULL);
    EC_POINT_free(point);
    EC_GROUP_free(group);
    return written;
}

/* The private scalar, big-endian, filled with zeros in front to `length` bytes; 1 on success. */
static inline int co_ec_scalar(EVP_PKEY *key, uint8_t *out, int length) {
    BIGNUM *number = NULL;
    int ok = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &number) == 1 && BN_bn2binpad(number, out, length) == length;
    BN_clear_free(number);
    return ok;
}

/* Bits of the public exponent of an RSA key, or 0. */
static inline int co_rsa_exponent_bits(EVP_PKEY *key) {
    BIGNUM *exponent = NULL;
    int bits = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &exponent) == 1 ? BN_num_bits(exponent) : 0;
    BN_free(exponent);
    return bits;
}

/*
 * The same ECDSA signature with the smaller of its two values of s (BIP 62, "low S values in signatures"), in DER.
 * Returns the length, or 0.
 */
static inline size_t co_low_s(int group_number, const uint8_t *der, size_t length, uint8_t *out, size_t capacity) {
    const uint8_t *from = der;
    int written = 0;
    ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &from, (long)length);
    EC_GROUP *group = EC_GROUP_new_by_curve_name(group_number);
    BIGNUM *half = BN_new();
    if (signature && group && half && BN_rshift1(half, EC_GROUP_get0_order(group)) == 1) {
        int ok = 1;
        if (BN_cmp(ECDSA_SIG_get0_s(signature), half) > 0) {
            BIGNUM *r = BN_dup(ECDSA_SIG_get0_r(signature)), *s = BN_new();
            ok = r && s && BN_sub(s, EC_GROUP_get0_order(group), ECDSA_SIG_get0_s(signature)) == 1 && ECDSA_SIG_set0(signature, r, s) == 1;
            if (!ok) {
                BN_free(r);
                BN_free(s);
            }
        }
        uint8_t *to = out;
        int needed = ok ? i2d_ECDSA_SIG(signature, NULL) : 0;
        if (needed > 0 && (size_t)needed <= capacity) written = i2d_ECDSA_SIG(signature, &to);
    }
    BN_free(half);
    EC_GROUP_free(group);
    ECDSA_SIG_free(signature);
    return written > 0 ? (size_t)written : 0;
}
