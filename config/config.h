/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config - the YAML configuration, checked against a table of keys, immutable once loaded.
 *
 * An unknown key, a wrong unit, a value out of range or the name of a peer that is not there is
 * refused with "FILE:LINE:COLUMN: what; expected what". All strings belong to the config. Relative
 * paths are made absolute: keys and certificates against the configuration file's folder, state_dir
 * and reports folder likewise. A config may be read from many threads.
 */
#ifndef DICOMSTEGO_CONFIG_CONFIG_H
#define DICOMSTEGO_CONFIG_CONFIG_H

#include "base/base.h"
#include "base/error.h"
#include "base/log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config_list {
    char **items;
    size_t count;
};

enum config_tls { CONFIG_TLS_NONE, CONFIG_TLS_SERVER, CONFIG_TLS_MUTUAL };

enum config_right { /* bits of config_peer.may */
                    CONFIG_MAY_ECHO = 1,
                    CONFIG_MAY_STORE = 2,
                    CONFIG_MAY_FIND = 4,
                    CONFIG_MAY_MOVE = 8,
                    CONFIG_MAY_GET = 16,
                    CONFIG_MAY_COMMIT = 32,
};

/* Whether we ask a peer to answer for what we sent it. */
enum config_commitment {
    CONFIG_COMMITMENT_NONE,
    CONFIG_COMMITMENT_ASK,
    CONFIG_COMMITMENT_REQUIRED
};

/* What follows a try that failed in passing: first x factor^(n-1), at most cap, spread by jitter
 * either way. */
struct config_retry {
    int64_t first_ms, cap_ms;
    unsigned factor;
    unsigned jitter_percent;
    unsigned attempts; /* of one delivery, after which it is a dead letter; 0: no limit */
};

/* Minutes of the day in local time. to is not in it; from > to: over midnight. */
struct config_window {
    uint16_t from, to;
};
#define CONFIG_WINDOWS_MAX 8U
struct config_windows {
    struct config_window items[CONFIG_WINDOWS_MAX];
    size_t count; /* 0: always open */
};

/* When and how what a peer was sent is read back. */
struct config_read_back {
    int64_t every_ms;             /* scheduled so often; 0: only when an operator asks */
    unsigned sample;              /* instances of a scheduled run; default 200 */
    struct config_windows window; /* when a scheduled run goes on */
    unsigned rate;                /* instances a second at most; default 10 */
    char *ae_title;               /* asked for what it holds; NULL: the peer's own */
};

struct config_peer {
    char *name;
    char *ae_title;
    struct config_list hosts; /* CIDR blocks or addresses it may call from; empty: any */
    char *host;               /* NULL: we never call it */
    uint16_t port;
    enum config_tls tls;   /* how we call it; mutual: it must also call us over TLS */
    char *certificate;     /* PEM path: recipient of capsules, trusted signer, TLS peer; or NULL */
    unsigned may;          /* default: echo, store */
    unsigned associations; /* default 2 */
    int64_t timeout_ms; /* whole seconds: to connect and negotiate, then of silence; default 30 s */
    enum config_commitment commitment; /* default none */
    int64_t commitment_timeout_ms;     /* for its report; default 24 h */
    struct config_retry retry;
    unsigned circuit_after;            /* failures of the link in a row that open the circuit */
    uint64_t bandwidth;                /* bytes a second over all associations; 0: no limit */
    struct config_windows send_window; /* when it is sent to; STAT goes at any time */
    bool retain_uids;                  /* carriers for it keep the originals' UIDs; default false */
    struct config_read_back read_back;
};

enum config_completion { /* bits of config_rule.complete_on */
                         CONFIG_ON_COMMITMENT = 1,
                         CONFIG_ON_REPORT = 2,
                         CONFIG_ON_COUNT = 4,
};

enum config_payload { CONFIG_PAYLOAD_REPORT, CONFIG_PAYLOAD_INTEGRITY };
enum config_unsuitable {
    CONFIG_UNSUITABLE_PASS,
    CONFIG_UNSUITABLE_SIDECAR,
    CONFIG_UNSUITABLE_HOLD
};
enum config_attributes { CONFIG_ATTRIBUTES_AUTO, CONFIG_ATTRIBUTES_ALL, CONFIG_ATTRIBUTES_CHANGED };
enum config_effort { CONFIG_EFFORT_FAST, CONFIG_EFFORT_BALANCED, CONFIG_EFFORT_BEST };

enum config_hash { CONFIG_HASH_SHA256, CONFIG_HASH_BLAKE3 };
enum config_method { CONFIG_METHOD_RDH, CONFIG_METHOD_LSB };

