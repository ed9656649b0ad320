/* The digest of a scalar as keys of data have it; SHA-256 is FIPS 180-4's. */

#ifndef PROVTEL_DIGEST_H
#define PROVTEL_DIGEST_H

#include <Python.h>

#include <float.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__)
#include <cpuid.h>
#include <immintrin.h>
#endif

enum { BLOCK = 64, DIGEST = 32, MIN_CANONICAL_SIZE = 16, UNTELLING_DIGITS = 5, LONGEST_HEAD = 32 };

static const char DOMAIN[] = "provtel.value.1"; /* with the zero byte at its end */

static const uint32_t K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

typedef struct {
    uint32_t state[8];
    uint8_t block[BLOCK];
    size_t filled;
    uint64_t length;
} Sha256;

/* What a scalar is digested of. */
typedef struct {
    char head[LONGEST_HEAD];
    size_t head_size;
    const char *rest;
    Py_ssize_t rest_size;
} Scalar;

static inline uint32_t rotated(uint32_t value, int bits)
{
    return value >> bits | value << (32 - bits);
}

#if defined(__x86_64__) && defined(__GNUC__)
static bool has_sha_instructions(void)
{
    unsigned a, b, c, d;
    bool has_shuffles = __get_cpuid(1, &a, &b, &c, &d) && (c & bit_SSSE3) && (c & bit_SSE4_1);
    return has_shuffles && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & 1u << 29);
}

/* Four rounds at a time, with the instructions of the processor, which has the state in an order of its own. */
__attribute__((target("sha,sse4.1,ssse3"))) static void sha_compress_by_instructions(Sha256 *sha)
{
    const __m128i in_bytes = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    __m128i *state = (__m128i *)sha->state;
    __m128i words[4];
    for (int i = 0; i < 4; i++) {
        words[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)sha->block + i), in_bytes);
    }
    __m128i dcba = _mm_shuffle_epi32(_mm_loadu_si128(state), 0xB1), hgfe = _mm_shuffle_epi32(_mm_loadu_si128(state + 1), 0x1B);
    __m128i abef = _mm_alignr_epi8(dcba, hgfe, 8), cdgh = _mm_blend_epi16(hgfe, dcba, 0xF0);
    const __m128i abef_before = abef, cdgh_before = cdgh;
    for (int i = 0; i < 16; i++) {
        __m128i sums = _mm_add_epi32(words[0], _mm_loadu_si128((const __m128i *)K + i));
        cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sums);
        abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sums, 0x0E));
        __m128i next = _mm_add_epi32(_mm_sha256msg1_epu32(words[0], words[1]), _mm_alignr_epi8(words[3], words[2], 4));
        next = _mm_sha256msg2_epu32(next, words[3]);
        words[0] = words[1];
        words[1] = words[2];
        words[2] = words[3];
        words[3] = next;
    }
    abef = _mm_add_epi32(abef, abef_before);
    cdgh = _mm_add_epi32(cdgh, cdgh_before);
    __m128i feba = _mm_shuffle_epi32(abef, 0x1B), dchg = _mm_shuffle_epi32(cdgh, 0xB1);
    _mm_storeu_si128(state, _mm_blend_epi16(feba, dchg, 0xF0));
    _mm_storeu_si128(state + 1, _mm_alignr_epi8(dchg, feba, 8));
}
#else
static bool has_sha_instructions(void)
{
    return false;
}

static void sha_compress_by_instructions(Sha256 *sha)
{
    (void)sha;
}
#endif

static int are_instructions_used = -1; /* not known yet */

static void sha_compress_in_c(Sha256 *sha)
{
    uint32_t w[64];
    for (int i = 0; i < 16; i++) {
        const uint8_t *at = sha->block + 4 * i;
        w[i] = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
    }
    for (int i = 16; i < 64; i++) {
        uint32_t low = rotated(w[i - 15], 7) ^ rotated(w[i - 15], 18) ^ w[i - 15] >> 3;
        uint32_t high = rotated(w[i - 2], 17) ^ rotated(w[i - 2], 19) ^ w[i - 2] >> 10;
        w[i] = w[i - 16] + low + w[i - 7] + high;
    }
    uint32_t a = sha->state[0], b = sha->state[1], c = sha->state[2], d = sha->state[3];
    uint32_t e = sha->state[4], f = sha->state[5], g = sha->state[6], h = sha->state[7];
    for (int i = 0; i < 64; i++) {
        uint32_t one = h + (rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25)) + ((e & f) ^ (~e & g)) + K[i] + w[i];
        uint32_t two = (rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
        h = g;
        g = f;
        f = e;
        e = d + one;
        d = c;
        c = b;
        b = a;
        a = one + two;
    }
    const uint32_t changed[8] = {a, b, c, d, e, f, g, h};
    for (int i = 0; i < 8; i++) {
        sha->state[i] += changed[i];
    }
}

static void sha_compress(Sha256 *sha)
{
    if (are_instructions_used < 0) {
        are_instructions_used = has_sha_instructions();
    }
    if (are_instructions_used) {
        sha_compress_by_instructions(sha);
    } else {
        sha_compress_in_c(sha);
    }
    sha->filled = 0;
}

static void sha_put(Sha256 *sha, const void *content, size_t size)
{
    const uint8_t *from = content;
    sha->length += size;
    while (size) {
        size_t part = BLOCK - sha->filled < size ? BLOCK - sha->filled : size;
        memcpy(sha->block + sha->filled, from, part);
        sha->filled += part;
        from += part;
        size -= part;
        if (sha->filled == BLOCK) {
            sha_compress(sha);
        }
    }
}

