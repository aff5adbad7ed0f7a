/* SPDX-License-Identifier: Apache-2.0 */
#include "scu/scu.h"

#include "base/file.h"
#include "dicom/sop_class.h"
#include "tests/unit/dicom/programs.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define CT       "1.2.840.10008.5.1.4.1.1.2"
#define MR       "1.2.840.10008.5.1.4.1.1.4"
#define EXPLICIT "1.2.840.10008.1.2.1"
#define JPEG_LL  "1.2.840.10008.1.2.4.70"

/* A listener that counts and answers what it is told; only touched between sends, so without a
 * lock. */
struct peer {
    struct dicom_listener *listener;
    uint16_t port, answer;
    unsigned associations, stored;
};

static bool on_admit(void *context, const struct dicom_peer *peer, bool *transient)
{
    (void)peer;
    *transient = false;
    ((struct peer *)context)->associations++;
    return true;
}

static uint16_t on_begin(void *context, const struct dicom_store_request *request, void **sink)
{
    (void)request;
    *sink = context;
    return 0;
}

static uint16_t on_data(void *sink, const uint8_t *data, size_t len)
{
    (void)sink;
    (void)data;
    (void)len;
    return 0;
}

static uint16_t on_end(void *sink, bool complete)
{
    struct peer *p = sink;
    p->stored += complete ? 1 : 0;
    return p->answer;
}

static void peer_start(struct peer *p, uint16_t port)
{
    struct ds_error err = {DS_OK, ""};
    const char *const native[] = {EXPLICIT};
    const struct dicom_listener_options o = {.address = "127.0.0.1",
                                             .port = port,
                                             .ae_title = "PEER",
                                             .max_associations = 8,
                                             .timeout_s = 20,
                                             .transfer_syntaxes = native,
                                             .transfer_syntax_count = 1};
    const struct dicom_service s = {.context = p,
                                    .admit = on_admit,
                                    .store_begin = on_begin,
                                    .store_data = on_data,
                                    .store_end = on_end};
    if (dicom_listener_start(&p->listener, &o, &s, &err) != DS_OK) {
        fail_msg("%s", err.text);
    }
    p->port = dicom_listener_port(p->listener);
}

static struct scu_link *link_to(uint16_t port, const char *called)
{
    struct scu_link *l = NULL;
    const struct dicom_requestor_options o = {.host = "127.0.0.1",
                                              .port = port,
                                              .calling_ae = "NODE",
                                              .called_ae = called,
                                              .timeout_s = 10};
    assert_int_equal(scu_link_new(&l, &o, NULL), DS_OK);
    return l;
}

static const uint8_t small[] = {8, 0, 0x60, 0, 'C', 'S', 2, 0, 'C', 'T'};

static struct scu_object object(const char *sop_class, const char *syntax)
{
    return (struct scu_object){sop_class, "1.2.3.4.5", syntax, small, sizeof(small)};
}

static void each_status_has_its_verdict(void **state)
{
    (void)state;
    static const struct {
        uint16_t status;
        enum scu_verdict verdict;
    } rows[] = {
        {0x0000, SCU_DELIVERED}, {0x0001, SCU_WARNING},   {0x0107, SCU_WARNING},
        {0x0116, SCU_WARNING},   {0xb000, SCU_WARNING},   {0xb007, SCU_WARNING},
        {0xbfff, SCU_WARNING},   {0xa700, SCU_TRANSIENT}, {0xa7ff, SCU_TRANSIENT},
        {0xa900, SCU_PERMANENT}, {0xa800, SCU_PERMANENT}, {0xc000, SCU_PERMANENT},
        {0x0122, SCU_PERMANENT}, {0x0124, SCU_PERMANENT}, {0x0110, SCU_PERMANENT},
        {0xffff, SCU_PERMANENT}, {0xff00, SCU_PERMANENT}, {0xfe00, SCU_PERMANENT},
    };
    for (size_t i = 0; i < DS_ARRAY_SIZE(rows); i++) {
        assert_int_equal(scu_verdict_of(rows[i].status), rows[i].verdict);
    }
}

