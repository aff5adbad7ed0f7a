/* SPDX-License-Identifier: Apache-2.0 */
#include "scu/scu.h"

#include "scu/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Identifiers are odd and one byte, and Verification has one (PS3.8 9.3.2.2). */
#define MAX_CONTEXTS 127U

struct owned_context {
    char sop_class_uid[DICOM_UID_BYTES];
    char transfer_syntax[DICOM_UID_BYTES];
};

struct scu_link {
    struct scu_options options;
    struct dicom_requestor *association; /* NULL: none open */
    bool unreachable;                    /* the last try to open one failed */
    struct owned_context contexts[MAX_CONTEXTS];
    size_t count;
};

static struct scu_outcome outcome_of(enum scu_verdict verdict)
{
    struct scu_outcome o = {.verdict = verdict, .dimse_status = 0, .answered = false, .cause = ""};
    return o;
}

/* What a failure without a DIMSE status means for a retry. */
static struct scu_outcome failure(const struct scu_link *l, enum ds_status status,
                                  const struct ds_error *err)
{
    struct scu_outcome o = outcome_of(scu_verdict_of_failure(status));
    o.of_link = l->unreachable;
    memcpy(o.cause, err->text, sizeof(o.cause));
    return o;
}

enum ds_status scu_link_new(struct scu_link **out, const struct dicom_requestor_options *options,
                            struct ds_error *err)
{
    *out = NULL;
    struct scu_link *l = calloc(1, sizeof(*l));
    if (l == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory for a link");
    }
    const enum ds_status st = scu_options_copy(&l->options, options, err);
    if (st != DS_OK) {
        scu_link_free(l);
        return st;
    }
    *out = l;
    return DS_OK;
}

void scu_link_release(struct scu_link *l)
{
    dicom_requestor_close(l->association);
    l->association = NULL;
}

void scu_link_free(struct scu_link *l)
{
    if (l == NULL) {
        return;
    }
    scu_link_release(l);
    scu_options_free(&l->options);
    free(l);
}

static bool has_context(const struct scu_link *l, const struct dicom_context *c)
{
    for (size_t i = 0; i < l->count; i++) {
        if (strcmp(l->contexts[i].sop_class_uid, c->sop_class_uid) == 0 &&
            strcmp(l->contexts[i].transfer_syntax, c->transfer_syntax) == 0) {
            return true;
        }
    }
    return false;
}

static enum ds_status add_context(struct scu_link *l, const struct dicom_context *c,
                                  struct ds_error *err)
{
    const size_t class_len = strnlen(c->sop_class_uid, DICOM_UID_BYTES);
    const size_t syntax_len = strnlen(c->transfer_syntax, DICOM_UID_BYTES);
    if (class_len == DICOM_UID_BYTES || syntax_len == DICOM_UID_BYTES) {
        return ds_fail(err, DS_EINVAL, "a UID has at most 64 characters");
    }
    if (l->count == MAX_CONTEXTS) {
        return ds_fail(err, DS_EINVAL, "more than %u presentation contexts", MAX_CONTEXTS);
    }
    struct owned_context *o = &l->contexts[l->count++];
    memcpy(o->sop_class_uid, c->sop_class_uid, class_len + 1);
    memcpy(o->transfer_syntax, c->transfer_syntax, syntax_len + 1);
    return DS_OK;
}

/* Adds what is missing to the set; *grew: the association of before does not suffice. A set that
 * would not fit is begun anew, so that a link in long use does not carry every class it has ever
 * seen. */
static enum ds_status want(struct scu_link *l, const struct dicom_context *contexts, size_t count,
                           bool *grew, struct ds_error *err)
{
    *grew = false;
    if (count > MAX_CONTEXTS) {
        return ds_fail(err, DS_EINVAL, "%zu presentation contexts: at most %u fit", count,
                       MAX_CONTEXTS);
    }
    size_t missing = 0;
    for (size_t i = 0; i < count; i++) {
        missing += has_context(l, &contexts[i]) ? 0 : 1;
    }
    if (l->count + missing > MAX_CONTEXTS) {
        l->count = 0;
    }
    enum ds_status st = DS_OK;
    for (size_t i = 0; i < count && st == DS_OK; i++) {
        if (!has_context(l, &contexts[i])) {
            *grew = true;
            st = add_context(l, &contexts[i], err);
        }
    }
    return st;
}

