/* SPDX-License-Identifier: Apache-2.0 */
#include "node/headfile.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_BYTES (256U + 2U * DB_SIGNATURE_BYTES)
#define EDGE_BYTES (LINE_BYTES + PROVENANCE_TREE_LEVELS * 2U * DS_SHA256_BYTES)
#define ID_DIGITS  16

struct headfile {
    uint8_t log[DS_SHA256_BYTES];
    char *heads, *edge; /* paths */
};

struct headfile_reader {
    FILE *file;
    uint8_t log[DS_SHA256_BYTES];
    char line[LINE_BYTES];
};

/* ---- a line ---- */

static void line_of(const struct db_head *h, char out[LINE_BYTES])
{
    char root[DS_SHA256_HEX_BYTES], signature[2 * DB_SIGNATURE_BYTES + 1];
    ds_hex(h->head.root, sizeof(h->head.root), root);
    ds_hex(h->signature, h->signature_len, signature);
    (void)snprintf(out, LINE_BYTES, "%" PRIu64 " %" PRId64 " %s %s\n", h->head.size, h->head.at_us,
                   root, signature);
}

/* The next word, ended in place; NULL: no more. */
static char *word(char **at)
{
    char *begin = *at;
    const size_t len = strcspn(begin, " \n");
    if (len == 0) {
        return NULL;
    }
    *at = begin + len + (begin[len] != '\0');
    begin[len] = '\0';
    return begin;
}

static bool parse_number(const char *text, int64_t *out)
{
    char *end = NULL;
    errno = 0;
    *out = text == NULL ? 0 : strtoll(text, &end, 10);
    return text != NULL && end != text && *end == '\0' && errno == 0;
}

static bool parse_hash(const char *text, uint8_t out[DS_SHA256_BYTES])
{
    return text != NULL && strlen(text) == 2U * DS_SHA256_BYTES &&
           ds_unhex(text, out, DS_SHA256_BYTES);
}

static bool parse_line(char **at, const uint8_t *log, struct db_head *out)
{
    int64_t size = 0;
    memset(out, 0, sizeof(*out));
    memcpy(out->head.log, log, DS_SHA256_BYTES);
    if (!parse_number(word(at), &size) || size <= 0 || !parse_number(word(at), &out->head.at_us) ||
        !parse_hash(word(at), out->head.root)) {
        return false;
    }
    out->head.size = (uint64_t)size;
    const char *signature = word(at);
    const size_t digits = signature == NULL ? 0 : strlen(signature);
    out->signature_len = digits / 2;
    return digits > 0 && digits % 2 == 0 && out->signature_len <= sizeof(out->signature) &&
           ds_unhex(signature, out->signature, out->signature_len);
}

/* ---- life ---- */

static enum ds_status set_paths(struct headfile *f, const char *folder, struct ds_error *err)
{
    char id[DS_SHA256_HEX_BYTES], name[64];
    ds_hex(f->log, sizeof(f->log), id);
    (void)snprintf(name, sizeof(name), "heads-%.*s", ID_DIGITS, id);
    f->heads = ds_file_join(folder, name);
    (void)snprintf(name, sizeof(name), "edge-%.*s", ID_DIGITS, id);
    f->edge = ds_file_join(folder, name);
    return f->heads != NULL && f->edge != NULL ? DS_OK : ds_fail(err, DS_ENOMEM, "out of memory");
}

