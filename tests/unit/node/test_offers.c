/* SPDX-License-Identifier: Apache-2.0 */
#include "node/offers.h"

#include "base/clock.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static struct dicom_commitment_item item = {"1.2", "1.2.3", 0};
static const struct dicom_commitment report = {"2.25.1", &item, 1};

/* An association: takes what there is for its peer, once, and ends with it as told. */
struct association {
    struct offers *offers;
    const char *ae;
    bool answers_well;
    bool found;
};

static void *serve(void *context)
{
    struct association *a = context;
    struct dicom_commitment c;
    uint64_t token = 0;
    for (int i = 0; i < 2000 && !a->found; i++) {
        a->found = offers_take(a->offers, a->ae, &c, &token);
        const struct timespec pause = {0, 5000000};
        (void)nanosleep(&pause, NULL);
    }
    if (a->found) {
        /* The offer is taken: nobody else gets it. */
        struct dicom_commitment other;
        uint64_t none = 0;
        if (offers_take(a->offers, a->ae, &other, &none) || c.count != 1 ||
            strcmp(c.transaction_uid, "2.25.1") != 0) {
            a->found = false;
        }
        offers_done(a->offers, token, a->answers_well);
        dicom_commitment_free(&c);
    }
    return NULL;
}

static enum offers_result put_while(bool answers_well, const char *ae)
{
    struct offers *o;
    assert_int_equal(offers_new(&o, NULL), DS_OK);
    struct association a = {o, ae, answers_well, false};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, serve, &a), 0);
    const enum offers_result result = offers_put(o, "CT1", &report, 60000);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(a.found);
    offers_free(o);
    return result;
}

static void an_association_of_the_peer_takes_it_and_answers(void **state)
{
    (void)state;
    assert_int_equal(put_while(true, "CT1"), OFFERS_TAKEN);
    assert_int_equal(put_while(false, "CT1"), OFFERS_REFUSED);
}

static void nobody_elses_association_gets_it(void **state)
{
    (void)state;
    struct offers *o;
    struct dicom_commitment c;
    uint64_t token;
    assert_int_equal(offers_new(&o, NULL), DS_OK);
    assert_false(offers_is_there(o, "CT1"));
    assert_false(offers_take(o, "CT2", &c, &token));
    assert_true(offers_is_there(o, "CT2"));
    assert_false(offers_is_there(o, "CT1"));
    assert_int_equal(offers_put(o, "CT1", &report, 20), OFFERS_NOT_TAKEN);
    assert_false(offers_take(o, "CT1", &c, &token)); /* it is withdrawn */
    offers_done(o, 99, true);                        /* of one that is gone */
    offers_free(o);
}

/* More callers than there is room for: the oldest is forgotten, and called instead. */
static void what_does_not_fit_is_forgotten(void **state)
{
    (void)state;
    struct offers *o;
    assert_int_equal(offers_new(&o, NULL), DS_OK);
    for (unsigned i = 0; i < 200; i++) {
        char ae[DICOM_AE_BYTES];
        (void)snprintf(ae, sizeof(ae), "AE%u", i);
        offers_heard(o, ae);
        assert_true(offers_is_there(o, ae));
    }
    offers_free(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_association_of_the_peer_takes_it_and_answers),
        cmocka_unit_test(nobody_elses_association_gets_it),
        cmocka_unit_test(what_does_not_fit_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
