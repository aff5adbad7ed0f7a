/* SPDX-License-Identifier: Apache-2.0 */
#include "node/operator.h"

#include "base/clock.h"
#include "db/operate.h"

#include <stdarg.h>

#define LIMIT_DEFAULT 1000U

const struct control_verb operator_verbs[] = {
    {"delivery list", operator_delivery_list},
    {"delivery show", operator_delivery_show},
    {"delivery retry", operator_delivery_retry},
    {"delivery cancel", operator_delivery_cancel},
    {"study list", operator_study_list},
    {"study show", operator_study_show},
    {"study complete", operator_study_complete},
    {"peer list", operator_peer_list},
    {"peer echo", operator_peer_echo},
    {"peer pause", operator_peer_pause},
    {"peer resume", operator_peer_resume},
    {"audit read-back", operator_read_back},
    {"audit read-back-show", operator_read_back_show},
    {"quarantine list", operator_quarantine_list},
    {"quarantine show", operator_quarantine_show},
    {"quarantine read", operator_quarantine_read},
    {"quarantine release", operator_quarantine_release},
    {"quarantine discard", operator_quarantine_discard},
    {"audit log", operator_audit_log},
    {"audit export", operator_audit_export},
    {"audit prove", operator_audit_prove},
    {"audit head", operator_audit_head},
    {"audit seen", operator_audit_seen},
    {"audit prefix", operator_audit_prefix},
    {"audit verify", operator_audit_verify},
    {"audit witness", operator_audit_witness},
    {NULL, NULL},
};

enum ds_status operator_db(struct services *s, struct db **out, struct ds_error *err)
{
    *out = services_db(s);
    return *out != NULL ? DS_OK : ds_fail(err, DS_EIO, "the node's database is away; try again");
}

enum ds_status operator_arguments(const struct control_request *r, struct ds_error *err,
                                  const char *fmt, ...)
{
    json_error_t why;
    va_list args;
    va_start(args, fmt);
    const int failed = json_vunpack_ex(r->arguments, &why, JSON_STRICT, fmt, args);
    va_end(args);
    return failed == 0 ? DS_OK : ds_fail(err, DS_EINVAL, "arguments: %s", why.text);
}

json_t *operator_time(int64_t utc_us)
{
    char text[DS_CLOCK_TEXT_BYTES];
    if (utc_us == 0) {
        return json_null();
    }
    ds_clock_format_utc(utc_us, text);
    return json_string(text);
}

enum ds_status operator_limit(json_int_t wanted, unsigned *out, struct ds_error *err)
{
    *out = wanted == 0 ? LIMIT_DEFAULT : (unsigned)wanted;
    return wanted < 0 || wanted > (json_int_t)DB_LIST_MAX
               ? ds_fail(err, DS_EINVAL, "the limit is 1 to %u", DB_LIST_MAX)
               : DS_OK;
}
