/* SPDX-License-Identifier: Apache-2.0 */
/*
 * completer - decides that a study is complete, and has its generation planned.
 *
 * Complete is a study that nothing was added to for the rule's time, or of which somebody whom the
 * rule hears said that it is, or whose first instance has waited for the longest time; and whose
 * report has come, or was waited for long enough. Instances that arrive later are the next
 * generation.
 */
#ifndef DICOMSTEGO_NODE_COMPLETER_H
#define DICOMSTEGO_NODE_COMPLETER_H

#include "node/services.h"

struct completer;

DS_CHECKED enum ds_status completer_start(struct completer **out, struct services *services,
                                          struct ds_error *err);
/* After services_stop. Returns false when the thread did not end in time: it is then left alone. */
DS_CHECKED bool completer_stop(struct completer *c, int64_t until_ms);

/* Pure: what a study of this age is due for under the rule. has_all: it has as many instances as
 * its source says. An operator's word also ends the wait for the report. */
enum completer_verdict {
    COMPLETER_NOT_YET,
    COMPLETER_WAITS_FOR_REPORT,
    COMPLETER_HELD,
    COMPLETER_DUE
};
enum completer_verdict completer_judge(const struct config_rule *rule,
                                       const struct db_pending_study *study, bool has_all);

#endif
