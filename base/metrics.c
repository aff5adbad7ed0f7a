/* SPDX-License-Identifier: Apache-2.0 */
#include "base/metrics.h"

#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define SERIES_MAX 8192U /* a power of two */
#define BUCKETS    15U   /* the bounds and what is above them */

static const struct ds_metric_family families[DS_METRIC_COUNT] = {
    [DS_METRIC_BUILD_INFO] = {"dicomstego_build_info",
                              "Always 1; the version is in the label",
                              DS_METRIC_GAUGE,
                              {"version"}},
    [DS_METRIC_RECEIVED_INSTANCES] = {"dicomstego_received_instances_total",
                                      "Instances accepted: answered 0000H",
                                      DS_METRIC_COUNTER,
                                      {"calling_ae"}},
    [DS_METRIC_RECEIVED_BYTES] = {"dicomstego_received_bytes_total",
                                  "Bytes of the data sets of accepted instances",
                                  DS_METRIC_COUNTER,
                                  {"calling_ae"}},
    [DS_METRIC_STORE_ANSWERS] = {"dicomstego_store_answers_total",
                                 "C-STORE responses by DIMSE status, four hexadecimal digits",
                                 DS_METRIC_COUNTER,
                                 {"status"}},
    [DS_METRIC_ASSOCIATIONS] = {"dicomstego_associations_total",
                                "Associations accepted",
                                DS_METRIC_COUNTER,
                                {NULL}},
    [DS_METRIC_ASSOCIATIONS_OPEN] = {"dicomstego_associations_open",
                                     "Accepted associations that are open now",
                                     DS_METRIC_GAUGE,
                                     {NULL}},
    [DS_METRIC_ASSOCIATIONS_REFUSED] = {"dicomstego_associations_refused_total",
                                        "Association requests rejected, by reason",
                                        DS_METRIC_COUNTER,
                                        {"reason"}},
    [DS_METRIC_INTAKE_SECONDS] = {"dicomstego_intake_seconds",
                                  "From a C-STORE request to its answer, of accepted instances",
                                  DS_METRIC_HISTOGRAM,
                                  {NULL}},
    [DS_METRIC_SPOOL_FREE] = {"dicomstego_spool_free_bytes",
                              "Free space for the spool",
                              DS_METRIC_GAUGE,
                              {NULL}},
    [DS_METRIC_SPOOL_MIN_FREE] = {"dicomstego_spool_min_free_bytes",
                                  "Below this much free space nothing is accepted",
                                  DS_METRIC_GAUGE,
                                  {NULL}},
    [DS_METRIC_INDEXED] = {"dicomstego_indexed_instances_total",
                           "Instances written to the database",
                           DS_METRIC_COUNTER,
                           {NULL}},
    [DS_METRIC_INDEX_LAG] = {"dicomstego_index_lag_seconds",
                             "How long the oldest accepted instance waits for its row",
                             DS_METRIC_GAUGE,
                             {NULL}},
    [DS_METRIC_STUDIES_COMPLETED] = {"dicomstego_studies_completed_total",
                                     "Generations of studies planned",
                                     DS_METRIC_COUNTER,
                                     {NULL}},
    [DS_METRIC_RECOVERED] = {"dicomstego_recovered_instances_total",
                             "Carriers restored and proven",
                             DS_METRIC_COUNTER,
                             {NULL}},
    [DS_METRIC_REFUSED] = {"dicomstego_refused_instances_total",
                           "Carriers that did not verify",
                           DS_METRIC_COUNTER,
                           {NULL}},
    [DS_METRIC_QUARANTINED] = {"dicomstego_quarantined_instances_total",
                               "Instances and unreadable objects taken out of the flow, by reason",
                               DS_METRIC_COUNTER,
                               {"class"}},
    [DS_METRIC_QUARANTINE_HELD] = {"dicomstego_quarantine_held",
                                   "What is in quarantine and waits for an operator, by reason",
                                   DS_METRIC_GAUGE,
                                   {"class"}},
    [DS_METRIC_DELIVERY_ATTEMPTS] = {"dicomstego_delivery_attempts_total",
                                     "Attempts by outcome: sent, retry, failed",
                                     DS_METRIC_COUNTER,
                                     {"peer", "outcome"}},
    [DS_METRIC_SENT_BYTES] = {"dicomstego_sent_bytes_total",
                              "Bytes of data sets that the peer took",
                              DS_METRIC_COUNTER,
                              {"peer"}},
    [DS_METRIC_SEND_SECONDS] = {"dicomstego_send_seconds",
                                "From the first byte sent to the peer's answer",
                                DS_METRIC_HISTOGRAM,
                                {"peer"}},
    [DS_METRIC_PROTECT_SECONDS] = {"dicomstego_protect_seconds",
                                   "Making one carrier, its proof included",
                                   DS_METRIC_HISTOGRAM,
                                   {NULL}},
    [DS_METRIC_PROVE_SECONDS] = {"dicomstego_prove_seconds",
                                 "Taking one's own carrier apart again and comparing",
                                 DS_METRIC_HISTOGRAM,
                                 {NULL}},
    [DS_METRIC_DELIVERIES] = {"dicomstego_deliveries",
                              "Deliveries not yet sent, by state: waiting, ready, leased, failed",
                              DS_METRIC_GAUGE,
                              {"peer", "state"}},
    [DS_METRIC_OLDEST_UNDELIVERED] = {"dicomstego_oldest_undelivered_seconds",
                                      "Age of the oldest delivery that is ready or leased",
                                      DS_METRIC_GAUGE,
                                      {"peer"}},
    [DS_METRIC_PEER_PAUSED] = {"dicomstego_peer_paused",
                               "1 while an operator pauses the queue of the peer",
                               DS_METRIC_GAUGE,
                               {"peer"}},
    [DS_METRIC_PEER_CIRCUIT] = {"dicomstego_peer_circuit_open",
                                "1 while the peer is left alone after failures",
                                DS_METRIC_GAUGE,
                                {"peer"}},
    [DS_METRIC_COMMITMENTS] = {"dicomstego_commitments_total",
                               "Instances by what the peer answered: committed, failed",
                               DS_METRIC_COUNTER,
                               {"peer", "outcome"}},
    [DS_METRIC_DELETED] = {"dicomstego_deleted_instances_total",
                           "Instances deleted by retention",
                           DS_METRIC_COUNTER,
                           {NULL}},
    [DS_METRIC_READ_BACK] = {"dicomstego_read_back_instances_total",
                             "Instances that were read back from a peer, by outcome",
                             DS_METRIC_COUNTER,
                             {"peer", "outcome"}},
    [DS_METRIC_PEER_PROFILE] = {"dicomstego_peer_profile",
                                "1 for what read-backs say of the peer, 0 for the other profiles",
                                DS_METRIC_GAUGE,
                                {"peer", "profile"}},
    [DS_METRIC_AUDIT_MESSAGES] =
        {"dicomstego_audit_messages_total",
         "Audit messages sent: taken by the repository, or unsure and sent "
         "again",
         DS_METRIC_COUNTER,
         {"outcome"}},
    [DS_METRIC_AUDIT_LAG] = {"dicomstego_audit_lag_seconds",
                             "How long the oldest event waits for the audit repository",
                             DS_METRIC_GAUGE,
                             {NULL}},
    [DS_METRIC_DATABASE_UP] = {"dicomstego_database_up",
                               "1 while the database answers",
                               DS_METRIC_GAUGE,
                               {NULL}},
    [DS_METRIC_DATABASE_LATENCY] = {"dicomstego_database_latency_seconds",
                                    "What the last question to the database took",
                                    DS_METRIC_GAUGE,
                                    {NULL}},
    [DS_METRIC_LOG_EVENTS] = {"dicomstego_log_events",
                              "Events that have their place in the provenance log",
                              DS_METRIC_GAUGE,
                              {NULL}},
    [DS_METRIC_LOG_WAITING] = {"dicomstego_log_waiting",
                               "Events that were written and wait for their place in the log",
                               DS_METRIC_GAUGE,
                               {NULL}},
    [DS_METRIC_LOG_FINDINGS] = {"dicomstego_log_findings_total",
                                "Rows of the provenance log that are not as they were written",
                                DS_METRIC_COUNTER,
                                {NULL}},
    [DS_METRIC_SERIES_DROPPED] = {"dicomstego_series_dropped_total",
                                  "Counts lost because there are too many series",
                                  DS_METRIC_COUNTER,
                                  {NULL}},
    [DS_METRIC_PROCESS_MEMORY] = {"process_resident_memory_bytes",
                                  "Resident memory",
                                  DS_METRIC_GAUGE,
                                  {NULL}},
    [DS_METRIC_PROCESS_CPU] = {"process_cpu_seconds_total",
                               "User and system time",
                               DS_METRIC_READING,
                               {NULL}},
    [DS_METRIC_PROCESS_FDS] = {"process_open_fds",
                               "Open file descriptors",
                               DS_METRIC_GAUGE,
                               {NULL}},
    [DS_METRIC_PROCESS_MAX_FDS] = {"process_max_fds",
                                   "File descriptors that may be open",
                                   DS_METRIC_GAUGE,
                                   {NULL}},
    [DS_METRIC_PROCESS_START] = {"process_start_time_seconds",
                                 "When the process began, seconds since 1970",
                                 DS_METRIC_GAUGE,
                                 {NULL}},
};

