/* SPDX-License-Identifier: Apache-2.0 */
#include "base/metrics.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The page as a string; free(). */
static char *page(void)
{
    struct ds_bytes out = DS_BYTES_INIT(16U << 20);
    assert_int_equal(ds_metrics_render(&out, NULL), DS_OK);
    assert_int_equal(ds_bytes_put_u8(&out, 0, NULL), DS_OK);
    char *text = strdup((const char *)out.data);
    ds_bytes_free(&out);
    return text;
}

/* The value behind a series' name at the beginning of a line. */
static bool value_of(const char *series, double *out)
{
    char *text = page();
    char wanted[256];
    (void)snprintf(wanted, sizeof(wanted), "\n%s ", series);
    const char *at = strstr(text, wanted);
    if (at != NULL) {
        *out = strtod(at + strlen(wanted), NULL);
    }
    free(text);
    return at != NULL;
}

static void shows(const char *series, double value)
{
    double found = -1;
    assert_true(value_of(series, &found));
    assert_true(found == value);
}

static void every_family_has_a_name_of_its_own_help_and_a_type(void **state)
{
    (void)state;
    const struct ds_metric_family *f = ds_metric_families();
    char *text = page();
    for (unsigned i = 0; i < DS_METRIC_COUNT; i++) {
        assert_non_null(f[i].name);
        assert_true(strlen(f[i].help) > 5);
        const bool total =
            strlen(f[i].name) > 6 && strcmp(f[i].name + strlen(f[i].name) - 6, "_total") == 0;
        assert_int_equal(total, f[i].kind == DS_METRIC_COUNTER || f[i].kind == DS_METRIC_READING);
        for (unsigned k = 0; k < i; k++) {
            assert_string_not_equal(f[i].name, f[k].name);
        }
        char line[300];
        (void)snprintf(line, sizeof(line), "# HELP %s %s\n# TYPE %s ", f[i].name, f[i].help,
                       f[i].name);
        assert_non_null(strstr(text, line));
    }
    free(text);
}

static void counters_without_labels_begin_at_zero_and_gauges_are_absent_until_measured(void **state)
{
    (void)state;
    double v = 0;
    shows("dicomstego_refused_instances_total", 0);
    shows("dicomstego_prove_seconds_count", 0);
    assert_false(value_of("dicomstego_database_up", &v));
    ds_metric_set(DS_METRIC_DATABASE_UP, NULL, NULL, 1);
    shows("dicomstego_database_up", 1);
}

static void series_with_other_labels_are_counted_apart(void **state)
{
    (void)state;
    ds_metric_add(DS_METRIC_DELIVERY_ATTEMPTS, "PACS", "sent", 2);
    ds_metric_add(DS_METRIC_DELIVERY_ATTEMPTS, "PACS", "failed", 1);
    ds_metric_add(DS_METRIC_DELIVERY_ATTEMPTS, "PACS", "sent", 3);
    shows("dicomstego_delivery_attempts_total{peer=\"PACS\",outcome=\"sent\"}", 5);
    shows("dicomstego_delivery_attempts_total{peer=\"PACS\",outcome=\"failed\"}", 1);
    /* Where one value ends and the next begins is part of the name. */
    ds_metric_set(DS_METRIC_DELIVERIES, "AB", "C", 1);
    ds_metric_set(DS_METRIC_DELIVERIES, "A", "BC", 2);
    shows("dicomstego_deliveries{peer=\"AB\",state=\"C\"}", 1);
    shows("dicomstego_deliveries{peer=\"A\",state=\"BC\"}", 2);
}

static void label_values_cannot_leave_their_quotes(void **state)
{
    (void)state;
    ds_metric_add(DS_METRIC_RECEIVED_BYTES, "A\"\\\nB\x01\xff", NULL, 7);
    shows("dicomstego_received_bytes_total{calling_ae=\"A\\\"\\\\\\nB??\"}", 7);
}

static void a_value_too_long_is_cut_and_still_one_series(void **state)
{
    (void)state;
    char name[200];
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    ds_metric_add(DS_METRIC_SENT_BYTES, name, NULL, 1);
    ds_metric_add(DS_METRIC_SENT_BYTES, name, NULL, 1);
    name[DS_METRIC_LABEL_BYTES - 1] = '\0';
    char series[300];
    (void)snprintf(series, sizeof(series), "dicomstego_sent_bytes_total{peer=\"%s\"}", name);
    shows(series, 2);
}

