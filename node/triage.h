/* SPDX-License-Identifier: Apache-2.0 */
/*
 * triage - what a rule does with each class of instance.
 *
 * The one place that decides it: an image is protected or recovered by the rule's own way; what is
 * no image, and what carries already, is settled here before.
 */
#ifndef DICOMSTEGO_NODE_TRIAGE_H
#define DICOMSTEGO_NODE_TRIAGE_H

#include "node/planner.h"

enum triage_class {
    TRIAGE_IMAGE,  /* pixels; what feeds measurement among them is carrier_plan_add's to spare */
    TRIAGE_OBJECT, /* no pixels and no report: key objects, presentation states, RT plans ... */
    TRIAGE_REPORT, /* a report as a DICOM object */
    TRIAGE_MARKED, /* a carrier, or what was restored from one */
};
enum triage_class triage_class_of(const struct db_instance *instance);

enum triage_way {
    TRIAGE_RULE, /* the rule's own: protected (an object: by a sidecar), recovered, or sent by a
                    rule that does neither */
    TRIAGE_SEAL, /* travels inside the images, not by itself */
    TRIAGE_SEND, /* as it is */
    TRIAGE_HOLD, /* its deliveries wait */
    TRIAGE_DROP, /* not sent, with an event */
};

struct triage {
    enum triage_way way;
    const char *note; /* why, for deliveries and events; "" where nothing is to be said */
};

/* Pure. */
struct triage triage_of(enum triage_class class, const struct config_rule *rule);

/* Settles in the draft what does not go the rule's own way. due->instances and due->count: of the
 * pending instances, what is left for it. */
DS_CHECKED enum ds_status triage_settle(struct due_study *due, struct draft *draft,
                                        struct ds_error *err);

#endif