static const struct {
    uint64_t us;
    const char *le; /* seconds, as Prometheus writes them */
} bounds[BUCKETS - 1] = {
    {1000, "0.001"},  {2500, "0.0025"}, {5000, "0.005"},  {10000, "0.01"},  {25000, "0.025"},
    {50000, "0.05"},  {100000, "0.1"},  {250000, "0.25"}, {500000, "0.5"},  {1000000, "1"},
    {2500000, "2.5"}, {5000000, "5"},   {10000000, "10"}, {30000000, "30"},
};

/* A place is EMPTY, then CLAIMED by the one thread that writes its name, then NAMED for good. */
enum { EMPTY, CLAIMED, NAMED };

struct series {
    enum ds_metric metric;
    char labels[DS_METRIC_LABELS_MAX][DS_METRIC_LABEL_BYTES];
    /* A count, or the bits of a double; of a histogram its sum in microseconds. */
    atomic_uint_fast64_t value;
    atomic_uint_fast64_t buckets[BUCKETS]; /* each alone, not added up */
};

static atomic_uchar states[SERIES_MAX];
static struct series table[SERIES_MAX];
/* Beside the table, so that it has a place when there is no other. */
static struct series dropped = {.metric = DS_METRIC_SERIES_DROPPED};

const struct ds_metric_family *ds_metric_families(void)
{
    return families;
}