static void a_histogram_adds_up(void **state)
{
    (void)state;
    ds_metric_observe(DS_METRIC_SEND_SECONDS, "H", 1000); /* on the bound: within it */
    ds_metric_observe(DS_METRIC_SEND_SECONDS, "H", 1001);
    ds_metric_observe(DS_METRIC_SEND_SECONDS, "H", 60000000);
    ds_metric_observe(DS_METRIC_SEND_SECONDS, "H", -5); /* a clock that jumped */
    shows("dicomstego_send_seconds_bucket{peer=\"H\",le=\"0.001\"}", 2);
    shows("dicomstego_send_seconds_bucket{peer=\"H\",le=\"0.0025\"}", 3);
    shows("dicomstego_send_seconds_bucket{peer=\"H\",le=\"30\"}", 3);
    shows("dicomstego_send_seconds_bucket{peer=\"H\",le=\"+Inf\"}", 4);
    shows("dicomstego_send_seconds_count{peer=\"H\"}", 4);
    shows("dicomstego_send_seconds_sum{peer=\"H\"}", 60.002001);
}

static void gauges_are_set_and_changed(void **state)
{
    (void)state;
    ds_metric_change(DS_METRIC_ASSOCIATIONS_OPEN, NULL, NULL, 3);
    ds_metric_change(DS_METRIC_ASSOCIATIONS_OPEN, NULL, NULL, -2);
    shows("dicomstego_associations_open", 1);
    ds_metric_set(DS_METRIC_SPOOL_FREE, NULL, NULL, 123456789012345.0);
    shows("dicomstego_spool_free_bytes", 123456789012345.0);
}

#define THREADS 8
#define EACH    20000

static void *count(void *unused)
{
    (void)unused;
    char status[8];
    for (unsigned i = 0; i < EACH; i++) {
        (void)snprintf(status, sizeof(status), "%04x", i % 16);
        ds_metric_add(DS_METRIC_STORE_ANSWERS, status, NULL, 1);
        ds_metric_change(DS_METRIC_PEER_PAUSED, "race", NULL, i % 2 == 0 ? 1 : -1);
    }
    return NULL;
}

static void threads_lose_nothing_and_make_no_series_twice(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, count, NULL), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    shows("dicomstego_store_answers_total{status=\"000f\"}", (double)THREADS * EACH / 16);
    shows("dicomstego_peer_paused{peer=\"race\"}", 0);
    char *text = page();
    const char *first = strstr(text, "status=\"000f\"");
    assert_null(strstr(first + 1, "status=\"000f\""));
    free(text);
}

/* The last test: afterwards there is no room. */
static void too_many_series_are_dropped_and_counted(void **state)
{
    (void)state;
    char name[32];
    for (unsigned i = 0; i < 10000; i++) {
        (void)snprintf(name, sizeof(name), "P%u", i);
        ds_metric_add(DS_METRIC_SENT_BYTES, name, NULL, 1);
    }
    double lost = 0;
    assert_true(value_of("dicomstego_series_dropped_total", &lost));
    assert_true(lost > 1000 && lost < 10000);
    ds_metric_add(DS_METRIC_SENT_BYTES, "P1", NULL, 1); /* those that are there go on */
    shows("dicomstego_sent_bytes_total{peer=\"P1\"}", 2);
}

static void a_page_beyond_the_buffer_is_refused(void **state)
{
    (void)state;
    struct ds_bytes out = DS_BYTES_INIT(1000);
    assert_int_equal(ds_metrics_render(&out, NULL), DS_EFORMAT);
    ds_bytes_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_family_has_a_name_of_its_own_help_and_a_type),
        cmocka_unit_test(
            counters_without_labels_begin_at_zero_and_gauges_are_absent_until_measured),
        cmocka_unit_test(series_with_other_labels_are_counted_apart),
        cmocka_unit_test(label_values_cannot_leave_their_quotes),
        cmocka_unit_test(a_value_too_long_is_cut_and_still_one_series),
        cmocka_unit_test(a_histogram_adds_up),
        cmocka_unit_test(gauges_are_set_and_changed),
        cmocka_unit_test(threads_lose_nothing_and_make_no_series_twice),
        cmocka_unit_test(too_many_series_are_dropped_and_counted),
        cmocka_unit_test(a_page_beyond_the_buffer_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