static void sha_finish(Sha256 *sha, uint8_t *digest)
{
    uint64_t bits = sha->length * 8;
    uint8_t end[BLOCK + 8] = {0x80};
    size_t zeros = (sha->filled < BLOCK - 8 ? BLOCK - 8 : 2 * BLOCK - 8) - sha->filled;
    for (int i = 0; i < 8; i++) {
        end[zeros + i] = (uint8_t)(bits >> (56 - 8 * i));
    }
    sha_put(sha, end, zeros + 8);
    for (int i = 0; i < DIGEST; i++) {
        digest[i] = (uint8_t)(sha->state[i / 4] >> (24 - 8 * (i % 4)));
    }
}

/* Whether five significant digits are all of a number, found without its text: then it is the one nearest to some `m`
 * of at most five digits times a power of ten. That power and `m` are exact, so that one operation rounds as reading the
 * text would. 1, 0, or -1 where a number is too small or too large for that. */
static int has_five_digits(double value)
{
    static const double POWERS[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18};
    double size = value < 0 ? -value : value;
    if (FLT_EVAL_METHOD != 0 || !(size >= 1e-12 && size < 1e18)) {
        return -1;
    }
    int power = 0;
    if (size >= 1e5) {
        while (size >= 1e5 * POWERS[power]) {
            power++;
        }
        double digits = (double)(int64_t)(size / POWERS[power] + 0.5);
        return digits * POWERS[power] == size;
    }
    while (size * POWERS[power] < 1e4) {
        power++;
    }
    double digits = (double)(int64_t)(size * POWERS[power] + 0.5);
    return digits / POWERS[power] == size;
}

/* Whether five significant digits do not tell a number from all others; 1, 0, or -1 with an error. */
static int is_distinctive(double value)
{
    if (value != value) {
        return 0;
    }
    int has_five = has_five_digits(value);
    if (has_five >= 0) {
        return !has_five;
    }
    char *text = PyOS_double_to_string(value, 'g', UNTELLING_DIGITS, 0, NULL);
    if (text == NULL) {
        return -1;
    }
    double back = PyOS_string_to_double(text, NULL, NULL);
    PyMem_Free(text);
    if (back == -1.0 && PyErr_Occurred()) {
        return -1;
    }
    return back != value;
}

static size_t float_head(double value, char *head)
{
    if (value != value) {
        memcpy(head, "d\x7f\xf8\0\0\0\0\0\0", 9);
        return 9;
    }
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    head[0] = 'd';
    for (int i = 0; i < 8; i++) {
        head[1 + i] = (char)(bits >> (56 - 8 * i));
    }
    return 9;
}

/* Write a letter, a number in decimal and how it ends; return how long that is. A printf takes several times as long. */
static size_t head_of_number(char *head, char letter, long long number, char end)
{
    char digits[LONGEST_HEAD];
    size_t count = 0, size = 0;
    unsigned long long left = number < 0 ? 0 - (unsigned long long)number : (unsigned long long)number;
    do {
        digits[count++] = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    head[size++] = letter;
    if (number < 0) {
        head[size++] = '-';
    }
    while (count > 0) {
        head[size++] = digits[--count];
    }
    head[size++] = end;
    return size;
}

/* Say what is digested of a scalar; 1, 0 where Python is to do it, or -1 with an error. */
static int scalar_parts(PyObject *value, Scalar *scalar)
{
    scalar->rest = NULL;
    scalar->rest_size = 0;
    if (PyFloat_CheckExact(value)) {
        scalar->head_size = float_head(PyFloat_AS_DOUBLE(value), scalar->head);
        return 1;
    }
    bool is_text = PyUnicode_CheckExact(value);
    if (is_text || PyBytes_CheckExact(value)) {
        if (is_text) {
            scalar->rest = PyUnicode_AsUTF8AndSize(value, &scalar->rest_size);
            if (scalar->rest == NULL) {
                return -1;
            }
        } else {
            scalar->rest = PyBytes_AS_STRING(value);
            scalar->rest_size = PyBytes_GET_SIZE(value);
        }
        long long size = scalar->rest_size;
        scalar->head_size = head_of_number(scalar->head, is_text ? 's' : 'b', size, ':');
        return 1;
    }
    if (PyLong_CheckExact(value)) {
        int overflow;
        long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
        scalar->head_size = head_of_number(scalar->head, 'i', number, ';');
        return !overflow;
    }
    scalar->head[0] = value == Py_None ? 'n' : value == Py_True ? 't' : 'f';
    scalar->head_size = 1;
    return PyBool_Check(value) || value == Py_None;
}

/* Put the digest of a scalar, and whether it tells; returns 1, 0 where Python is to do it, or -1 with an error. */
static int digest_of_scalar(PyObject *value, uint8_t *digest, bool *is_telling)
{
    Scalar scalar;
    int found = scalar_parts(value, &scalar);
    if (found <= 0) {
        return found;
    }
    Sha256 sha = {
        .state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19},
    };
    sha_put(&sha, DOMAIN, sizeof DOMAIN);
    sha_put(&sha, scalar.head, scalar.head_size);
    sha_put(&sha, scalar.rest, (size_t)scalar.rest_size);
    sha_finish(&sha, digest);
    if (PyFloat_CheckExact(value)) {
        found = is_distinctive(PyFloat_AS_DOUBLE(value));
        *is_telling = found > 0;
        return found < 0 ? -1 : 1;
    }
    *is_telling = scalar.head_size + (size_t)scalar.rest_size >= MIN_CANONICAL_SIZE;
    return 1;
}

#endif