/* ---- counting ---- */

/* FNV-1a over the family's number and what of the values is kept. */
static uint32_t hash_of(enum ds_metric m, const char *const values[DS_METRIC_LABELS_MAX])
{
    uint32_t h = (2166136261U ^ (uint32_t)m) * 16777619U;
    for (unsigned i = 0; i < DS_METRIC_LABELS_MAX; i++) {
        const size_t len = strnlen(values[i], DS_METRIC_LABEL_BYTES - 1);
        for (size_t k = 0; k < len; k++) {
            h = (h ^ (unsigned char)values[i][k]) * 16777619U;
        }
        h = (h ^ 0xffU) * 16777619U; /* ends a value: no UTF-8 has it */
    }
    return h ^ (h >> 15);
}

static bool is_series(const struct series *s, enum ds_metric m,
                      const char *const values[DS_METRIC_LABELS_MAX])
{
    bool same = s->metric == m;
    for (unsigned i = 0; i < DS_METRIC_LABELS_MAX; i++) {
        same = same && strncmp(s->labels[i], values[i], DS_METRIC_LABEL_BYTES - 1) == 0;
    }
    return same;
}

static void name_series(struct series *s, enum ds_metric m,
                        const char *const values[DS_METRIC_LABELS_MAX])
{
    s->metric = m;
    for (unsigned i = 0; i < DS_METRIC_LABELS_MAX; i++) {
        (void)snprintf(s->labels[i], DS_METRIC_LABEL_BYTES, "%s", values[i]);
    }
}