enum config_measurement { /* bits of config_protect.measurement */
                          CONFIG_MEASURES_RT_DOSE = 1,
                          CONFIG_MEASURES_SEGMENTATION = 2,
                          CONFIG_MEASURES_PARAMETRIC_MAP = 4,
                          CONFIG_MEASURES_PET = 8,
};

struct config_protect {
    enum config_payload payload;
    struct config_list recipients;     /* peer names, each with a certificate */
    unsigned redundancy_percent;       /* default 25 */
    enum config_unsuitable unsuitable; /* default pass */
    unsigned measurement;              /* what software computes with and is changed all the same */
    enum config_attributes
        attributes;            /* whether the whole header travels in the capsule; default auto */
    enum config_method method; /* default rdh, the reversible engine */
    unsigned planes;           /* of lsb: least significant bits that are replaced; default 1 */
    unsigned dna_rule;         /* of lsb: 1 to 8; 0 (left out): no DNA code */
    bool reversible;           /* of lsb: the replaced bits travel along; default false */
    bool allow_irreversible;   /* or their loss is accepted; default false */
    bool keep_bitstream;       /* of compressed originals, where it fits; default false */
    enum config_effort effort; /* default fast */
    unsigned max_difference;   /* of any pixel; 0 (left out): no limit */
    unsigned min_psnr_db;      /* of each image, peak 2^BitsStored - 1; 0 (left out): no limit */
    bool use_padding;          /* declared padding may be changed; default false */
    bool require_transparent;  /* what goes to a peer that was seen to alter or drop what it was
                                  sent is unsuitable; default false */
    /* "smallest" or "same" alone, or UIDs of lossless transfer syntaxes in order of preference;
     * empty: Explicit, then Implicit VR Little Endian. */
    struct config_list carrier_syntax;
};

enum config_report_as {
    CONFIG_REPORT_AS_DICOM,
    CONFIG_REPORT_NONE
}; /* encapsulated_pdf|sr by type */
struct config_recover {
    enum config_report_as report_as;
};

/* Instances without pixels that are no reports. */
enum config_objects { CONFIG_OBJECTS_SEND, CONFIG_OBJECTS_HOLD, CONFIG_OBJECTS_DROP };
/* Reports that come as DICOM objects. Left out: seal where the payload is a report, hold where it
 * is integrity, else send. */
enum config_reports {
    CONFIG_REPORTS_LEFT_OUT, /* only while loading */
    CONFIG_REPORTS_SEAL,
    CONFIG_REPORTS_SEND,
    CONFIG_REPORTS_HOLD,
    CONFIG_REPORTS_DROP
};
/* Which of several instances with one SOP Instance UID and different contents is sent. */
enum config_collision {
    CONFIG_COLLISION_NEWEST,
    CONFIG_COLLISION_FIRST,
    CONFIG_COLLISION_BOTH,
    CONFIG_COLLISION_HOLD
};

/* How long originals are kept here. */
struct config_retention {
    bool given;      /* false: forever */
    int64_t keep_ms; /* since the last destination has it */
    bool after_sent; /* sent is enough; else every destination has to commit itself */
};

/* The order is that of urgency. */
enum config_priority {
    CONFIG_PRIORITY_LOW,
    CONFIG_PRIORITY_ROUTINE,
    CONFIG_PRIORITY_HIGH,
    CONFIG_PRIORITY_STAT
};

struct config_rule {
    char *name;
    unsigned line; /* in the file, for messages */
    /* when: every given condition must hold; lists match if one item does. Empty list: not asked.
     */
    struct config_list calling_ae;
    struct config_list called_ae;
    struct config_list modality;
    struct config_list study_description; /* wildcards * and ?, case-insensitive */
    int carrier;                          /* -1 not asked, 0 false, 1 true */
    int64_t complete_after_ms;            /* study_complete_after; default 60 s; 0: at once, each
                                             instance as it comes */
    int64_t complete_at_most_ms; /* since the first instance; default 30 min, or complete_after_ms
                                    when that is more */
    unsigned complete_on;        /* what says earlier that a study is complete; default: nothing */
    char *count_from;            /* the peer that is asked for the count; NULL: the one that sent */
    bool waits_for_report;       /* report: {wait: ...} given */
    int64_t report_wait_ms;
    bool report_send_without;    /* otherwise: send_without (true) or hold (false) */
    enum config_objects objects; /* default send */
    enum config_reports reports;
    enum config_collision collision; /* default newest */
    enum config_priority priority;   /* at least; default routine */
    bool has_protect;
    struct config_protect protect;
    bool has_recover;
    struct config_recover recover;
    struct config_retention retention; /* the node's, where the rule has none */
    struct config_list send_to;        /* peer names */
};

