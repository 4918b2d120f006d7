/* SPDX-License-Identifier: Apache-2.0 */
/* Test vectors of FIPS 180-4 (SHA-256) and RFC 4231 (HMAC), and every split of a message into two parts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sha256.h"

static void expect(const uint8_t digest[SHA256_SIZE], const char *hex)
{
    char text[2 * SHA256_SIZE + 1];

    for (unsigned i = 0; i < SHA256_SIZE; i++)
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
    if (strcmp(text, hex)) {
        fprintf(stderr, "expected %s, found %s\n", hex, text);
        exit(1);
    }
}

int main(void)
{
    static uint8_t million[1000000], digest[SHA256_SIZE], whole[SHA256_SIZE];
    uint8_t key[131];

    sha256("", 0, digest);
    expect(digest, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    sha256("abc", 3, digest);
    expect(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    memset(million, 'a', sizeof million);
    sha256(million, sizeof million, digest);
    expect(digest, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");

    for (size_t length = 0; length < 200; length++) {
        sha256(million, length, whole);
        for (size_t first = 0; first <= length; first++) {
            struct sha256 hash;

            sha256_start(&hash);
            sha256_add(&hash, million, first);
            sha256_add(&hash, million, length - first);
            sha256_end(&hash, digest);
            if (!equal_in_constant_time(digest, whole, SHA256_SIZE))
                return 1;
        }
    }
    struct hmac_part parts[] = {{"what do ya want ", 16}, {"for nothing?", 12}};
    hmac_sha256((const uint8_t *)"Jefe", 4, parts, 2, digest);
    expect(digest, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof key);
    struct hmac_part text = {"Test Using Larger Than Block-Size Key - Hash Key First", 54};
    hmac_sha256(key, sizeof key, &text, 1, digest);
    expect(digest, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    digest[31] ^= 1;
    return equal_in_constant_time(digest, whole, SHA256_SIZE);
}
