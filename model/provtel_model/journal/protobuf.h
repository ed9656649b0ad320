/* Writes protobuf's wire format into memory that grows; whether it did is asked once, at the end. */

#ifndef PROVTEL_PROTOBUF_H
#define PROVTEL_PROTOBUF_H

#include <Python.h>

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    uint8_t *data;
    size_t size, room;
    bool failed; /* there was no memory: what is written from now on is lost */
} Out;

static bool reserve(Out *out, size_t more)
{
    if (out->room - out->size >= more) {
        return true;
    }
    size_t room = 2 * (out->size + more) + 4096;
    uint8_t *data = out->failed ? NULL : PyMem_Realloc(out->data, room);
    if (data == NULL) {
        out->failed = true;
        return false;
    }
    out->data = data;
    out->room = room;
    return true;
}

static void put(Out *out, const void *bytes, size_t size)
{
    if (reserve(out, size)) {
        memcpy(out->data + out->size, bytes, size);
        out->size += size;
    }
}

static void put_byte(Out *out, uint8_t byte)
{
    put(out, &byte, 1);
}

static void put_object(Out *out, PyObject *bytes)
{
    assert(PyBytes_Check(bytes));
    put(out, PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes));
}

static size_t varint(uint8_t bytes[10], uint64_t value)
{
    size_t size = 0;
    for (; value > 0x7f; value >>= 7) {
        bytes[size++] = (uint8_t)(value | 0x80);
    }
    bytes[size++] = (uint8_t)value;
    return size;
}

static void put_varint(Out *out, uint64_t value)
{
    uint8_t bytes[10];
    put(out, bytes, varint(bytes, value));
}

static void put_fixed64(Out *out, uint8_t tag, uint64_t value)
{
    uint8_t bytes[9] = {tag};
    for (int place = 0; place < 8; place++) {
        bytes[place + 1] = (uint8_t)(value >> (8 * place));
    }
    put(out, bytes, sizeof bytes);
}

static void put_double(Out *out, uint8_t tag, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_fixed64(out, tag, bits);
}

/* A span id, as OTLP has it: eight bytes, the most significant first. */
static void put_id(Out *out, uint8_t tag, uint64_t id)
{
    uint8_t bytes[10] = {tag, 8};
    for (int place = 0; place < 8; place++) {
        bytes[place + 2] = (uint8_t)(id >> (56 - 8 * place));
    }
    put(out, bytes, sizeof bytes);
}

static void put_sized(Out *out, uint8_t tag, const uint8_t *bytes, size_t size)
{
    put_byte(out, tag);
    put_varint(out, size);
    put(out, bytes, size);
}

/* Begins a nested message; `finish` puts its length before it, which is one byte for most. */
static size_t begin(Out *out, uint8_t tag)
{
    uint8_t head[2] = {tag, 0};
    put(out, head, sizeof head);
    return out->size;
}

static void finish(Out *out, size_t start)
{
    if (out->failed) {
        return;
    }
    uint8_t bytes[10];
    size_t length = out->size - start, size = varint(bytes, length);
    if (size > 1) {
        if (!reserve(out, size - 1)) {
            return;
        }
        memmove(out->data + start + size - 1, out->data + start, length);
        out->size += size - 1;
    }
    memcpy(out->data + start - 1, bytes, size);
}

#endif
