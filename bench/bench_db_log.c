/* SPDX-License-Identifier: Apache-2.0 */
/* What the provenance log costs: events without a log and with one, numbered as the node does it,
 * in processor time of this program and of a private PostgreSQL. */
#include "base/clock.h"
#include "base/file.h"
#include "db/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define BATCH   64U /* events of a transaction */
#define BATCHES 800U
#define NUMBER  1024U /* leaves of a transaction */

static struct ds_error err;

struct cost {
    double own_s, server_s, wall_s;
};

static double cpu_s(int who)
{
    struct rusage u;
    (void)getrusage(who, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

struct growth {
    struct provenance_tree tree;
    struct db_subtree subtrees[NUMBER / 256U + 8U];
    size_t count;
};

static enum ds_status keep(void *context, unsigned level, uint64_t index,
                           const uint8_t hash[DS_SHA256_BYTES], struct ds_error *e)
{
    struct growth *g = context;
    (void)e;
    g->subtrees[g->count] = (struct db_subtree){.level = level, .index = index};
    memcpy(g->subtrees[g->count++].hash, hash, DS_SHA256_BYTES);
    return DS_OK;
}

static enum ds_status number_all(struct db *d, struct db_book *book, const uint8_t *log,
                                 struct growth *g)
{
    static struct db_leaf leaves[NUMBER];
    const size_t count = db_book_look(book, leaves, NUMBER);
    const uint64_t first = g->tree.size;
    enum ds_status s = DS_OK;
    g->count = 0;
    for (size_t i = 0; s == DS_OK && i < count; i++) {
        s = provenance_tree_append(&g->tree, leaves[i].hash, keep, g, &err);
    }
    s = s == DS_OK ? db_leaves_add(d, log, first, leaves, count, g->subtrees, g->count, &err) : s;
    if (s == DS_OK) {
        db_book_done(book, count);
    }
    return s;
}

static void fill(struct db_event *events, unsigned batch)
{
    for (unsigned i = 0; i < BATCH; i++) {
        events[i] = (struct db_event){
            .kind = "sent",
            .actor = "node",
            .instance_id = (int64_t)batch * BATCH + i + 1,
            .study_id = 1 + batch,
            .sop_uid = "1.2.840.113619.2.55.3.2831868886.123.1234567890.1.1",
            .study_uid = "1.2.840.113619.2.55.3.2831868886.123.1234567890",
            .peer = "CLINIC_B",
            .outcome = "sent",
            .has_before = true,
            .has_after = true,
            .detail = "{\"delivery\":123456,\"peer\":\"CLINIC_B\",\"attempt\":1,\"dimse_status\":0,"
                      "\"cause\":\"\",\"sop_uid\":\"2.25.333333333333333333333333333333333333\"}"};
        memset(events[i].before, (int)i, DS_SHA256_BYTES);
        memset(events[i].after, (int)batch, DS_SHA256_BYTES);
    }
}

static enum ds_status write_events(struct db *d, struct db_book *book, const uint8_t *log,
                                   unsigned batches)
{
    static struct db_event events[BATCH];
    static struct growth growth;
    enum ds_status s = DS_OK;
    memset(&growth, 0, sizeof(growth));
    for (unsigned b = 0; s == DS_OK && b < batches; b++) {
        fill(events, b);
        s = db_event_add(d, events, BATCH, &err);
        if (s == DS_OK && book != NULL && db_book_waiting(book) >= NUMBER) {
            s = number_all(d, book, log, &growth);
        }
    }
    return s == DS_OK && book != NULL ? number_all(d, book, log, &growth) : s;
}

/* A PostgreSQL of its own, so that its processor time is told apart. */
static enum ds_status run(bool with_log, unsigned batches, struct cost *out)
{
    char folder[] = "/tmp/dicomstego-bench-log-XXXXXX";
    const uint8_t log[DS_SHA256_BYTES] = {1}, key[DS_SHA256_BYTES] = {2};
    struct db_cluster *cluster = NULL;
    struct db *d = NULL;
    struct db_book *book = NULL;
    char *url = NULL;
    const double children = cpu_s(RUSAGE_CHILDREN);
    enum ds_status s = mkdtemp(folder) == NULL ? DS_EIO : DS_OK;
    s = s == DS_OK ? db_cluster_start(&cluster, folder, &url, &err) : s;
    s = s == DS_OK ? db_open(&d, url, 2, "BENCH", &err) : s;
    s = s == DS_OK ? db_migrate(d, &err) : s;
    if (s == DS_OK && with_log) {
        s = db_book_new(&book, log, key, &err);
        db_set_book(d, book);
        s = s == DS_OK ? db_log_register(d, log, log, sizeof(log), log, sizeof(log), &err) : s;
    }
    const int64_t start = ds_clock_monotonic_us();
    const double own = cpu_s(RUSAGE_SELF);
    s = s == DS_OK ? write_events(d, book, log, batches) : s;
    out->own_s = cpu_s(RUSAGE_SELF) - own;
    out->wall_s = (double)(ds_clock_monotonic_us() - start) / 1e6;
    db_close(d);
    db_cluster_stop(cluster);
    db_book_free(book);
    free(url);
    out->server_s = cpu_s(RUSAGE_CHILDREN) - children;
    return ds_file_remove_tree(folder, NULL) == DS_OK ? s : DS_EIO;
}

static void print(const char *name, const struct cost *c, const struct cost *idle)
{
    const double n = (double)BATCH * BATCHES;
    printf("%-12s %8.0f events/s   %6.1f us own   %6.1f us PostgreSQL an event\n", name,
           n / c->wall_s, 1e6 * c->own_s / n, 1e6 * (c->server_s - idle->server_s) / n);
}

int main(void)
{
    struct cost idle, plain, logged;
    enum ds_status s = run(false, 0, &idle);
    s = s == DS_OK ? run(false, BATCHES, &plain) : s;
    s = s == DS_OK ? run(true, BATCHES, &logged) : s;
    if (s != DS_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    printf("%u transactions of %u events\n", BATCHES, BATCH);
    print("without log", &plain, &idle);
    print("with log", &logged, &idle);
    const double more = logged.own_s + logged.server_s - plain.own_s - plain.server_s;
    printf("the log      %6.1f us of processor time an event\n",
           1e6 * more / ((double)BATCH * BATCHES));
    return 0;
}
