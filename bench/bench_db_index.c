/* SPDX-License-Identifier: Apache-2.0 */
/* How fast a private PostgreSQL takes instances in, and gives deliveries out. */
#include "base/clock.h"
#include "base/file.h"
#include "db/db.h"

#define BATCH   64U
#define BATCHES 100U

static struct ds_error err;

static double ms_since(int64_t start_us)
{
    return (double)(ds_clock_utc_us() - start_us) / 1000.0;
}

static enum ds_status index_all(struct db *d, int64_t *ids, int64_t *study)
{
    static char uids[BATCH][65];
    static char paths[BATCH][64];
    static struct db_received rows[BATCH];
    static struct db_indexed done[BATCH];
    enum ds_status s = DS_OK;
    for (unsigned b = 0; s == DS_OK && b < BATCHES; b++) {
        for (unsigned i = 0; i < BATCH; i++) {
            (void)snprintf(uids[i], sizeof(uids[i]), "1.2.840.99999.1.1.%u.%u", b, i);
            (void)snprintf(paths[i], sizeof(paths[i]), "/archive/%u/%u.dcm", b, i);
            rows[i] = (struct db_received){.study_uid = "1.2.840.99999.1",
                                           .series_uid = "1.2.840.99999.1.1",
                                           .sop_uid = uids[i],
                                           .sop_class_uid = "1.2.840.10008.5.1.4.1.1.2",
                                           .transfer_syntax = "1.2.840.10008.1.2.1",
                                           .modality = "CT",
                                           .calling_ae = "CT1",
                                           .called_ae = "NODE",
                                           .path = paths[i],
                                           .file_bytes = 526336,
                                           .has_pixel_hash = true,
                                           .has_dataset_hash = true,
                                           .received_us = ds_clock_utc_us()};
        }
        s = db_index(d, rows, BATCH, done, &err);
        for (unsigned i = 0; s == DS_OK && i < BATCH; i++) {
            ids[(size_t)b * BATCH + i] = done[i].instance_id;
        }
        *study = done[0].study_id;
    }
    return s;
}

static enum ds_status plan_all(struct db *d, const int64_t *ids, int64_t study)
{
    static struct db_planned_delivery deliveries[BATCH * BATCHES];
    for (size_t i = 0; i < DS_ARRAY_SIZE(deliveries); i++) {
        deliveries[i] = (struct db_planned_delivery){ids[i], "PEER", DB_SEND_AS_IS, SIZE_MAX, -1,
                                                     false,  false,  false,         ""};
    }
    const struct db_plan plan = {.study_id = study,
                                 .rule = "bench",
                                 .instance_ids = ids,
                                 .instance_count = DS_ARRAY_SIZE(deliveries),
                                 .deliveries = deliveries,
                                 .delivery_count = DS_ARRAY_SIZE(deliveries)};
    int generation;
    return db_plan_commit(d, &plan, &generation, &err);
}

static enum ds_status deliver_all(struct db *d, unsigned *rounds)
{
    static struct db_delivery_result results[BATCH];
    size_t count = 1;
    enum ds_status s = DS_OK;
    while (s == DS_OK && count > 0) {
        struct db_delivery *got;
        const struct db_claim c = {.peer = "PEER", .max = BATCH, .lease_ms = 60000};
        s = db_delivery_claim(d, &c, &got, &count, &err);
        for (size_t i = 0; s == DS_OK && i < count; i++) {
            results[i] = (struct db_delivery_result){
                .id = got[i].id, .state = DB_SENT, .answered = true, .cause = ""};
        }
        free(got);
        s = s == DS_OK ? db_delivery_finish(d, results, count, &err) : s;
        *rounds += s == DS_OK && count > 0;
    }
    return s;
}

static enum ds_status measure(struct db *d)
{
    static int64_t ids[BATCH * BATCHES];
    int64_t study = 0;
    enum ds_status s = db_migrate(d, &err);
    int64_t start = ds_clock_utc_us();
    s = s == DS_OK ? index_all(d, ids, &study) : s;
    printf("index     %u batches of %u: %.2f ms a batch\n", BATCHES, BATCH,
           ms_since(start) / BATCHES);
    start = ds_clock_utc_us();
    s = s == DS_OK ? plan_all(d, ids, study) : s;
    printf("plan      %u deliveries in one transaction: %.1f ms\n", BATCH * BATCHES,
           ms_since(start));
    unsigned rounds = 0;
    start = ds_clock_utc_us();
    s = s == DS_OK ? deliver_all(d, &rounds) : s;
    printf("delivery  claim and finish of %u, %u rounds: %.2f ms a round\n", BATCH, rounds,
           rounds > 0 ? ms_since(start) / rounds : 0.0);
    return s;
}

int main(void)
{
    char folder[] = "/tmp/dicomstego-bench-db-XXXXXX";
    if (mkdtemp(folder) == NULL) {
        return 1;
    }
    struct db_cluster *cluster = NULL;
    struct db *d = NULL;
    char *url = NULL;
    const int64_t start = ds_clock_utc_us();
    enum ds_status s = db_cluster_start(&cluster, folder, &url, &err);
    printf("cluster   made and started: %.0f ms\n", ms_since(start));
    s = s == DS_OK ? db_open(&d, url, 2, "BENCH", &err) : s;
    s = s == DS_OK ? measure(d) : s;
    if (s != DS_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
    }
    db_close(d);
    db_cluster_stop(cluster);
    free(url);
    if (ds_file_remove_tree(folder, NULL) != DS_OK) {
        (void)fprintf(stderr, "%s stays behind\n", folder);
    }
    return s == DS_OK ? 0 : 1;
}