static void each_failure_has_its_verdict(void **state)
{
    (void)state;
    assert_int_equal(scu_verdict_of_failure(DS_EIO), SCU_TRANSIENT);
    assert_int_equal(scu_verdict_of_failure(DS_ENOMEM), SCU_TRANSIENT);
    assert_int_equal(scu_verdict_of_failure(DS_EREFUSED), SCU_PERMANENT);
    assert_int_equal(scu_verdict_of_failure(DS_EAUTH), SCU_PERMANENT);
    assert_int_equal(scu_verdict_of_failure(DS_EFORMAT), SCU_PERMANENT);
}

static void a_link_that_cannot_be_opened_blames_no_instance(void **state)
{
    (void)state;
    struct scu_link *l = link_to(1, "PEER"); /* tcpmux: nobody listens */
    const struct scu_object o = object(CT, EXPLICIT);
    struct scu_outcome r = scu_link_send(l, &o);
    assert_int_equal(r.verdict, SCU_TRANSIENT);
    assert_true(r.of_link);
    assert_false(r.answered);
    scu_link_free(l);
    struct peer p = {0};
    peer_start(&p, 0);
    l = link_to(p.port, "NOBODY"); /* a called AE title that is not the peer's */
    r = scu_link_prepare(l, NULL, 0);
    assert_int_equal(r.verdict, SCU_PERMANENT);
    assert_true(r.of_link);
    scu_link_free(l);
    l = link_to(p.port, "PEER");
    const struct scu_object refused = object(CT, JPEG_LL);
    r = scu_link_send(l, &refused);
    assert_int_equal(r.verdict, SCU_PERMANENT);
    assert_false(r.of_link);
    scu_link_free(l);
    dicom_listener_stop(p.listener, 1000);
}

static void a_warning_counts_as_delivered(void **state)
{
    (void)state;
    static const bool delivered[] = {
        [SCU_DELIVERED] = true,
        [SCU_WARNING] = true,
        [SCU_TRANSIENT] = false,
        [SCU_PERMANENT] = false,
    };
    for (size_t i = 0; i < DS_ARRAY_SIZE(delivered); i++) {
        const struct scu_outcome o = {.verdict = (enum scu_verdict)i};
        assert_int_equal(scu_was_delivered(&o), delivered[i]);
    }
}

static void one_association_carries_many_instances(void **state)
{
    (void)state;
    struct peer p = {0};
    peer_start(&p, 0);
    struct scu_link *l = link_to(p.port, "PEER");
    const struct scu_object o = object(CT, EXPLICIT);
    for (unsigned i = 0; i < 10; i++) {
        const struct scu_outcome r = scu_link_send(l, &o);
        assert_int_equal(r.verdict, SCU_DELIVERED);
        assert_true(r.answered);
        assert_string_equal(r.cause, "");
    }
    assert_int_equal(scu_link_echo(l).verdict, SCU_DELIVERED);
    assert_int_equal(p.associations, 1);
    assert_int_equal(p.stored, 10);
    scu_link_free(l);
    dicom_listener_stop(p.listener, 1000);
}

static void prepared_contexts_share_an_association(void **state)
{
    (void)state;
    struct peer p = {0};
    peer_start(&p, 0);
    struct scu_link *l = link_to(p.port, "PEER");
    const struct dicom_context contexts[] = {{CT, EXPLICIT}, {MR, EXPLICIT}, {CT, JPEG_LL}};
    assert_false(scu_link_accepts(l, CT, EXPLICIT));
    assert_int_equal(scu_link_prepare(l, contexts, 3).verdict, SCU_DELIVERED);
    assert_true(scu_link_accepts(l, CT, EXPLICIT));
    assert_true(scu_link_accepts(l, MR, EXPLICIT));
    assert_false(scu_link_accepts(l, CT, JPEG_LL));
    struct scu_object o = object(MR, EXPLICIT);
    assert_int_equal(scu_link_send(l, &o).verdict, SCU_DELIVERED);
    o = object(CT, EXPLICIT);
    assert_int_equal(scu_link_send(l, &o).verdict, SCU_DELIVERED);
    assert_int_equal(scu_link_prepare(l, contexts, 2).verdict, SCU_DELIVERED);
    assert_int_equal(p.associations, 1);
    /* Something new needs another association, which then has the old contexts too. */
    o = object("1.2.840.10008.5.1.4.1.1.7", EXPLICIT);
    assert_int_equal(scu_link_send(l, &o).verdict, SCU_DELIVERED);
    o = object(MR, EXPLICIT);
    assert_int_equal(scu_link_send(l, &o).verdict, SCU_DELIVERED);
    assert_int_equal(p.associations, 2);
    scu_link_free(l);
    dicom_listener_stop(p.listener, 1000);
}

