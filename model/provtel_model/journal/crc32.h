/* CRC-32 as zlib computes it, eight bytes at a step; for the C modules that write and read frames. */

#ifndef PROVTEL_CRC32_H
#define PROVTEL_CRC32_H

#include <stddef.h>
#include <stdint.h>

static uint32_t crc32_tables[8][256];

/* Fills the tables; a module calls it once, when it is loaded. */
static void
crc32_prepare(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ (0xEDB88320u & (0u - (crc & 1)));
        }
        crc32_tables[0][byte] = crc;
    }
    for (int row = 1; row < 8; row++) {
        for (int byte = 0; byte < 256; byte++) {
            uint32_t crc = crc32_tables[row - 1][byte];
            crc32_tables[row][byte] = (crc >> 8) ^ crc32_tables[0][crc & 0xFF];
        }
    }
}

static uint32_t
crc32_of(const unsigned char *data, size_t size)
{
    uint32_t crc = 0xFFFFFFFFu;
    for (; size >= 8; data += 8, size -= 8) {
        uint32_t low = crc ^ ((uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16
                              | (uint32_t)data[3] << 24);
        crc = crc32_tables[7][low & 0xFF] ^ crc32_tables[6][low >> 8 & 0xFF] ^ crc32_tables[5][low >> 16 & 0xFF]
              ^ crc32_tables[4][low >> 24] ^ crc32_tables[3][data[4]] ^ crc32_tables[2][data[5]]
              ^ crc32_tables[1][data[6]] ^ crc32_tables[0][data[7]];
    }
    for (; size; size--) {
        crc = (crc >> 8) ^ crc32_tables[0][(crc ^ *data++) & 0xFF];
    }
    return ~crc;
}

#endif
