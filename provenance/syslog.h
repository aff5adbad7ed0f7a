/* SPDX-License-Identifier: Apache-2.0 */
/*
 * syslog - messages to a collector by syslog (RFC 5424) over TLS (RFC 5425), and nothing else.
 *
 * Syslog has no answer. What syslog_end proves is this: our close_notify follows the last message
 * in the stream, and the collector's end comes after it has read ours. A process that ends, or
 * closes, with bytes of ours unread makes its kernel send a reset instead (RFC 2525, 2.17), which
 * is a failure here. So DS_OK means that the collector's process has read every message; what it
 * keeps in memory and loses when it is killed, no sender can know.
 *
 * Both sides show certificates. The collector is recognised by the very certificate that is
 * configured, or by one that the configured one has issued for its host name or address.
 * One thread a link.
 */
#ifndef DICOMSTEGO_PROVENANCE_SYSLOG_H
#define DICOMSTEGO_PROVENANCE_SYSLOG_H

#include "base/bytes.h"

struct syslog_target {
    const char *host;
    uint16_t port;
    const char *trusted;           /* PEM file: the collector's certificate, or its issuers' */
    const char *key, *certificate; /* PEM files: ours */
    unsigned timeout_ms;           /* of each step: connecting, a write, the wait for the end */
};

struct syslog_link;
/* DS_EIO: cannot be reached; DS_EAUTH: it is not who is meant, or does not take us; DS_ECONFIG: a
 * file cannot be used. */
DS_CHECKED enum ds_status syslog_open(struct syslog_link **out, const struct syslog_target *target,
                                      struct ds_error *err);
/* One message, with its length before it (RFC 5425 4.3). DS_EIO. */
DS_CHECKED enum ds_status syslog_write(struct syslog_link *l, const uint8_t *message, size_t len,
                                       struct ds_error *err);
/* Says that this was all, and waits until the collector has read it. DS_EIO: that is not known. */
DS_CHECKED enum ds_status syslog_end(struct syslog_link *l, struct ds_error *err);
void syslog_free(struct syslog_link *l); /* NULL is fine */

/* What stands before the text. Characters that RFC 5424 6 does not allow become '_'; NULL is "-".
 */
struct syslog_header {
    unsigned facility, severity;
    int64_t at_us; /* UTC */
    const char *host, *application, *process, *message_id;
};
/* Appends header and text, with the byte order mark that says UTF-8. */
DS_CHECKED enum ds_status syslog_format(const struct syslog_header *h, const uint8_t *text,
                                        size_t len, struct ds_bytes *out, struct ds_error *err);

#endif