static enum ds_status open_association(struct scu_link *l, struct ds_error *err)
{
    struct dicom_context contexts[MAX_CONTEXTS];
    for (size_t i = 0; i < l->count; i++) {
        contexts[i].sop_class_uid = l->contexts[i].sop_class_uid;
        contexts[i].transfer_syntax = l->contexts[i].transfer_syntax;
    }
    return dicom_requestor_open(&l->association, &l->options.view, contexts, l->count, err);
}

/* An association that the peer ended while it was idle is nobody's failure. */
static enum ds_status ensure(struct scu_link *l, const struct dicom_context *contexts, size_t count,
                             struct ds_error *err)
{
    bool grew = false;
    l->unreachable = false;
    const enum ds_status st = want(l, contexts, count, &grew, err);
    if (st != DS_OK) {
        return st;
    }
    if (grew || (l->association != NULL && !dicom_requestor_usable(l->association))) {
        scu_link_release(l);
    }
    if (l->association != NULL) {
        return DS_OK;
    }
    const enum ds_status opened = open_association(l, err);
    l->unreachable = opened != DS_OK;
    return opened;
}

struct scu_outcome scu_link_prepare(struct scu_link *l, const struct dicom_context *contexts,
                                    size_t count)
{
    struct ds_error err = {DS_OK, ""};
    const enum ds_status st = ensure(l, contexts, count, &err);
    return st == DS_OK ? outcome_of(SCU_DELIVERED) : failure(l, st, &err);
}

bool scu_link_accepts(const struct scu_link *l, const char *sop_class_uid,
                      const char *transfer_syntax)
{
    return l->association != NULL &&
           dicom_requestor_accepts(l->association, sop_class_uid, transfer_syntax);
}

/* A failed association is never used again. *again: the peer had ended it, so the request may not
 * have reached anybody. A peer that was silent is not asked twice: that would take twice as long.
 */
static enum ds_status drop_broken(struct scu_link *l, enum ds_status st, bool *again)
{
    *again = false;
    if (l->association != NULL && !dicom_requestor_usable(l->association)) {
        *again = st == DS_EIO && dicom_requestor_was_cut(l->association);
        scu_link_release(l);
    }
    return st;
}

static enum ds_status send_once(struct scu_link *l, const struct scu_object *o, uint16_t *status,
                                bool *again, struct ds_error *err)
{
    const struct dicom_context context = {o->sop_class_uid, o->transfer_syntax};
    enum ds_status st = ensure(l, &context, 1, err);
    if (st == DS_OK) {
        st = dicom_requestor_store(l->association, o->sop_class_uid, o->sop_instance_uid,
                                   o->transfer_syntax, o->data, o->len, status, err);
    }
    return drop_broken(l, st, again);
}

static struct scu_outcome answered(uint16_t status)
{
    struct scu_outcome o = outcome_of(scu_verdict_of(status));
    o.dimse_status = status;
    o.answered = true;
    if (o.verdict != SCU_DELIVERED) {
        (void)snprintf(o.cause, sizeof(o.cause), "the peer answered status %04x", (unsigned)status);
    }
    return o;
}

struct scu_outcome scu_link_send(struct scu_link *l, const struct scu_object *object)
{
    struct ds_error err = {DS_OK, ""};
    uint16_t status = 0;
    bool again = false;
    /* It may also end the idle association at this very moment. The second copy, should the first
     * have arrived, is the same instance under the same UID. */
    const bool reused = l->association != NULL;
    enum ds_status st = send_once(l, object, &status, &again, &err);
    if (again && reused) {
        st = send_once(l, object, &status, &again, &err);
    }
    return st == DS_OK ? answered(status) : failure(l, st, &err);
}

static enum ds_status echo_once(struct scu_link *l, bool *again, struct ds_error *err)
{
    enum ds_status st = ensure(l, NULL, 0, err);
    st = st == DS_OK ? dicom_requestor_echo(l->association, err) : st;
    return drop_broken(l, st, again);
}

struct scu_outcome scu_link_echo(struct scu_link *l)
{
    struct ds_error err = {DS_OK, ""};
    bool again = false;
    const bool reused = l->association != NULL;
    enum ds_status st = echo_once(l, &again, &err);
    if (again && reused) {
        st = echo_once(l, &again, &err);
    }
    struct scu_outcome o = st == DS_OK ? outcome_of(SCU_DELIVERED) : failure(l, st, &err);
    o.answered = st == DS_OK;
    return o;
}
