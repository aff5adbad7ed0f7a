/* SPDX-License-Identifier: Apache-2.0 */
#include "node/circuit.h"

#include "base/log.h"
#include "node/backoff.h"

#include <stdio.h>
#include <string.h>

/* One that broke the association that often says nothing about the peer any more. */
#define FRESH_ATTEMPTS 2U

void circuit_init(struct circuit *c, const struct config_peer *peer)
{
    memset(c, 0, sizeof(*c));
    (void)pthread_mutex_init(&c->lock, NULL);
    c->peer = peer;
    c->news = true; /* what an earlier process said of this peer is no longer true */
}

void circuit_finish(struct circuit *c)
{
    (void)pthread_mutex_destroy(&c->lock);
}

/* ---- with the lock held ---- */

static void change(struct circuit *c, enum db_circuit_state state)
{
    c->news = c->news || c->state != state || state == DB_CIRCUIT_OPEN;
    c->state = state;
    c->suspect_count = 0;
}

static void open_circuit(struct circuit *c, int64_t now_ms, bool for_good)
{
    const struct config_retry *retry = &c->peer->retry;
    const int64_t pause = for_good ? retry->cap_ms : backoff_for(retry, c->failures);
    c->until_ms = now_ms + pause;
    ds_log(DS_LOG_WARNING, "node",
           "peer=%s circuit=open failures=%u next_try_ms=%lld cannot be served, paused: %s",
           c->peer->name, c->failures, (long long)pause, c->cause);
    change(c, DB_CIRCUIT_OPEN);
}

static void note(struct circuit *c, const char *cause)
{
    (void)snprintf(c->cause, sizeof(c->cause), "%s", cause);
}

static bool is_suspect(const struct circuit *c, int64_t delivery)
{
    for (size_t i = 0; i < c->suspect_count; i++) {
        if (c->suspects[i] == delivery) {
            return true;
        }
    }
    return false;
}

static size_t suspects_needed(const struct circuit *c)
{
    return c->peer->circuit_after < CIRCUIT_SUSPECTS ? c->peer->circuit_after : CIRCUIT_SUSPECTS;
}

static enum circuit_leave leave_of(struct circuit *c, int64_t now_ms)
{
    if (now_ms < c->until_ms) {
        return CIRCUIT_WAIT;
    }
    if (c->state == DB_CIRCUIT_CLOSED) {
        return CIRCUIT_GO;
    }
    if (c->trying) {
        return CIRCUIT_WAIT;
    }
    c->trying = true;
    return c->state == DB_CIRCUIT_OPEN ? CIRCUIT_PROBE : CIRCUIT_TRY;
}

/* ---- for the workers ---- */

void circuit_hurry(struct circuit *c, unsigned hurries)
{
    (void)pthread_mutex_lock(&c->lock);
    if (c->hurries != hurries) {
        c->hurries = hurries;
        c->until_ms = 0;
    }
    (void)pthread_mutex_unlock(&c->lock);
}

enum circuit_leave circuit_ask(struct circuit *c, int64_t now_ms)
{
    (void)pthread_mutex_lock(&c->lock);
    const enum circuit_leave leave = leave_of(c, now_ms);
    (void)pthread_mutex_unlock(&c->lock);
    return leave;
}

void circuit_probed(struct circuit *c)
{
    (void)pthread_mutex_lock(&c->lock);
    c->trying = false;
    if (c->state == DB_CIRCUIT_OPEN) {
        ds_log(DS_LOG_INFO, "node", "peer=%s circuit=half-open: it answers C-ECHO", c->peer->name);
        change(c, DB_CIRCUIT_HALF_OPEN);
    }
    (void)pthread_mutex_unlock(&c->lock);
}

void circuit_tried(struct circuit *c)
{
    (void)pthread_mutex_lock(&c->lock);
    c->trying = false;
    (void)pthread_mutex_unlock(&c->lock);
}

/* Several workers meet the same dead peer at once: one failure is counted for each pause. */
void circuit_link_failed(struct circuit *c, bool for_good, const char *cause, int64_t now_ms)
{
    (void)pthread_mutex_lock(&c->lock);
    c->trying = false;
    if (now_ms >= c->until_ms) {
        note(c, cause);
        c->failures++;
        if (for_good || c->failures >= c->peer->circuit_after || c->state != DB_CIRCUIT_CLOSED) {
            open_circuit(c, now_ms, for_good);
        } else {
            const int64_t pause = backoff_for(&c->peer->retry, c->failures);
            c->until_ms = now_ms + pause;
            ds_log(DS_LOG_WARNING, "node",
                   "peer=%s failures=%u next_try_ms=%lld cannot be served, paused: %s",
                   c->peer->name, c->failures, (long long)pause, cause);
        }
    }
    (void)pthread_mutex_unlock(&c->lock);
}

bool circuit_broke(struct circuit *c, int64_t delivery, unsigned attempts, const char *cause,
                   int64_t now_ms)
{
    (void)pthread_mutex_lock(&c->lock);
    if (c->state != DB_CIRCUIT_OPEN && attempts < FRESH_ATTEMPTS && !is_suspect(c, delivery)) {
        c->suspects[c->suspect_count++] =
            delivery; /* fewer than needed, which is at most the room */
        if (c->suspect_count >= suspects_needed(c)) {
            note(c, cause);
            c->failures++;
            open_circuit(c, now_ms, false);
        }
    }
    const bool goes_on = c->state != DB_CIRCUIT_OPEN;
    (void)pthread_mutex_unlock(&c->lock);
    return goes_on;
}

void circuit_answered(struct circuit *c)
{
    (void)pthread_mutex_lock(&c->lock);
    if (c->state != DB_CIRCUIT_CLOSED) {
        ds_log(DS_LOG_INFO, "node", "peer=%s circuit=closed: it stores again", c->peer->name);
    }
    c->failures = 0;
    c->until_ms = 0;
    c->cause[0] = '\0';
    change(c, DB_CIRCUIT_CLOSED);
    (void)pthread_mutex_unlock(&c->lock);
}

bool circuit_report(struct circuit *c, int64_t now_ms, struct db_circuit *out,
                    char cause[DS_ERROR_TEXT_BYTES])
{
    (void)pthread_mutex_lock(&c->lock);
    const bool news = c->news;
    c->news = false;
    memcpy(cause, c->cause, DS_ERROR_TEXT_BYTES);
    *out = (struct db_circuit){.state = c->state,
                               .failures = c->failures,
                               .cause = cause,
                               .next_try_in_ms = c->until_ms > now_ms ? c->until_ms - now_ms : 0};
    (void)pthread_mutex_unlock(&c->lock);
    return news;
}

void circuit_unreported(struct circuit *c)
{
    (void)pthread_mutex_lock(&c->lock);
    c->news = true;
    (void)pthread_mutex_unlock(&c->lock);
}