/* NULL: the table is full. A thread that finds a place claimed waits for two short copies. */
static struct series *find(enum ds_metric m, const char *first, const char *second)
{
    const char *const values[DS_METRIC_LABELS_MAX] = {first != NULL ? first : "",
                                                      second != NULL ? second : ""};
    const uint32_t start = hash_of(m, values);
    for (uint32_t i = 0; i < SERIES_MAX; i++) {
        const uint32_t at = (start + i) & (SERIES_MAX - 1);
        unsigned char state = atomic_load_explicit(&states[at], memory_order_acquire);
        if (state == EMPTY && atomic_compare_exchange_strong(&states[at], &state, CLAIMED)) {
            name_series(&table[at], m, values);
            atomic_store_explicit(&states[at], NAMED, memory_order_release);
            return &table[at];
        }
        while (state != NAMED) {
            (void)sched_yield();
            state = atomic_load_explicit(&states[at], memory_order_acquire);
        }
        if (is_series(&table[at], m, values)) {
            return &table[at];
        }
    }
    return NULL;
}

static struct series *series_of(enum ds_metric m, const char *first, const char *second)
{
    struct series *s = find(m, first, second);
    if (s == NULL) {
        (void)atomic_fetch_add_explicit(&dropped.value, 1, memory_order_relaxed);
    }
    return s;
}

static uint64_t bits_of(double v)
{
    uint64_t bits = 0;
    memcpy(&bits, &v, sizeof(bits));
    return bits;
}