enum ds_status headfile_open(struct headfile **out, const char *folder,
                             const uint8_t log[DS_SHA256_BYTES], struct ds_error *err)
{
    *out = NULL;
    enum ds_status s = ds_file_make_folders(folder, 0700, err);
    if (s != DS_OK) {
        return s;
    }
    struct headfile *f = calloc(1, sizeof(*f));
    if (f == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    memcpy(f->log, log, DS_SHA256_BYTES);
    s = set_paths(f, folder, err);
    if (s != DS_OK) {
        headfile_close(f);
        return s;
    }
    *out = f;
    return DS_OK;
}

void headfile_close(struct headfile *f)
{
    if (f != NULL) {
        free(f->heads);
        free(f->edge);
        free(f);
    }
}

/* ---- the edge ---- */

static bool parse_edge(char *at, const uint8_t *log, struct db_head *head,
                       struct provenance_tree *tree)
{
    if (!parse_line(&at, log, head)) {
        return false;
    }
    tree->size = head->head.size;
    for (unsigned level = 0; level < PROVENANCE_TREE_LEVELS; level++) {
        if ((tree->size >> level & 1U) != 0 && !parse_hash(word(&at), tree->edge[level])) {
            return false;
        }
    }
    return *at == '\0';
}

enum ds_status headfile_last(const struct headfile *f, struct db_head *head,
                             struct provenance_tree *tree, struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes text = DS_BYTES_INIT(EDGE_BYTES);
    uint8_t root[DS_SHA256_BYTES];
    memset(tree, 0, sizeof(*tree));
    memset(head, 0, sizeof(*head));
    enum ds_status s = ds_file_read(f->edge, &text, err);
    if (s == DS_OK) {
        s = ds_bytes_put_u8(&text, 0, err);
    }
    if (s != DS_OK) {
        return s == DS_EFORMAT ? DS_EAUTH : s;
    }
    if (!parse_edge((char *)text.data, f->log, head, tree)) {
        return ds_fail(err, DS_EAUTH, "%s is not as it was written", f->edge);
    }
    s = provenance_tree_root(tree, root, err);
    if (s == DS_OK && memcmp(root, head->head.root, sizeof(root)) != 0) {
        s = ds_fail(err, DS_EAUTH, "%s is not as it was written", f->edge);
    }
    return s;
}

static enum ds_status write_edge(const struct headfile *f, const char *line,
                                 const struct provenance_tree *tree, struct ds_error *err)
{
    char text[EDGE_BYTES];
    size_t len = strlen(line);
    memcpy(text, line, len);
    for (unsigned level = 0; level < PROVENANCE_TREE_LEVELS; level++) {
        if ((tree->size >> level & 1U) != 0) {
            ds_hex(tree->edge[level], DS_SHA256_BYTES, text + len);
            len += 2U * DS_SHA256_BYTES;
            text[len++] = '\n';
        }
    }
    return ds_file_write(f->edge, text, len, DS_FILE_REPLACE, 0600, err);
}

/* ---- the heads ---- */

/* A line that a crash cut off would swallow the next: it is ended first. */
static bool ends_in_line(int fd)
{
    char last = '\n';
    const off_t size = lseek(fd, 0, SEEK_END);
    return size <= 0 || (pread(fd, &last, 1, size - 1) == 1 && last == '\n');
}

enum ds_status headfile_add(struct headfile *f, const struct db_head *head,
                            const struct provenance_tree *tree, struct ds_error *err)
{
    char line[LINE_BYTES];
    line_of(head, line);
    const enum ds_status s = write_edge(f, line, tree, err);
    if (s != DS_OK) {
        return s;
    }
    DS_AUTO(ds_file_close) int fd = open(f->heads, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    const size_t len = strlen(line);
    if (fd < 0 || (!ends_in_line(fd) && write(fd, "\n", 1) != 1) ||
        write(fd, line, len) != (ssize_t)len || fdatasync(fd) != 0) {
        return ds_fail(err, DS_EIO, "unable to write '%s': %s", f->heads, strerror(errno));
    }
    return DS_OK;
}

enum ds_status headfile_read(const struct headfile *f, struct headfile_reader **out,
                             struct ds_error *err)
{
    *out = calloc(1, sizeof(**out));
    if (*out == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    memcpy((*out)->log, f->log, DS_SHA256_BYTES);
    (*out)->file = fopen(f->heads, "re");
    if ((*out)->file == NULL && errno != ENOENT) {
        headfile_reader_free(*out);
        *out = NULL;
        return ds_fail(err, DS_EIO, "unable to read '%s': %s", f->heads, strerror(errno));
    }
    return DS_OK;
}

bool headfile_next(struct headfile_reader *r, struct db_head *out, bool *damaged)
{
    while (r->file != NULL && fgets(r->line, sizeof(r->line), r->file) != NULL) {
        char *at = r->line;
        if (parse_line(&at, r->log, out)) {
            return true;
        }
        *damaged = true; /* a crash, or somebody's hand: the head is missed here */
    }
    return false;
}

void headfile_reader_free(struct headfile_reader *r)
{
    if (r != NULL) {
        if (r->file != NULL) {
            (void)fclose(r->file);
        }
        free(r);
    }
}