/* What of the archive a query or a retrieval is about. */
enum config_view {
    CONFIG_VIEW_ORIGINALS, /* as they came, and what was restored here */
    CONFIG_VIEW_CARRIERS,
    CONFIG_VIEW_RESTORED
};

struct config_query {
    /* AE titles of ours by which callers name another view than originals. */
    struct config_list carriers, restored;
    unsigned max_results; /* of one query; default 10000 */
    bool fuzzy_names;     /* default false */
};

/* Who collects the audit messages (DICOM PS3.15 A.5): a syslog server, over mutual TLS. */
struct config_audit {
    bool given;
    char *host;
    uint16_t port;     /* default 6514 */
    char *certificate; /* PEM path: the server's certificate, or its issuers' */
};

/* The log of all that was done (docs/provenance.md). */
struct config_provenance {
    int64_t head_every_ms; /* a signed tree head, when something was added; default 1 min */
    /* RFC 3161, of tree heads. */
    bool stamped;            /* time_stamp is given */
    char *stamp_url;         /* http or https */
    char *stamp_certificate; /* the authority's CA, PEM */
    int64_t stamp_every_ms;  /* default 1 h */
};

struct config {
    char *path;
    /* node */
    char *ae_title;
    char *site;          /* whose UIDs carriers get; default: ae_title */
    char *address;       /* NULL: all */
    uint16_t dicom_port; /* 0: no plain listener */
    uint16_t tls_port;   /* 0: no TLS listener */
    unsigned max_associations;
    int64_t dicom_timeout_ms; /* whole seconds: of silence of who calls us; default 60 s */
    struct config_list transfer_syntaxes; /* UIDs; empty: all */
    bool only_known_sop_classes;          /* default false: private and future ones too */
    char *web_address;
    uint16_t web_port; /* 0: no web port */
    char *state_dir;
    /* Nodes on one database that see the same archive folder under the same path have this name in
     * common and deliver each other's instances; NULL: each its own. */
    char *shared_archive;
    uint64_t min_free_bytes;
    enum config_hash hash;  /* by which the spool knows what it received; default sha256 */
    uint64_t journal_bytes; /* of the spool, at most */
    struct config_retention retention;
    bool delete_when_full;   /* disk_full: delete_delivered; default false */
    char *key, *certificate; /* PEM paths; may be NULL when no rule needs them */
    enum ds_log_level log_level;
    enum ds_log_format log_format; /* default text */
    char *control_group;           /* whose members may command the node; NULL: none */
    char *reports_folder;          /* drop folder; NULL: none */
    struct config_query query;
    char *database_url;         /* NULL: the private PostgreSQL under state_dir */
    struct config_audit audit;  /* needs key and certificate */
    char *database_migrate_url; /* as the tables' owner; NULL: the same */
    struct config_provenance provenance;
    struct config_peer *peers;
    size_t peer_count;
    struct config_rule *rules;
    size_t rule_count;
};

DS_CHECKED enum ds_status config_load(struct config **out, const char *path, struct ds_error *err);
/* The same from memory; path stands in messages, and relative paths start in its folder. */
DS_CHECKED enum ds_status config_load_text(struct config **out, const char *path,
                                           const uint8_t *text, size_t len, struct ds_error *err);
void config_free(struct config *c);
void config_auto(struct config **c);

/* The lossless transfer syntaxes that carrier_syntax may name: keyword and UID. */
struct config_syntax {
    const char *keyword, *uid;
};
const struct config_syntax *config_carrier_syntaxes(size_t *count);

const struct config_peer *config_peer_named(const struct config *c, const char *name);
/* The first peer with this AE title whose hosts hold the address; NULL: unknown caller. */
const struct config_peer *config_peer_calling(const struct config *c, const char *ae_title,
                                              const char *address);

/* Of who calls us by this AE title of ours. */
enum config_view config_view_of(const struct config *c, const char *called_ae);

/* minute: of the day in local time. */
bool config_window_is_open(const struct config_windows *w, unsigned minute);

/* What a rule is matched against. */
struct config_subject {
    const char *calling_ae, *called_ae;
    const struct config_list *modalities; /* all of the study */
    const char *study_description;
    bool is_carrier;
};
/* The first rule that matches, or NULL. Total: no rule can fail. */
const struct config_rule *config_rule_for(const struct config *c,
                                          const struct config_subject *subject);

#endif
