/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fixture - a real PostgreSQL for a test program: a private one in a temporary folder, made for
 * this run, and sample rows to put into it.
 */
#ifndef DICOMSTEGO_TESTS_DB_FIXTURE_H
#define DICOMSTEGO_TESTS_DB_FIXTURE_H

#include "base/clock.h"
#include "base/file.h"
#include "db/operate.h"

#include <libpq-fe.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];
static struct db_cluster *cluster;
static char *url;
static struct db *db;
static struct ds_error err;

#define OK(call) assert_ok(call, __LINE__)

static inline void assert_ok(enum ds_status s, int line)
{
    if (s != DS_OK) {
        fail_msg("line %d: %s: %s", line, ds_status_name(s), err.text);
    }
}

static inline int start_everything(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/dicomstego-test-db-XXXXXX");
    assert_non_null(mkdtemp(folder));
    OK(db_cluster_start(&cluster, folder, &url, &err));
    OK(db_open(&db, url, 4, "TESTNODE", &err));
    OK(db_migrate(db, &err));
    return 0;
}

static inline int stop_everything(void **state)
{
    (void)state;
    db_close(db);
    db_cluster_stop(cluster);
    free(url);
    return ds_file_remove_tree(folder, &err) == DS_OK ? 0 : 1;
}

/* ---- helpers ---- */

/* One number from the database, past the functions under test. */
static inline long long ask(const char *sql)
{
    PGconn *c = PQconnectdb(url);
    PGresult *r = PQexec(c, sql);
    if (PQresultStatus(r) != PGRES_TUPLES_OK || PQntuples(r) != 1) {
        fail_msg("%s: %s", sql, PQerrorMessage(c));
    }
    const long long n = strtoll(PQgetvalue(r, 0, 0), NULL, 10);
    PQclear(r);
    PQfinish(c);
    return n;
}

static inline bool is_refused(const char *sql)
{
    PGconn *c = PQconnectdb(url);
    PGresult *r = PQexec(c, sql);
    const char *code = PQresultErrorField(r, PG_DIAG_SQLSTATE);
    const bool refused = code != NULL && strcmp(code, "42501") == 0;
    PQclear(r);
    PQfinish(c);
    return refused;
}

struct sample {
    char study[65], series[65], sop[65], path[128];
};

/* Every call with the same numbers describes the same instance; salt changes its bytes. */
static inline struct db_received sample_row(struct sample *s, unsigned study, unsigned instance,
                                            uint8_t salt)
{
    (void)snprintf(s->study, sizeof(s->study), "1.2.3.%u", study);
    (void)snprintf(s->series, sizeof(s->series), "1.2.3.%u.1", study);
    (void)snprintf(s->sop, sizeof(s->sop), "1.2.3.%u.1.%u", study, instance);
    (void)snprintf(s->path, sizeof(s->path), "/archive/%u/%u-%u.dcm", study, instance, salt);
    struct db_received r = {
        .kind = DB_ORIGINAL,
        .study_uid = s->study,
        .series_uid = s->series,
        .sop_uid = s->sop,
        .sop_class_uid = "1.2.840.10008.5.1.4.1.1.2",
        .transfer_syntax = "1.2.840.10008.1.2.1",
        .accession = "",
        .patient_name = "Br\xc3\xbc"
                        "ck^Anna",
        .study_description = "chest \xff ct",
        .modality = "CT",
        .calling_ae = "CT1",
        .called_ae = "TESTNODE",
        .path = s->path,
        .file_bytes = 12345,
        .has_pixel_data = true,
        .has_pixel_hash = true,
        .has_dataset_hash = true,
        .received_us = ds_clock_utc_us(),
    };
    memset(r.pixel_hash, (int)instance, sizeof(r.pixel_hash));
    memset(r.dataset_hash, salt, sizeof(r.dataset_hash));
    memset(r.file_hash, salt, sizeof(r.file_hash));
    return r;
}

#define STUDY_MAX 128

/* A study with count instances; ids in their order. */
static inline int64_t index_study(unsigned study, unsigned count, int64_t *ids)
{
    static struct sample samples[STUDY_MAX];
    static struct db_received rows[STUDY_MAX];
    static struct db_indexed done[STUDY_MAX];
    assert_true(count <= STUDY_MAX);
    for (unsigned i = 0; i < count; i++) {
        rows[i] = sample_row(&samples[i], study, i, 1);
    }
    OK(db_index(db, rows, count, done, &err));
    for (unsigned i = 0; i < count; i++) {
        assert_false(done[i].duplicate);
        ids[i] = done[i].instance_id;
    }
    return done[0].study_id;
}

static const uint8_t saved_capsule[] = {9, 8, 7, 6};

/* Plans all instances of a study for a peer, as carriers of one capsule. */
static inline enum ds_status plan_study(int64_t study, const int64_t *ids, unsigned count,
                                        const char *peer, int *generation)
{
    struct db_planned_delivery deliveries[STUDY_MAX];
    uint8_t capsule_id[16] = {0};
    memcpy(capsule_id, &study, sizeof(study));
    memcpy(capsule_id + 8, &ids[0], sizeof(ids[0]));
    const struct db_planned_capsule capsule = {capsule_id, saved_capsule, sizeof(saved_capsule),
                                               count, count};
    for (unsigned i = 0; i < count; i++) {
        deliveries[i] = (struct db_planned_delivery){ids[i], peer,   DB_SEND_CARRIER, 0, i,
                                                     true,   i == 0, false,           ""};
    }
    const struct db_plan plan = {.study_id = study,
                                 .rule = "a rule",
                                 .priority = DB_PRIORITY_ROUTINE,
                                 .instance_ids = ids,
                                 .instance_count = count,
                                 .capsules = &capsule,
                                 .capsule_count = 1,
                                 .deliveries = deliveries,
                                 .delivery_count = count};
    return db_plan_commit(db, &plan, generation, &err);
}

static inline size_t claim(const char *peer, unsigned max, unsigned lease_ms,
                           struct db_delivery **out)
{
    const struct db_claim c = {.peer = peer, .max = max, .lease_ms = lease_ms};
    size_t count;
    OK(db_delivery_claim(db, &c, out, &count, &err));
    return count;
}

static inline uint64_t requeue(const char *peer)
{
    struct db_delivery_filter filter = DB_DELIVERY_FILTER_ALL;
    uint64_t count;
    filter.peer = peer;
    OK(db_delivery_requeue(db, &filter, "operator anna", &count, &err));
    return count;
}

static inline struct db_delivery_result sent_result(int64_t id)
{
    struct db_delivery_result r = {.id = id,
                                   .state = DB_SENT,
                                   .answered = true,
                                   .cause = "",
                                   .duration_us = 1500,
                                   .sent_sop_uid = "2.25.42",
                                   .hidden_bits = 4096,
                                   .psnr_format_db = INFINITY,
                                   .psnr_dynamic_db = 61.5,
                                   .max_difference = 3};
    memset(r.sent_file_hash, 0x5a, sizeof(r.sent_file_hash));
    return r;
}

static inline bool find_pending(const char *uid, struct db_pending_study *out)
{
    struct db_pending_study *all;
    size_t count;
    OK(db_pending(db, &all, &count, &err));
    bool found = false;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(all[i].study_uid, uid) == 0) {
            *out = all[i];
            found = true;
        }
    }
    free(all);
    return found;
}

#endif
