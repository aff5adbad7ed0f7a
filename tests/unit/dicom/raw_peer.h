/* SPDX-License-Identifier: Apache-2.0 */
/*
 * raw_peer - a requestor that speaks the upper layer by hand, so that it can break its rules.
 */
#ifndef DICOMSTEGO_TESTS_RAW_PEER_H
#define DICOMSTEGO_TESTS_RAW_PEER_H

#include "base/bytes.h"
#include "tests/unit/dicom/programs.h"

#define RAW_CT       "1.2.840.10008.5.1.4.1.1.2"
#define RAW_MR       "1.2.840.10008.5.1.4.1.1.4"
#define RAW_EXPLICIT "1.2.840.10008.1.2.1"

static inline void raw_must(enum ds_status s)
{
    if (s != DS_OK) {
        abort();
    }
}

static inline void raw_item(struct ds_bytes *b, uint8_t type, const void *data, size_t len)
{
    raw_must(ds_bytes_put_be(b, (uint64_t)type << 8, 2, NULL));
    raw_must(ds_bytes_put_be(b, len, 2, NULL));
    raw_must(ds_bytes_append(b, data, len, NULL));
}

/* A-ASSOCIATE-RQ with one context (PS3.8 9.3.2); both titles have 16 characters. */
static inline void raw_request(struct ds_bytes *out, const char *called, const char *calling,
                               const char *sop_class, const char *syntax)
{
    struct ds_bytes rest = DS_BYTES_INIT(4096);
    struct ds_bytes item = DS_BYTES_INIT(4096);
    raw_must(ds_bytes_put_be(&rest, 0x00010000, 4, NULL));
    raw_must(ds_bytes_append(&rest, called, 16, NULL));
    raw_must(ds_bytes_append(&rest, calling, 16, NULL));
    raw_must(ds_bytes_resize(&rest, rest.len + 32, NULL));
    const char *app = "1.2.840.10008.3.1.1.1";
    raw_item(&rest, 0x10, app, strlen(app));
    raw_must(ds_bytes_put_be(&item, 0x01000000, 4, NULL));
    raw_item(&item, 0x30, sop_class, strlen(sop_class));
    raw_item(&item, 0x40, syntax, strlen(syntax));
    raw_item(&rest, 0x20, item.data, item.len);
    static const uint8_t user[] = {0x51, 0, 0, 4, 0, 0, 0x40, 0, 0x52, 0, 0, 3, '1', '.', '2'};
    raw_item(&rest, 0x50, user, sizeof(user));
    raw_must(ds_bytes_put_be(out, 0x0100, 2, NULL));
    raw_must(ds_bytes_put_be(out, rest.len, 4, NULL));
    raw_must(ds_bytes_append(out, rest.data, rest.len, NULL));
    ds_bytes_free(&item);
    ds_bytes_free(&rest);
}

static inline bool raw_send(int fd, const void *data, size_t len)
{
    return send(fd, data, len, MSG_NOSIGNAL) == (ssize_t)len;
}

/* Reads one PDU; answers its type, or 0 when the connection ended. The body is in *out. */
static inline uint8_t raw_receive(int fd, struct ds_bytes *out)
{
    uint8_t head[6];
    if (recv(fd, head, sizeof(head), MSG_WAITALL) != (ssize_t)sizeof(head)) {
        return 0;
    }
    struct ds_cursor c = ds_cursor_over(head + 2, 4);
    const size_t len = (size_t)ds_cursor_be(&c, 4);
    raw_must(ds_bytes_resize(out, len, NULL));
    if (recv(fd, out->data, len, MSG_WAITALL) != (ssize_t)len) {
        return 0;
    }
    return head[0];
}

/* Connects and negotiates; -1 when not accepted. */
static inline int raw_associate(uint16_t port, const char *sop_class, const char *syntax)
{
    struct ds_bytes pdu = DS_BYTES_INIT(65536);
    const int fd = connect_to(port);
    raw_request(&pdu, "NODE            ", "RAWPEER         ", sop_class, syntax);
    const bool sent = fd >= 0 && raw_send(fd, pdu.data, pdu.len);
    const bool accepted = sent && raw_receive(fd, &pdu) == 0x02;
    ds_bytes_free(&pdu);
    if (!accepted && fd >= 0) {
        (void)close(fd);
    }
    return accepted ? fd : -1;
}

