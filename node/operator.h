/* SPDX-License-Identifier: Apache-2.0 */
/*
 * operator - the verbs of the control socket: what an operator may see of the running node, and do.
 *
 *   delivery list     {peer, state, study, ids, limit, after}            a row each
 *   delivery show     {id}                                               a row with its attempts
 *   delivery retry    {peer, state, study, ids, all}                     one row: count
 *   delivery cancel   {peer, state, study, ids, all, reason}             one row: count
 *   study list        {limit, before}                                    a row each
 *   study show        {study}                                            a row with its peers
 *   study complete    {study}                                            one row: study
 *   peer list         {}                                                 a row each
 *   peer echo         {peer}                                             one row: answered, ms,
 * cause peer pause        {peer, reason}                                     one row: changed peer
 * resume       {peer}                                             one row: changed
 *   quarantine list   {peer, state, study, class, all, limit, after}     a row each
 *   quarantine show   {id}                                               a row with its inspection
 *   quarantine read   {id, offset}                         one row: total, bytes, base64
 *   quarantine release {ids, reason, retry}                a row each: id, done, cause
 *   quarantine discard {ids, reason}                       a row each: id, done, cause
 *   audit read-back   {peer, sample, study, since}      its findings, then the run
 *   audit read-back-show {peer, run}                    the same of a run that was
 *   audit log         {study, patient, peer, kind, instance, since, until, limit}   a row each
 *   audit export      the same without limit                                        a row each
 *   audit prove       {instance}                                         a row for each line
 *   audit head        {}                                                 a row for each line
 *   audit seen        {peer}                                             a row for each line
 *   audit prefix      {log, old, size}                                   one row: hashes
 *   audit witness     {key, certificate, log, size, root, at, signature} one row: size
 *   audit verify      {}                            a row for each finding, and one of counts
 *
 * Every argument but id, study and peer (of a peer verb) may be left out. retry and cancel want a
 * condition, or all: true. Rows have no patient's data but what names a study.
 * Every argument but id, ids, offset, study and peer (of a peer verb), and the reason of a
 * decision, may be left out. retry and cancel want a condition, or all: true. Rows have no
 * patient's data but what names a study.
 */
#ifndef DICOMSTEGO_NODE_OPERATOR_H
#define DICOMSTEGO_NODE_OPERATOR_H

#include "node/control.h"
#include "node/services.h"

/* The table, for control_start; its context is the services. */
extern const struct control_verb operator_verbs[];

/* ---- for the files operator_*.c ---- */

/* DS_EIO with a text for the operator while the database is away. */
DS_CHECKED enum ds_status operator_db(struct services *s, struct db **out, struct ds_error *err);
/* json_unpack_ex(3), and what is not in the format is refused. */
DS_CHECKED enum ds_status operator_arguments(const struct control_request *r, struct ds_error *err,
                                             const char *fmt, ...);
/* "2026-01-31T23:59:59.123456Z"; null for 0. */
json_t *operator_time(int64_t utc_us);
/* The limit of a list, 1 to DB_LIST_MAX; 0 stands for the default. */
DS_CHECKED enum ds_status operator_limit(json_int_t wanted, unsigned *out, struct ds_error *err);

typedef enum ds_status operator_run(void *services, const struct control_request *request,
                                    struct control_answer *answer, struct ds_error *err);
operator_run operator_delivery_list, operator_delivery_show, operator_delivery_retry,
    operator_delivery_cancel, operator_study_list, operator_study_show, operator_study_complete,
    operator_peer_list, operator_peer_echo, operator_peer_pause, operator_peer_resume,
    operator_read_back, operator_read_back_show, operator_quarantine_list, operator_quarantine_show,
    operator_quarantine_read, operator_quarantine_release, operator_quarantine_discard,
    operator_audit_log, operator_audit_export, operator_audit_prove, operator_audit_head,
    operator_audit_seen, operator_audit_prefix, operator_audit_verify, operator_audit_witness;

#endif