static double real_of(uint64_t bits)
{
    double v = 0;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

void ds_metric_add(enum ds_metric m, const char *first, const char *second, uint64_t n)
{
    struct series *s = series_of(m, first, second);
    if (s != NULL) {
        (void)atomic_fetch_add_explicit(&s->value, n, memory_order_relaxed);
    }
}

void ds_metric_set(enum ds_metric m, const char *first, const char *second, double value)
{
    struct series *s = series_of(m, first, second);
    if (s != NULL) {
        atomic_store_explicit(&s->value, bits_of(value), memory_order_relaxed);
    }
}

void ds_metric_change(enum ds_metric m, const char *first, const char *second, double by)
{
    struct series *s = series_of(m, first, second);
    if (s == NULL) {
        return;
    }
    uint_fast64_t seen = atomic_load(&s->value);
    while (!atomic_compare_exchange_weak(&s->value, &seen, bits_of(real_of(seen) + by))) {
    }
}

void ds_metric_observe(enum ds_metric m, const char *first, int64_t duration_us)
{
    struct series *s = series_of(m, first, NULL);
    if (s == NULL) {
        return;
    }
    const uint64_t us = duration_us > 0 ? (uint64_t)duration_us : 0;
    unsigned bucket = 0;
    while (bucket < BUCKETS - 1 && us > bounds[bucket].us) {
        bucket++;
    }
    (void)atomic_fetch_add_explicit(&s->buckets[bucket], 1, memory_order_relaxed);
    (void)atomic_fetch_add_explicit(&s->value, us, memory_order_relaxed);
}

/* ---- the text format ---- */

struct page {
    struct ds_bytes *out;
    enum ds_status status; /* the first failure sticks */
    struct ds_error *err;
};

static void put(struct page *p, const char *fmt, ...) DS_PRINTF(2, 3);
static void put(struct page *p, const char *fmt, ...)
{
    char text[256];
    va_list args;
    va_start(args, fmt);
    const int len = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (p->status == DS_OK && (len < 0 || (size_t)len >= sizeof(text))) {
        p->status = ds_fail(p->err, DS_EINVAL, "a line of metrics is too long");
    }
    if (p->status == DS_OK) {
        p->status = ds_bytes_append(p->out, text, (size_t)len, p->err);
    }
}

static void put_label(struct page *p, const char *before, const char *name, const char *value)
{
    put(p, "%s%s=\"", before, name);
    for (const char *c = value; *c != '\0'; c++) {
        if (*c == '\\' || *c == '"') {
            put(p, "\\%c", *c);
        } else if (*c == '\n') {
            put(p, "\\n");
        } else {
            put(p, "%c", *c < 0x20 || *c > 0x7e ? '?' : *c); /* the format asks for UTF-8 */
        }
    }
    put(p, "\"");
}

/* NAME{first="...",le="..."}; le: NULL for none. */
static void put_name(struct page *p, const struct ds_metric_family *f, const char *suffix,
                     const struct series *s, const char *le)
{
    put(p, "%s%s", f->name, suffix);
    const char *before = "{";
    for (unsigned i = 0; i < DS_METRIC_LABELS_MAX && f->labels[i] != NULL; i++) {
        put_label(p, before, f->labels[i], s->labels[i]);
        before = ",";
    }
    if (le != NULL) {
        put_label(p, before, "le", le);
        before = ",";
    }
    put(p, "%s ", before[0] == ',' ? "}" : "");
}

/* The buckets are read once, so that the last of them and the count agree. */
static void put_histogram(struct page *p, const struct ds_metric_family *f, struct series *s)
{
    const uint64_t sum_us = atomic_load_explicit(&s->value, memory_order_relaxed);
    uint64_t count = 0;
    for (unsigned i = 0; i < BUCKETS; i++) {
        count += atomic_load_explicit(&s->buckets[i], memory_order_relaxed);
        put_name(p, f, "_bucket", s, i < BUCKETS - 1 ? bounds[i].le : "+Inf");
        put(p, "%llu\n", (unsigned long long)count);
    }
    put_name(p, f, "_sum", s, NULL);
    put(p, "%.6f\n", (double)sum_us / 1e6);
    put_name(p, f, "_count", s, NULL);
    put(p, "%llu\n", (unsigned long long)count);
}

static void put_series(struct page *p, struct series *s)
{
    const struct ds_metric_family *f = &families[s->metric];
    if (f->kind == DS_METRIC_HISTOGRAM) {
        put_histogram(p, f, s);
        return;
    }
    const uint64_t value = atomic_load_explicit(&s->value, memory_order_relaxed);
    put_name(p, f, "", s, NULL);
    if (f->kind == DS_METRIC_COUNTER) {
        put(p, "%llu\n", (unsigned long long)value);
    } else {
        put(p, "%.15g\n", real_of(value));
    }
}

static void put_family(struct page *p, enum ds_metric m)
{
    static const char *const types[] = {[DS_METRIC_COUNTER] = "counter",
                                        [DS_METRIC_READING] = "counter",
                                        [DS_METRIC_GAUGE] = "gauge",
                                        [DS_METRIC_HISTOGRAM] = "histogram"};
    const struct ds_metric_family *f = &families[m];
    put(p, "# HELP %s %s\n# TYPE %s %s\n", f->name, f->help, f->name, types[f->kind]);
    if (m == DS_METRIC_SERIES_DROPPED) {
        put_series(p, &dropped);
        return;
    }
    for (uint32_t i = 0; i < SERIES_MAX && p->status == DS_OK; i++) {
        if (atomic_load_explicit(&states[i], memory_order_acquire) == NAMED &&
            table[i].metric == m) {
            put_series(p, &table[i]);
        }
    }
}

/* What has no labels is there from the beginning: a rate needs its first zero. A gauge is not:
 * nobody has measured it. */
static void touch_plain_counters(void)
{
    for (unsigned m = 0; m < DS_METRIC_COUNT; m++) {
        const enum ds_metric_kind kind = families[m].kind;
        if (m != DS_METRIC_SERIES_DROPPED && families[m].labels[0] == NULL &&
            (kind == DS_METRIC_COUNTER || kind == DS_METRIC_HISTOGRAM)) {
            (void)series_of((enum ds_metric)m, NULL, NULL);
        }
    }
}

enum ds_status ds_metrics_render(struct ds_bytes *out, struct ds_error *err)
{
    struct page p = {.out = out, .status = DS_OK, .err = err};
    touch_plain_counters();
    for (unsigned m = 0; m < DS_METRIC_COUNT && p.status == DS_OK; m++) {
        put_family(&p, (enum ds_metric)m);
    }
    return p.status;
}
