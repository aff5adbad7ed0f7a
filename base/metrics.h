/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics - what the process counts of itself, and its form for Prometheus.
 *
 * The families are fixed, a table in metrics.c: name, kind, help, label names. A series is a family
 * with its label values and comes into being when it is first counted. Counting allocates nothing
 * and takes no lock: series lie in a table of fixed size, and when that is full
 * DS_METRIC_SERIES_DROPPED grows instead. Any thread may count and render.
 *
 * Label values are names from the configuration, AE titles of peers in it, and words of our own:
 * never a UID, a patient's data, or what an unknown caller chose.
 */
#ifndef DICOMSTEGO_BASE_METRICS_H
#define DICOMSTEGO_BASE_METRICS_H

#include "base/base.h"
#include "base/bytes.h"

#include <stdbool.h>
#include <stdint.h>

enum ds_metric {
    DS_METRIC_BUILD_INFO, /* version */
    /* intake */
    DS_METRIC_RECEIVED_INSTANCES,   /* calling_ae */
    DS_METRIC_RECEIVED_BYTES,       /* calling_ae */
    DS_METRIC_STORE_ANSWERS,        /* status */
    DS_METRIC_ASSOCIATIONS,         /* - */
    DS_METRIC_ASSOCIATIONS_OPEN,    /* - */
    DS_METRIC_ASSOCIATIONS_REFUSED, /* reason */
    DS_METRIC_INTAKE_SECONDS,       /* - */
    DS_METRIC_SPOOL_FREE,           /* - */
    DS_METRIC_SPOOL_MIN_FREE,       /* - */
    /* index and plans */
    DS_METRIC_INDEXED,           /* - */
    DS_METRIC_INDEX_LAG,         /* - */
    DS_METRIC_STUDIES_COMPLETED, /* - */
    DS_METRIC_RECOVERED,         /* - */
    DS_METRIC_REFUSED,           /* - */
    DS_METRIC_QUARANTINED,       /* class */
    DS_METRIC_QUARANTINE_HELD,   /* class */
    /* deliveries */
    DS_METRIC_DELIVERY_ATTEMPTS,  /* peer, outcome */
    DS_METRIC_SENT_BYTES,         /* peer */
    DS_METRIC_SEND_SECONDS,       /* peer */
    DS_METRIC_PROTECT_SECONDS,    /* - */
    DS_METRIC_PROVE_SECONDS,      /* - */
    DS_METRIC_DELIVERIES,         /* peer, state */
    DS_METRIC_OLDEST_UNDELIVERED, /* peer */
    DS_METRIC_PEER_PAUSED,        /* peer */
    DS_METRIC_PEER_CIRCUIT,       /* peer */
    DS_METRIC_COMMITMENTS,        /* peer, outcome */
    DS_METRIC_DELETED,            /* - */
    DS_METRIC_READ_BACK,          /* peer, outcome */
    DS_METRIC_PEER_PROFILE,       /* peer, profile */
    /* audit messages */
    DS_METRIC_AUDIT_MESSAGES, /* outcome */
    DS_METRIC_AUDIT_LAG,      /* - */
    /* what it stands on */
    DS_METRIC_DATABASE_UP,      /* - */
    DS_METRIC_DATABASE_LATENCY, /* - */
    DS_METRIC_LOG_EVENTS,       /* - */
    DS_METRIC_LOG_WAITING,      /* - */
    DS_METRIC_LOG_FINDINGS,     /* - */
    DS_METRIC_SERIES_DROPPED,   /* - */
    DS_METRIC_PROCESS_MEMORY,   /* - */
    DS_METRIC_PROCESS_CPU,      /* - */
    DS_METRIC_PROCESS_FDS,      /* - */
    DS_METRIC_PROCESS_MAX_FDS,  /* - */
    DS_METRIC_PROCESS_START,    /* - */
    DS_METRIC_COUNT
};

enum ds_metric_kind {
    DS_METRIC_COUNTER,   /* ds_metric_add */
    DS_METRIC_READING,   /* a counter that somebody else keeps: ds_metric_set */
    DS_METRIC_GAUGE,     /* ds_metric_set, ds_metric_change */
    DS_METRIC_HISTOGRAM, /* ds_metric_observe, of durations */
};

#define DS_METRIC_LABELS_MAX  2U
#define DS_METRIC_LABEL_BYTES 68U /* a value with its terminator; a longer one is cut */

struct ds_metric_family {
    const char *name, *help;
    enum ds_metric_kind kind;
    const char *labels[DS_METRIC_LABELS_MAX]; /* names; NULL: fewer */
};
/* The table, DS_METRIC_COUNT long. */
const struct ds_metric_family *ds_metric_families(void);

/* first, second: the values of the family's labels; NULL for a label that it has not. */
void ds_metric_add(enum ds_metric m, const char *first, const char *second, uint64_t n);
void ds_metric_set(enum ds_metric m, const char *first, const char *second, double value);
void ds_metric_change(enum ds_metric m, const char *first, const char *second, double by);
void ds_metric_observe(enum ds_metric m, const char *first, int64_t duration_us);

/* Appends every series in the text format 0.0.4. DS_EFORMAT when out's maximum is too small. */
DS_CHECKED enum ds_status ds_metrics_render(struct ds_bytes *out, struct ds_error *err);

#endif