static void a_context_that_is_not_accepted_is_permanent(void **state)
{
    (void)state;
    struct peer p = {0};
    peer_start(&p, 0);
    struct scu_link *l = link_to(p.port, "PEER");
    const struct scu_object o = object(CT, JPEG_LL);
    const struct scu_outcome r = scu_link_send(l, &o);
    assert_int_equal(r.verdict, SCU_PERMANENT);
    assert_false(r.answered);
    assert_non_null(strstr(r.cause, "no context"));
    scu_link_free(l);
    dicom_listener_stop(p.listener, 1000);
}

static void answers_are_judged_and_the_link_goes_on(void **state)
{
    (void)state;
    struct peer p = {0};
    peer_start(&p, 0);
    struct scu_link *l = link_to(p.port, "PEER");
    const struct scu_object o = object(CT, EXPLICIT);
    static const struct {
        uint16_t status;
        enum scu_verdict verdict;
    } rows[] = {{0xa700, SCU_TRANSIENT}, {0xb000, SCU_WARNING}, {0xc123, SCU_PERMANENT}, {0, 0}};
    for (size_t i = 0; i < DS_ARRAY_SIZE(rows); i++) {
        p.answer = rows[i].status;
        const struct scu_outcome r = scu_link_send(l, &o);
        assert_int_equal(r.verdict, rows[i].verdict);
        assert_int_equal(r.dimse_status, rows[i].status);
        assert_true(r.answered);
    }
    assert_int_equal(p.associations, 1);
    scu_link_free(l);
    dicom_listener_stop(p.listener, 1000);
}

static void a_peer_that_restarts_is_found_again(void **state)
{
    (void)state;
    struct peer p = {0};
    peer_start(&p, 0);
    struct scu_link *l = link_to(p.port, "PEER");
    const struct scu_object o = object(CT, EXPLICIT);
    assert_int_equal(scu_link_send(l, &o).verdict, SCU_DELIVERED);
    dicom_listener_stop(p.listener, 0);
    struct scu_outcome r = scu_link_send(l, &o);
    assert_int_equal(r.verdict, SCU_TRANSIENT);
    assert_false(r.answered);
    assert_true(strlen(r.cause) > 0);
    r = scu_link_echo(l);
    assert_int_equal(r.verdict, SCU_TRANSIENT);
    peer_start(&p, p.port);
    assert_int_equal(scu_link_send(l, &o).verdict, SCU_DELIVERED);
    /* Closed behind our back while idle: no failure at all. */
    dicom_listener_stop(p.listener, 0);
    peer_start(&p, p.port);
    assert_int_equal(scu_link_send(l, &o).verdict, SCU_DELIVERED);
    scu_link_release(l);
    assert_int_equal(scu_link_echo(l).verdict, SCU_DELIVERED);
    scu_link_free(l);
    dicom_listener_stop(p.listener, 1000);
}

static void a_rejection_for_good_is_permanent(void **state)
{
    (void)state;
    struct peer p = {0};
    peer_start(&p, 0);
    struct scu_link *l = link_to(p.port, "SOMEBODY");
    const struct scu_outcome r = scu_link_echo(l);
    assert_int_equal(r.verdict, SCU_PERMANENT);
    assert_non_null(strstr(r.cause, "called AE title"));
    scu_link_free(l);
    dicom_listener_stop(p.listener, 1000);
}

