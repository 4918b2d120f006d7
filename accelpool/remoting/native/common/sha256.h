/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 (FIPS 180-4) and HMAC-SHA256 (RFC 2104): enough for a session inside the machine, which starts no TLS library. */
#ifndef ACCELPOOL_SHA256_H
#define ACCELPOOL_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_SIZE 32u
#define SHA256_BLOCK 64u

struct sha256 {
    uint32_t state[8];
    uint64_t length; /* bytes so far */
    uint8_t block[SHA256_BLOCK];
};

void sha256_start(struct sha256 *hash);
void sha256_add(struct sha256 *hash, const void *data, size_t length);
void sha256_end(struct sha256 *hash, uint8_t digest[SHA256_SIZE]);
void sha256(const void *data, size_t length, uint8_t digest[SHA256_SIZE]);

/* HMAC over the parts, one after the other. */
struct hmac_part {
    const void *data;
    size_t length;
};
void hmac_sha256(const uint8_t *key, size_t key_length, const struct hmac_part *parts, size_t count,
                 uint8_t mac[SHA256_SIZE]);

/* 1 when equal; takes the same time wherever they differ. */
int equal_in_constant_time(const void *a, const void *b, size_t length);

#endif