static inline void raw_element(struct ds_bytes *b, uint16_t element, const void *v, size_t len)
{
    raw_must(ds_bytes_put_le(b, 0, 2, NULL));
    raw_must(ds_bytes_put_le(b, element, 2, NULL));
    raw_must(ds_bytes_put_le(b, len + len % 2, 4, NULL));
    raw_must(ds_bytes_append(b, v, len, NULL));
    raw_must(ds_bytes_resize(b, b->len + len % 2, NULL));
}

static inline bool raw_pdata(int fd, uint8_t control, const void *data, size_t len, size_t claimed)
{
    struct ds_bytes pdu = DS_BYTES_INIT(1U << 20);
    raw_must(ds_bytes_put_be(&pdu, 0x0400, 2, NULL));
    raw_must(ds_bytes_put_be(&pdu, claimed + 6, 4, NULL));
    raw_must(ds_bytes_put_be(&pdu, claimed + 2, 4, NULL));
    raw_must(ds_bytes_put_u8(&pdu, 1, NULL));
    raw_must(ds_bytes_put_u8(&pdu, control, NULL));
    raw_must(ds_bytes_append(&pdu, data, len, NULL));
    const bool ok = raw_send(fd, pdu.data, pdu.len);
    ds_bytes_free(&pdu);
    return ok;
}

/* Any request, or a response, for context 1; field: its two bytes. */
static inline bool raw_command(int fd, const char *field, const char *sop_class,
                               const char *instance, bool data_set)
{
    struct ds_bytes rest = DS_BYTES_INIT(1024);
    struct ds_bytes all = DS_BYTES_INIT(1024);
    raw_element(&rest, 0x0002, sop_class, strlen(sop_class));
    raw_element(&rest, 0x0100, field, 2);
    raw_element(&rest, 0x0110, "\7\0", 2);
    raw_element(&rest, 0x0700, "\0\0", 2);
    raw_element(&rest, 0x0800, data_set ? "\1\0" : "\1\1", 2);
    if ((field[1] & 0x80) != 0) {
        raw_element(&rest, 0x0120, "\7\0", 2);
        raw_element(&rest, 0x0900, "\0\0", 2);
    }
    raw_element(&rest, 0x1000, instance, strlen(instance));
    const uint8_t len[4] = {(uint8_t)rest.len, (uint8_t)(rest.len >> 8), 0, 0};
    raw_element(&all, 0x0000, len, 4);
    raw_must(ds_bytes_append(&all, rest.data, rest.len, NULL));
    const bool ok = raw_pdata(fd, 0x03, all.data, all.len, all.len);
    ds_bytes_free(&rest);
    ds_bytes_free(&all);
    return ok;
}

static inline bool raw_store_command(int fd, const char *sop_class, const char *instance)
{
    return raw_command(fd, "\1\0", sop_class, instance, true);
}

/* The status of the next response, or -1. */
static inline int raw_status(int fd)
{
    struct ds_bytes pdu = DS_BYTES_INIT(65536);
    int status = -1;
    if (raw_receive(fd, &pdu) == 0x04) {
        struct ds_cursor c = ds_cursor_over(pdu.data, pdu.len);
        (void)ds_cursor_bytes(&c, 6);
        while (ds_cursor_left(&c) >= 8) {
            (void)ds_cursor_le(&c, 2);
            const uint64_t element = ds_cursor_le(&c, 2);
            const size_t len = (size_t)ds_cursor_le(&c, 4);
            if (element == 0x0900) {
                status = (int)ds_cursor_le(&c, 2);
                break;
            }
            (void)ds_cursor_bytes(&c, len);
        }
    }
    ds_bytes_free(&pdu);
    return status;
}

#endif
