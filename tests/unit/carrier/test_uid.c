/* SPDX-License-Identifier: Apache-2.0 */
#include "carrier/carrier_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct uid {
    char text[DICOM_UID_BYTES];
};

static struct uid derived(enum carrier_uid purpose, const char *site, const char *old,
                          const uint8_t *content)
{
    struct uid u = {""};
    assert_int_equal(carrier_derived_uid(purpose, site, old, content, u.text, NULL), DS_OK);
    return u;
}

/* Written down once: a UID must not change with the program's versions. */
static void uids_are_those_that_were_given_before(void **state)
{
    (void)state;
    const struct uid u = derived(CARRIER_UID_INSTANCE, "CLINIC_A", "1.2.3.4", NULL);
    const struct uid series = derived(CARRIER_UID_SERIES, "CLINIC_A", "1.2.3.4", NULL);
    assert_string_equal(u.text, "2.25.125384296120462700690337201333494500997");
    assert_string_equal(series.text, "2.25.234664706631971257808717899500218520435");
}

static void uids_differ_by_purpose_site_old_uid_and_content(void **state)
{
    (void)state;
    static const uint8_t content[DS_SHA256_BYTES] = {1};
    static const uint8_t other[DS_SHA256_BYTES] = {2};
    const struct uid all[] = {
        derived(CARRIER_UID_INSTANCE, "A", "1.2", NULL),
        derived(CARRIER_UID_SERIES, "A", "1.2", NULL),
        derived(CARRIER_UID_INSTANCE, "B", "1.2", NULL),
        derived(CARRIER_UID_INSTANCE, "A", "1.3", NULL),
        derived(CARRIER_UID_INSTANCE, "A", "1.2", content),
        derived(CARRIER_UID_INSTANCE, "A", "1.2", other),
        derived(CARRIER_UID_INSTANCE, "", "A1.2", NULL),
    };
    for (size_t i = 0; i < DS_ARRAY_SIZE(all); i++) {
        assert_memory_equal(all[i].text, "2.25.", 5);
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(all[i].text, all[k].text);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uids_are_those_that_were_given_before),
        cmocka_unit_test(uids_differ_by_purpose_site_old_uid_and_content),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