static void more_contexts_than_fit_begin_a_new_set(void **state)
{
    (void)state;
    struct peer p = {0};
    peer_start(&p, 0);
    struct scu_link *l = link_to(p.port, "PEER");
    size_t count = 0;
    const struct dicom_sop_class *classes = dicom_sop_classes(&count);
    struct dicom_context contexts[128];
    for (size_t i = 0; i < DS_ARRAY_SIZE(contexts); i++) {
        contexts[i] = (struct dicom_context){classes[i].uid, EXPLICIT};
    }
    assert_int_equal(scu_link_prepare(l, contexts, 128).verdict, SCU_PERMANENT);
    assert_int_equal(scu_link_prepare(l, contexts, 127).verdict, SCU_DELIVERED);
    const struct scu_object o = object(classes[127].uid, EXPLICIT);
    assert_int_equal(scu_link_send(l, &o).verdict, SCU_DELIVERED);
    assert_false(scu_link_accepts(l, classes[0].uid, EXPLICIT));
    scu_link_free(l);
    dicom_listener_stop(p.listener, 1000);
}

/* ---- storescp writes with +B exactly what came over the wire ---- */

static size_t dataset_offset(const struct ds_bytes *file)
{
    struct ds_cursor c = ds_cursor_over(file->data + 140, 4);
    return 144 + (size_t)ds_cursor_le(&c, 4);
}

static void first_file_in(const char *folder, struct ds_bytes *out)
{
    DIR *d = opendir(folder);
    const struct dirent *e = readdir(d);
    while (e != NULL && e->d_name[0] == '.') {
        e = readdir(d);
    }
    assert_non_null(e);
    char *path = ds_file_join(folder, e->d_name);
    assert_int_equal(ds_file_read(path, out, NULL), DS_OK);
    free(path);
    (void)closedir(d);
}

static void another_program_receives_the_very_bytes(void **state)
{
    (void)state;
    const char *data = getenv("DICOMSTEGO_TEST_DATA");
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/ct/ge-hispeed/0001.dcm", data == NULL ? "" : data);
    if (!ds_file_exists(path) || !program_exists("storescp")) {
        print_message("skipped: no test data or no storescp\n");
        skip();
    }
    struct ds_bytes file = DS_BYTES_INIT(16U << 20);
    struct ds_bytes got = DS_BYTES_INIT(16U << 20);
    assert_int_equal(ds_file_read(path, &file, NULL), DS_OK);
    const size_t at = dataset_offset(&file);
    char folder[] = "/tmp/dicomstego-test-XXXXXX";
    assert_non_null(mkdtemp(folder));
    const uint16_t port = free_port();
    char port_text[8];
    (void)snprintf(port_text, sizeof(port_text), "%u", port);
    const char *const argv[] = {"storescp", "+B", "-od", folder, port_text, NULL};
    const pid_t pid = start_program(argv);
    assert_true(wait_for_port(port));
    struct scu_link *l = link_to(port, "STORESCP");
    const struct scu_object o = {CT, "1.2.3.4.5", EXPLICIT, file.data + at, file.len - at};
    const struct scu_outcome r = scu_link_send(l, &o);
    scu_link_free(l);
    end_program(pid, SIGTERM);
    assert_string_equal(r.cause, "");
    assert_int_equal(r.verdict, SCU_DELIVERED);
    first_file_in(folder, &got);
    assert_int_equal(got.len - dataset_offset(&got), o.len);
    assert_memory_equal(got.data + dataset_offset(&got), o.data, o.len);
    ds_bytes_free(&got);
    ds_bytes_free(&file);
    assert_int_equal(ds_file_remove_tree(folder, NULL), DS_OK);
}

int main(void)
{
    struct ds_error err = {DS_OK, ""};
    if (dicom_init(&err) != DS_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_status_has_its_verdict),
        cmocka_unit_test(each_failure_has_its_verdict),
        cmocka_unit_test(a_link_that_cannot_be_opened_blames_no_instance),
        cmocka_unit_test(a_warning_counts_as_delivered),
        cmocka_unit_test(one_association_carries_many_instances),
        cmocka_unit_test(prepared_contexts_share_an_association),
        cmocka_unit_test(a_context_that_is_not_accepted_is_permanent),
        cmocka_unit_test(answers_are_judged_and_the_link_goes_on),
        cmocka_unit_test(a_peer_that_restarts_is_found_again),
        cmocka_unit_test(a_rejection_for_good_is_permanent),
        cmocka_unit_test(more_contexts_than_fit_begin_a_new_set),
        cmocka_unit_test(another_program_receives_the_very_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
