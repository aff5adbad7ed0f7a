/* SPDX-License-Identifier: Apache-2.0 */
#include "node/transparency.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_unfit(enum db_back_profile profile)
{
    return profile != DB_PROFILE_UNKNOWN && profile != DB_PROFILE_TRANSPARENT;
}

static enum ds_status look_at(struct db *db, const char *peer, struct transparency *out,
                              struct ds_error *err)
{
    struct db_peer_profile *found = NULL;
    size_t count = 0;
    const enum ds_status s = db_peer_profiles(db, peer, &found, &count, err);
    if (s == DS_OK && count == 1 && is_unfit(found->profile)) {
        out->profiles[out->count++] = *found;
    }
    free(found);
    return s;
}

enum ds_status transparency_find(const struct due_study *due, struct transparency *out,
                                 struct ds_error *err)
{
    const struct config_list *peers = &due->rule->send_to;
    *out = (struct transparency){0};
    if (!due->rule->protect.require_transparent) {
        return DS_OK;
    }
    out->profiles = calloc(peers->count + 1, sizeof(*out->profiles));
    enum ds_status s = out->profiles != NULL ? DS_OK : ds_fail(err, DS_ENOMEM, "out of memory");
    for (size_t i = 0; s == DS_OK && i < peers->count; i++) {
        s = look_at(due->db, peers->items[i], out, err);
    }
    out->all = s == DS_OK && out->count > 0 && out->count == peers->count;
    return s;
}

void transparency_free(struct transparency *t)
{
    free(t->profiles);
    *t = (struct transparency){0};
}

void transparency_note(const struct transparency *t, const char *peer,
                       char note[TRANSPARENCY_NOTE_BYTES])
{
    note[0] = '\0';
    for (size_t i = 0; i < t->count; i++) {
        if (strcmp(t->profiles[i].peer, peer) == 0) {
            (void)snprintf(note, TRANSPARENCY_NOTE_BYTES,
                           "not protected: read back, the peer is not transparent (%s)",
                           db_back_profile_name(t->profiles[i].profile));
        }
    }
}

void transparency_replace(struct db_planned_delivery *d, enum config_unsuitable unsuitable,
                          bool again, const char *note)
{
    d->note = note;
    if (unsuitable == CONFIG_UNSUITABLE_SIDECAR) {
        d->action = DB_SEND_SIDECAR;
        return;
    }
    d->action = DB_SEND_AS_IS;
    d->capsule = DRAFT_NO_CAPSULE;
    d->share_index = -1;
    d->with_key_block = false;
    d->with_certificate = false;
    d->held = again || unsuitable == CONFIG_UNSUITABLE_HOLD;
}

enum ds_status transparency_say(const struct transparency *t, const struct due_study *due,
                                struct ds_error *err)
{
    enum ds_status s = DS_OK;
    for (size_t i = 0; s == DS_OK && i < t->count; i++) {
        const char *profile = db_back_profile_name(t->profiles[i].profile);
        ds_log(DS_LOG_WARNING, "node",
               "study=%lld rule=\"%s\" peer=%s gets no carriers: read back, it is not transparent "
               "(%s)",
               (long long)due->study->study_id, due->rule->name, t->profiles[i].peer, profile);
        const struct db_event event = {.kind = "not-protected",
                                       .study_id = due->study->study_id,
                                       .actor = "node",
                                       .peer = t->profiles[i].peer,
                                       .outcome = profile};
        s = db_event_add(due->db, &event, 1, err);
    }
    return s;
}
