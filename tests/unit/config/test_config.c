/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"
#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct ds_error err;

static enum ds_status load(struct config **out, const char *text)
{
    return config_load_text(out, "/tmp/t.yaml", (const uint8_t *)text, strlen(text), &err);
}

/* The text must be refused at "LINE:COLUMN" with all the words (up to three) in the message. */
static void refused(const char *text, const char *at, const char *word, const char *other)
{
    struct config *c;
    assert_int_equal(load(&c, text), DS_ECONFIG);
    assert_null(c);
    char expected[64];
    (void)snprintf(expected, sizeof(expected), "/tmp/t.yaml:%s: ", at);
    if (strncmp(err.text, expected, strlen(expected)) != 0 || strstr(err.text, word) == NULL ||
        strstr(err.text, other) == NULL) {
        fail_msg("'%s' is not '%s' with '%s' and '%s'", err.text, expected, word, other);
    }
}

static struct config *loaded(const char *text)
{
    struct config *c;
    if (load(&c, text) != DS_OK) {
        fail_msg("%s", err.text);
    }
    return c;
}

#define NODE "node: {ae_title: A, key: k.pem, certificate: c.pem}\n"
#define PEERS                                                                                      \
    "peers:\n"                                                                                     \
    "  P: {ae_title: PP, host: p.example, port: 104, certificate: p.pem}\n"                        \
    "  Q: {ae_title: QQ}\n"
#define RULE "rules:\n- name: r\n  send_to: [P]\n"

/* ---- what is accepted ---- */

static void the_shortest_file_gets_all_defaults(void **state)
{
    (void)state;
    struct config *c = loaded("node: {ae_title: A}");
    assert_string_equal(c->ae_title, "A");
    assert_null(c->address);
    assert_int_equal(c->dicom_port, 11112);
    assert_int_equal(c->tls_port, 0);
    assert_int_equal(c->max_associations, 64);
    assert_int_equal(c->dicom_timeout_ms, 60000);
    assert_int_equal(c->transfer_syntaxes.count, 0);
    assert_false(c->only_known_sop_classes);
    assert_string_equal(c->web_address, "127.0.0.1");
    assert_int_equal(c->web_port, 8080);
    assert_string_equal(c->state_dir, "/var/lib/dicomstego");
    assert_int_equal(c->min_free_bytes, 1U << 30);
    assert_int_equal(c->journal_bytes, 1U << 30);
    assert_int_equal(c->log_level, DS_LOG_INFO);
    assert_int_equal(c->log_format, DS_LOG_TEXT);
    assert_null(c->control_group);
    assert_string_equal(c->site, "A");
    assert_null(c->key);
    assert_null(c->certificate);
    assert_null(c->reports_folder);
    assert_null(c->database_url);
    assert_int_equal(c->peer_count + c->rule_count, 0);
    config_free(c);
}

static void every_key_reaches_its_place(void **state)
{
    (void)state;
    struct config *c = loaded(
        "rules:\n" /* before the peers that it names: the order in the file does not matter */
        "- name: one\n"
        "  when: {calling_ae: [PP, QQ], called_ae: A, modality: CT, study_description: '*chest*',\n"
        "         carrier: false}\n"
        "  study_complete_after: 500 ms\n"
        "  study_complete_at_most: 10 min\n"
        "  complete_on: [report, count, commitment]\n"
        "  count_from: P\n"
        "  report: {wait: 4 h, otherwise: hold}\n"
        "  protect: {payload: integrity, recipients: [P], redundancy: 40%, unsuitable: sidecar,\n"
        "            attributes: changed, effort: best, max_difference: 8,\n"
        "            min_psnr: 70 dB, use_padding: true, keep_bitstream: true, method: rdh,\n"
        "            planes: 4, dna_rule: 8, reversible: true, allow_irreversible: true}\n"
        "  send_to: [P]\n"
        "- name: two\n"
        "  when: {carrier: true}\n"
        "  recover: {report_as: none, unrecoverable: quarantine}\n"
        "  send_to: P\n"
        "peers:\n"
        "  P: {ae_title: PP, hosts: [10.0.0.0/8, 'fd00::/8'], host: p.example, port: 104, tls: "
        "mutual,\n"
        "      certificate: sub/p.pem, may: [find, get], associations: 7, timeout: 2 min,\n"
        "      retain_uids: true}\n"
        "  Q: {ae_title: QQ}\n"
        "database: {url: 'postgresql://u:secret@h/d'}\n"
        "node:\n"
        "  ae_title: A\n"
        "  dicom: {address: 10.0.0.1, port: 0, tls_port: 2762, max_associations: 3, timeout: 5 s,\n"
        "          transfer_syntaxes: [1.2.840.10008.1.2], sop_classes: known}\n"
        "  web: {address: '::1', port: 0}\n"
        "  state_dir: state\n"
        "  site: clinics of the valley\n"
        "  key: /etc/k.pem\n"
        "  certificate: c.pem\n"
        "  log_level: debug\n"
        "  log: {format: json}\n"
        "  control_group: operators\n"
        "  min_free: 500 MB\n"
        "  reports_folder: in\n");
    assert_string_equal(c->address, "10.0.0.1");
    assert_int_equal(c->dicom_port, 0);
    assert_int_equal(c->tls_port, 2762);
    assert_int_equal(c->max_associations, 3);
    assert_int_equal(c->dicom_timeout_ms, 5000);
    assert_string_equal(c->transfer_syntaxes.items[0], "1.2.840.10008.1.2");
    assert_true(c->only_known_sop_classes);
    assert_string_equal(c->web_address, "::1");
    assert_string_equal(c->state_dir, "/tmp/state");
    assert_string_equal(c->site, "clinics of the valley");
    assert_string_equal(c->key, "/etc/k.pem");
    assert_string_equal(c->certificate, "/tmp/c.pem");
    assert_string_equal(c->reports_folder, "/tmp/in");
    assert_int_equal(c->min_free_bytes, 500000000);
    assert_int_equal(c->log_level, DS_LOG_DEBUG);
    assert_int_equal(c->log_format, DS_LOG_JSON);
    assert_string_equal(c->control_group, "operators");
    assert_string_equal(c->database_url, "postgresql://u:secret@h/d");
    const struct config_peer *p = config_peer_named(c, "P");
    assert_int_equal(p->hosts.count, 2);
    assert_int_equal(p->tls, CONFIG_TLS_MUTUAL);
    assert_string_equal(p->certificate, "/tmp/sub/p.pem");
    assert_int_equal(p->may, CONFIG_MAY_FIND | CONFIG_MAY_GET);
    assert_int_equal(p->associations, 7);
    assert_int_equal(p->timeout_ms, 120000);
    assert_int_equal(config_peer_named(c, "Q")->timeout_ms, 30000);
    assert_true(p->retain_uids);
    assert_false(config_peer_named(c, "Q")->retain_uids);
    assert_int_equal(config_peer_named(c, "Q")->may, CONFIG_MAY_ECHO | CONFIG_MAY_STORE);
    assert_null(config_peer_named(c, "R"));
    const struct config_rule *r = &c->rules[0];
    assert_int_equal(r->line, 2);
    assert_int_equal(r->calling_ae.count, 2);
    assert_int_equal(r->modality.count, 1);
    assert_int_equal(r->carrier, 0);
    assert_int_equal(r->complete_after_ms, 500);
    assert_int_equal(r->complete_at_most_ms, 600000);
    assert_int_equal(r->complete_on, CONFIG_ON_REPORT | CONFIG_ON_COUNT | CONFIG_ON_COMMITMENT);
    assert_string_equal(r->count_from, "P");
    assert_true(r->waits_for_report);
    assert_int_equal(r->report_wait_ms, 4 * 3600 * 1000);
    assert_false(r->report_send_without);
    assert_true(r->has_protect && !r->has_recover);
    assert_int_equal(r->protect.payload, CONFIG_PAYLOAD_INTEGRITY);
    assert_int_equal(r->protect.redundancy_percent, 40);
    assert_int_equal(r->protect.unsuitable, CONFIG_UNSUITABLE_SIDECAR);
    assert_int_equal(r->protect.attributes, CONFIG_ATTRIBUTES_CHANGED);
    assert_int_equal(r->protect.effort, CONFIG_EFFORT_BEST);
    assert_int_equal(r->protect.max_difference, 8);
    assert_int_equal(r->protect.min_psnr_db, 70);
    assert_true(r->protect.use_padding);
    assert_true(r->protect.keep_bitstream);
    assert_int_equal(r->protect.method, CONFIG_METHOD_RDH);
    assert_int_equal(r->protect.planes, 4);
    assert_int_equal(r->protect.dna_rule, 8);
    assert_true(r->protect.reversible);
    assert_true(r->protect.allow_irreversible);
    r = &c->rules[1];
    assert_int_equal(r->carrier, 1);
    assert_int_equal(r->complete_after_ms, 60000);
    assert_int_equal(r->complete_at_most_ms, 1800000);
    assert_int_equal(r->complete_on, 0);
    assert_null(r->count_from);
    assert_false(r->waits_for_report);
    assert_true(r->has_recover && !r->has_protect);
    assert_int_equal(r->recover.report_as, CONFIG_REPORT_NONE);
    assert_string_equal(r->send_to.items[0], "P");
    config_free(c);
}

static void protecting_is_fast_and_without_limits_unless_said_otherwise(void **state)
{
    (void)state;
    struct config *c = loaded(NODE PEERS RULE "  protect: {recipients: P}\n");
    const struct config_protect *p = &c->rules[0].protect;
    assert_int_equal(p->effort, CONFIG_EFFORT_FAST);
    assert_int_equal(p->max_difference, 0);
    assert_int_equal(p->min_psnr_db, 0);
    assert_false(p->use_padding);
    assert_false(p->keep_bitstream);
    config_free(c);
}

static void what_cannot_be_restored_has_to_be_asked_for(void **state)
{
    (void)state;
    refused(NODE PEERS RULE "  protect: {recipients: P, method: lsb}\n", "8:36",
            "originals do not come back", "'allow_irreversible: true'");
    refused(NODE PEERS RULE "  protect: {recipients: P, method: lsb, reversible: true, "
                            "max_difference: 1}\n",
            "8:12", "'max_difference'", "rdh");
    struct config *c =
        loaded(NODE PEERS RULE "  protect: {recipients: P, method: lsb, reversible: true}\n");
    assert_int_equal(c->rules[0].protect.method, CONFIG_METHOD_LSB);
    assert_int_equal(c->rules[0].protect.planes, 1);
    assert_int_equal(c->rules[0].protect.dna_rule, 0);
    config_free(c);
    c = loaded(NODE PEERS RULE
               "  protect: {recipients: P, method: lsb, allow_irreversible: true}\n");
    assert_false(c->rules[0].protect.reversible);
    config_free(c);
}

static void the_most_that_a_study_waits_is_never_less_than_its_silence(void **state)
{
    (void)state;
    struct config *c = loaded(NODE PEERS RULE "  study_complete_after: 2 h\n");
    assert_int_equal(c->rules[0].complete_at_most_ms, 7200000);
    config_free(c);
    c = loaded(NODE PEERS RULE "  study_complete_after: 0 s\n");
    assert_int_equal(c->rules[0].complete_after_ms, 0);
    config_free(c);
    refused(NODE PEERS RULE "  study_complete_after: 2 h\n  study_complete_at_most: 1 h\n", "9:27",
            "study_complete_at_most", "less than study_complete_after");
}

static void who_is_asked_for_the_count_can_be_called(void **state)
{
    (void)state;
    refused(NODE PEERS RULE "  complete_on: [count]\n  count_from: Q\n", "9:15", "'Q'",
            "cannot be called");
    refused(NODE PEERS RULE "  complete_on: [report]\n  count_from: P\n", "9:15", "is not asked",
            "'count' in complete_on");
    refused(NODE PEERS RULE "  complete_on: [idle]\n", "8:17", "'idle'",
            "commitment, report, count");
}

static void durations_and_sizes_know_their_units(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {{"250ms", 250},
                 {"60 s", 60000},
                 {"2 min", 120000},
                 {"'3 h'", 10800000},
                 {"7 d", 604800000}};
    for (size_t i = 0; i < DS_ARRAY_SIZE(cases); i++) {
        char text[256];
        (void)snprintf(text, sizeof(text), "%s%s%s  study_complete_after: %s\n", NODE, PEERS, RULE,
                       cases[i].text);
        struct config *c = loaded(text);
        assert_int_equal(c->rules[0].complete_after_ms, cases[i].ms);
        config_free(c);
    }
    struct config *c = loaded("node: {ae_title: A, min_free: 2 TiB}");
    assert_int_equal(c->min_free_bytes, 2ULL << 40);
    config_free(c);
}

static void the_sample_files_load(void **state)
{
    (void)state;
    const char *source = getenv("DICOMSTEGO_SOURCE");
    if (source == NULL) {
        print_message("    skipped: DICOMSTEGO_SOURCE does not say where the samples are\n");
        skip();
    }
    static const char *const names[] = {"sending-hospital.yaml", "receiving-hospital.yaml"};
    for (size_t i = 0; i < DS_ARRAY_SIZE(names); i++) {
        char path[1024];
        (void)snprintf(path, sizeof(path), "%s/config/%s", source, names[i]);
        struct config *c;
        if (config_load(&c, path, &err) != DS_OK) {
            fail_msg("%s", err.text);
        }
        assert_true(c->rule_count > 0 && c->peer_count > 0);
        assert_int_equal(c->key[0], '/');
        config_free(c);
    }
}

/* ---- what is refused, and where ---- */

static void unknown_and_doubled_keys_are_refused_at_their_place(void **state)
{
    (void)state;
    refused(NODE PEERS RULE "  when: {modalty: CT}\n", "8:10",
            "unknown key 'modalty' in rules[0].when",
            "expected one of: calling_ae, called_ae, modality, study_description, carrier");
    refused(NODE "nodes: 1\n", "2:1", "unknown key 'nodes'",
            "node, database, query, audit_repository, provenance, peers, rules");
    refused("node: {ae_title: A}\nnode: {ae_title: B}\n", "2:1", "'node' stands twice", "line 1");
    refused("node:\n  ae_title: A\n  ae_title: B\n", "3:3", "'ae_title' stands twice", "line 2");
    refused("node: {ae_title: A}\npeers:\n  X: {ae_title: X}\n  X: {ae_title: Y}\n", "4:3",
            "'X' stands twice", "peers");
    refused(NODE PEERS RULE "- name: r\n  send_to: P\n", "8:9", "'r'", "line 6");
}

static void missing_keys_are_named(void **state)
{
    (void)state;
    refused("peers: {}\n", "1:1", "'node' is missing", "the file");
    refused("node: {log_level: info}\n", "1:7", "'ae_title' is missing", "node");
    refused(NODE PEERS "rules:\n- name: r\n", "6:3", "'send_to' is missing", "rules[0]");
    refused(NODE PEERS "rules:\n- send_to: P\n", "6:3", "'name' is missing", "rules[0]");
    refused("node: {ae_title: A}\npeers: {X: {}}\n", "2:12", "'ae_title' is missing", "peers.X");
    refused(NODE PEERS RULE "  report: {otherwise: hold}\n", "8:11", "'wait' is missing",
            "rules[0].report");
    refused("", "1:1", "empty", "node");
    refused("node: {ae_title: A, key: k}\n", "1:7", "'certificate' is missing", "key");
}

static void wrong_kinds_are_refused(void **state)
{
    (void)state;
    refused("node: [1]\n", "1:7", "node", "mapping");
    refused("node: {ae_title: [A]}\n", "1:18", "node.ae_title is a list", "single value");
    refused("node: {ae_title: A, log_level: {a: b}}\n", "1:32", "a mapping", "single value");
    refused("node: {ae_title: }\n", "1:18", "no value", "default");
    refused("node: {ae_title: ~}\n", "1:18", "no value", "default");
    refused("node: {ae_title: A}\npeers: [a]\n", "2:8", "peers", "mapping");
    refused("node: {ae_title: A}\nrules: {a: b}\n", "2:8", "rules", "list");
    refused(NODE PEERS "rules:\n- name\n", "6:3", "rules[0]", "mapping");
    refused("node: {ae_title: A, dicom: {port: '104'}}\n", "1:35", "text", "without quotes");
    refused("node: {ae_title: A, dicom: {transfer_syntaxes: []}}\n", "1:48", "0 items", "expected");
    refused("node: {ae_title: A, dicom: {transfer_syntaxes: [[1.2]]}}\n", "1:49", "list",
            "single value");
    refused("node: {ae_title: \"A\\0B\"}\n", "1:18", "control character", "ae_title");
}

static void numbers_need_their_range_and_unit(void **state)
{
    (void)state;
    refused("node: {ae_title: A, dicom: {port: 65536}}\n", "1:35", "too large", "0 to 65535");
    refused("node: {ae_title: A, dicom: {port: -1}}\n", "1:35", "'-1'", "a number from");
    refused("node: {ae_title: A, dicom: {port: 1x}}\n", "1:35", "'1x'", "a number from");
    refused("node: {ae_title: A, dicom: {max_associations: 0}}\n", "1:47", "too small",
            "1 to 1024");
    refused("node: {ae_title: A, dicom: {port: 99999999999999999999}}\n", "1:35", "99999",
            "a number from");
    refused("node: {ae_title: A}\npeers: {X: {ae_title: X, host: h, port: 0}}\n", "2:41",
            "too small", "1 to 65535");
    refused("node: {ae_title: A, min_free: 5}\n", "1:31", "'5'", "GiB");
    refused("node: {ae_title: A, min_free: 5 gb}\n", "1:31", "'5 gb'", "GiB");
    refused("node: {ae_title: A, min_free: 9999999999 TiB}\n", "1:31", "9999999999", "GiB");
    refused(NODE PEERS RULE "  study_complete_after: 60\n", "8:25", "'60'", "such as '60 s'");
    refused(NODE PEERS RULE "  study_complete_after: 1.5 h\n", "8:25", "'1.5 h'", "whole number");
    refused(NODE PEERS RULE "  study_complete_after: 31 d\n", "8:25", "too large", "30 d");
    refused(NODE PEERS RULE "  study_complete_at_most: 0 s\n", "8:27", "too small", "up to 30 d");
    refused(NODE PEERS RULE "  protect: {recipients: P, redundancy: 25}\n", "8:40", "'25'", "25 %");
    refused(NODE PEERS RULE "  protect: {recipients: P, redundancy: 101 %}\n", "8:40", "too large",
            "100 %");
    refused(NODE PEERS RULE "  protect: {recipients: P, max_difference: 0}\n", "8:44", "too small",
            "1 to 65535");
    refused(NODE PEERS RULE "  protect: {recipients: P, min_psnr: 70}\n", "8:38", "'70'",
            "'80 dB'");
    refused(NODE PEERS RULE "  protect: {recipients: P, min_psnr: 201 dB}\n", "8:38", "too large",
            "200 dB");
}

static void carriers_go_in_named_lossless_syntaxes(void **state)
{
    (void)state;
    struct config *c =
        loaded(NODE PEERS RULE "  protect: {recipients: P, carrier_syntax: [jpeg-ls-lossless,\n"
                               "    1.2.840.10008.1.2.5, explicit-le]}\n"
                               "- name: two\n  send_to: P\n"
                               "  protect: {recipients: P, carrier_syntax: smallest}\n"
                               "- name: three\n  send_to: P\n"
                               "  protect: {recipients: P, carrier_syntax: rle}\n"
                               "- name: four\n  send_to: P\n  protect: {recipients: P}\n");
    const struct config_list *l = &c->rules[0].protect.carrier_syntax;
    assert_int_equal(l->count, 3);
    assert_string_equal(l->items[0], "1.2.840.10008.1.2.4.80");
    assert_string_equal(l->items[1], "1.2.840.10008.1.2.5");
    assert_string_equal(l->items[2], "1.2.840.10008.1.2.1");
    assert_string_equal(c->rules[1].protect.carrier_syntax.items[0], "smallest");
    assert_string_equal(c->rules[2].protect.carrier_syntax.items[0], "1.2.840.10008.1.2.5");
    assert_int_equal(c->rules[3].protect.carrier_syntax.count, 0);
    config_free(c);
#define SYNTAX(value) NODE PEERS RULE "  protect: {recipients: P, carrier_syntax: " value "}\n"
    refused(SYNTAX("jpeg-baseline"), "8:44", "'jpeg-baseline'", "lossless");
    refused(SYNTAX("1.2.840.10008.1.2.4.91"), "8:44", "4.91", "lossless");
    refused(SYNTAX("[rle, jpeg-2000]"), "8:50", "'jpeg-2000'", "lossless");
    refused(SYNTAX("[rle, smallest]"), "8:50", "'smallest'", "expected");
    refused(SYNTAX("[rle, 1.2.840.10008.1.2.5]"), "8:44", "1.2.5", "twice");
    refused(SYNTAX("[]"), "8:44", "0 items", "1 to");
#undef SYNTAX
}

static void words_are_checked_against_their_choices(void **state)
{
    (void)state;
    refused("node: {ae_title: A, log: {format: xml}}\n", "1:35", "'xml'", "json");
    refused("node: {ae_title: A, log_level: loud}\n", "1:32", "'loud'", "warning");
    refused(NODE "peers: {X: {ae_title: X, tls: yes}}\n", "2:31", "'yes'", "none, server, mutual");
    refused(NODE "peers: {X: {ae_title: X, may: [echo, delete]}}\n", "2:38", "'delete'",
            "echo, store, find, move, get");
    refused(NODE PEERS RULE "  when: {carrier: yes}\n", "8:19", "'yes'", "false, true");
    refused(NODE PEERS RULE "  recover: {unrecoverable: deliver}\n", "8:28", "'deliver'",
            "quarantine");
    refused(NODE PEERS RULE "  recover: {report_as: pdf}\n", "8:24", "'pdf'", "dicom");
    refused(NODE PEERS RULE "  protect: {recipients: P, effort: 9}\n", "8:36", "'9'",
            "fast, balanced, best");
    refused(NODE PEERS RULE "  protect: {recipients: P, use_padding: 1}\n", "8:41", "'1'",
            "false, true");
    refused(NODE PEERS RULE "  when: {modality: [ct]}\n", "8:21", "'ct'", "capital letters");
    refused("node: {ae_title: A, dicom: {sop_classes: all}}\n", "1:42", "'all'", "any, known");
}

static void names_and_addresses_are_checked(void **state)
{
    (void)state;
    refused("node: {ae_title: SEVENTEEN_LETTERS}\n", "1:18", "SEVENTEEN", "1 to 16");
    refused("node: {ae_title: 'A\\B'}\n", "1:18", "A\\B", "no backslash");
    refused("node: {ae_title: ' A'}\n", "1:18", "' A'", "no space");
    refused("node: {ae_title: \xc3\x84}\n", "1:18", "ASCII", "AE title");
    refused("node: {ae_title: A, dicom: {transfer_syntaxes: [1.2..3]}}\n", "1:49", "1.2..3", "UID");
    refused(NODE "peers: {X: {ae_title: X, hosts: [10.0.0.0/33]}}\n", "2:34", "10.0.0.0/33",
            "CIDR");
    refused(NODE "peers: {X: {ae_title: X, hosts: [pacs]}}\n", "2:34", "'pacs'", "CIDR");
    refused(NODE "peers: {X: {ae_title: X, host: 'a b', port: 1}}\n", "2:32", "'a b'", "host name");
    refused(NODE "peers: {'a/b': {ae_title: X}}\n", "2:9", "'a/b'", "letters");
}

static void dangling_names_are_refused(void **state)
{
    (void)state;
    refused(NODE PEERS "rules:\n- name: r\n  send_to: [P, R]\n", "7:16", "no peer 'R'", "peers");
    refused(NODE PEERS RULE "  protect: {recipients: [R]}\n", "8:26", "no peer 'R'", "recipients");
    refused(NODE PEERS RULE "  when: {calling_ae: [PQ]}\n", "8:23", "'PQ'", "ae_title");
    refused(NODE PEERS "rules:\n- name: r\n  send_to: [P, P]\n", "7:16", "twice", "'P'");
}

static void what_does_not_go_together_is_refused(void **state)
{
    (void)state;
    refused(NODE PEERS RULE "  protect: {recipients: [Q]}\n", "8:26", "'certificate'", "peers.Q");
    refused(NODE PEERS "rules:\n- name: r\n  send_to: [Q]\n", "7:13", "'host'", "peers.Q");
    refused(NODE PEERS RULE "  protect: {recipients: P}\n  recover: {}\n", "9:12", "both",
            "one of them");
    refused(NODE PEERS RULE "  protect: {}\n", "8:12", "for nobody", "recipients");
    refused("node: {ae_title: A}\n" PEERS RULE "  protect: {recipients: P}\n", "8:12", "'key'",
            "node");
    refused("node: {ae_title: A}\n" PEERS RULE "  recover: {}\n", "8:12", "'key'", "node");
    refused(NODE "peers: {X: {ae_title: X, host: h}}\n", "2:12", "'port' is missing", "peers.X");
    refused(NODE "peers: {X: {ae_title: X, port: 1}}\n", "2:12", "'host' is missing", "peers.X");
    refused(NODE "peers: {X: {ae_title: X, tls: server}}\n", "2:31", "'certificate'", "peers.X");
    refused("node: {ae_title: A}\npeers: {X: {ae_title: X, tls: mutual, certificate: x}}\n", "2:31",
            "'key'", "node");
    refused("node: {ae_title: A, dicom: {port: 0}}\n", "1:28", "listens nowhere", "tls_port");
    refused("node: {ae_title: A, dicom: {tls_port: 1}}\n", "1:39", "'key'", "certificate");
    refused("node: {ae_title: A, key: k, certificate: c, dicom: {tls_port: 11112}}\n", "1:63",
            "same", "port");
}

static void what_is_not_plain_yaml_is_refused(void **state)
{
    (void)state;
    refused("node: {ae_title: A\n", "2:1", "not YAML", "flow mapping");
    refused("node: {ae_title: A}\n---\nnode: {ae_title: B}\n", "3:1", "second", "one");
    refused("node: {ae_title: &a A, state_dir: *a}\n", "1:18", "alias", "write the value out");
    refused("node: &n\n  ae_title: A\n  dicom: *n\n", "1:7", "alias", "write the value out");
    struct config *c;
    assert_int_equal(load(&c, "node: {ae_title: \xff}\n"), DS_ECONFIG);
    assert_int_equal(config_load(&c, "/nonexistent/t.yaml", &err), DS_ENOTFOUND);
    assert_null(c);
}

static void a_database_address_is_never_shown(void **state)
{
    (void)state;
    refused("node: {ae_title: A}\ndatabase: {url: 'mysql://u:secret@h'}\n", "2:17", "postgresql://",
            "database.url");
    assert_null(strstr(err.text, "secret"));
}

static void a_long_path_does_not_hide_the_fault(void **state)
{
    (void)state;
    char path[300];
    (void)snprintf(path, sizeof(path), "/tmp/%0250d.yaml", 7);
    struct config *c;
    assert_int_equal(config_load_text(&c, path, (const uint8_t *)"x: 1", 4, &err), DS_ECONFIG);
    assert_non_null(strstr(err.text, "7.yaml:1:1: unknown key 'x'"));
}

static void a_file_that_is_too_large_is_refused(void **state)
{
    (void)state;
    char folder[] = "/tmp/dicomstego-test-config-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char path[64];
    (void)snprintf(path, sizeof(path), "%s/large.yaml", folder);
    const size_t len = (1U << 20) + 1;
    char *text = malloc(len);
    memset(text, '#', len);
    assert_int_equal(ds_file_write(path, text, len, DS_FILE_NEW, 0600, &err), DS_OK);
    free(text);
    struct config *c;
    assert_int_equal(config_load(&c, path, &err), DS_ECONFIG);
    assert_non_null(strstr(err.text, "larger"));
    assert_int_equal(ds_file_remove_tree(folder, &err), DS_OK);
}

/* ---- questions ---- */

static void peers_are_recognised_by_title_and_address(void **state)
{
    (void)state;
    struct config *c = loaded("node: {ae_title: A}\n"
                              "peers:\n"
                              "  FIRST: {ae_title: CT, hosts: [10.1.0.0/16, 192.0.2.7]}\n"
                              "  SECOND: {ae_title: CT, hosts: ['2001:db8:5::/47', 10.128.0.0/9]}\n"
                              "  ANY: {ae_title: MR}\n");
    static const struct {
        const char *title, *address, *name;
    } cases[] = {{"CT", "10.1.255.255", "FIRST"},
                 {"CT", "10.2.0.0", NULL},
                 {"CT", "192.0.2.7", "FIRST"},
                 {"CT", "192.0.2.8", NULL},
                 {"CT", "::ffff:10.1.2.3", "FIRST"},
                 {"CT", "2001:db8:4::1", "SECOND"},
                 {"CT", "2001:db8:5:ffff::1", "SECOND"},
                 {"CT", "2001:db8:6::1", NULL},
                 {"CT", "10.128.0.1", "SECOND"},
                 {"CT", "10.127.0.1", NULL},
                 {"CT", "rubbish", NULL},
                 {"ct", "10.1.0.1", NULL},
                 {"MR", "203.0.113.9", "ANY"}};
    for (size_t i = 0; i < DS_ARRAY_SIZE(cases); i++) {
        const struct config_peer *p = config_peer_calling(c, cases[i].title, cases[i].address);
        if (cases[i].name == NULL) {
            assert_null(p);
        } else {
            assert_non_null(p);
            assert_string_equal(p->name, cases[i].name);
        }
    }
    config_free(c);
}

/* The index of the rule that matches, or -1. */
static int match(const struct config *c, const char *calling, const char *modality,
                 const char *description, bool carrier)
{
    char copy[17];
    (void)snprintf(copy, sizeof(copy), "%s", modality);
    char *items[] = {"SR", copy};
    const struct config_list modalities = {items, 2};
    const struct config_subject s = {calling, "A", &modalities, description, carrier};
    const struct config_rule *r = config_rule_for(c, &s);
    return r == NULL ? -1 : (int)(r - c->rules);
}

static void the_first_rule_whose_conditions_all_hold_is_taken(void **state)
{
    (void)state;
    struct config *c =
        loaded(NODE PEERS "rules:\n"
                          "- {name: a, when: {carrier: true}, send_to: P}\n"
                          "- {name: b, when: {calling_ae: PP, modality: [CT, MR]}, send_to: P}\n"
                          "- {name: c, when: {study_description: ['*chest*', 'kn?e']}, "
                          "send_to: P}\n"
                          "- {name: d, when: {called_ae: OTHER}, send_to: P}\n");
    assert_int_equal(match(c, "PP", "CT", "", true), 0);
    assert_int_equal(match(c, "PP", "MR", NULL, false), 1);
    assert_int_equal(match(c, "QQ", "MR", "CT Chest/Abdomen", false), 2);
    assert_int_equal(match(c, "PP", "NM", "KNEE", false), 2);
    assert_int_equal(match(c, "PP", "NM", "knees", false), -1);
    assert_int_equal(match(c, "PP", "NM",
                           "kn\xc3\xa4"
                           "e",
                           false),
                     2);
    assert_int_equal(match(c, NULL, "NM", NULL, false), -1);
    config_free(c);
}

static void a_wildcard_that_would_blow_up_elsewhere_is_quick(void **state)
{
    (void)state;
    struct config *c = loaded(NODE PEERS "rules:\n"
                                         "- {name: a, when: {study_description: '"
                                         "*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b"
                                         "'}, send_to: P}\n");
    char text[4097];
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(match(c, "PP", "CT", text, false), -1);
    text[sizeof(text) - 2] = 'B';
    assert_int_equal(match(c, "PP", "CT", text, false), 0);
    config_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_shortest_file_gets_all_defaults),
        cmocka_unit_test(every_key_reaches_its_place),
        cmocka_unit_test(protecting_is_fast_and_without_limits_unless_said_otherwise),
        cmocka_unit_test(what_cannot_be_restored_has_to_be_asked_for),
        cmocka_unit_test(the_most_that_a_study_waits_is_never_less_than_its_silence),
        cmocka_unit_test(who_is_asked_for_the_count_can_be_called),
        cmocka_unit_test(durations_and_sizes_know_their_units),
        cmocka_unit_test(the_sample_files_load),
        cmocka_unit_test(unknown_and_doubled_keys_are_refused_at_their_place),
        cmocka_unit_test(missing_keys_are_named),
        cmocka_unit_test(wrong_kinds_are_refused),
        cmocka_unit_test(numbers_need_their_range_and_unit),
        cmocka_unit_test(carriers_go_in_named_lossless_syntaxes),
        cmocka_unit_test(words_are_checked_against_their_choices),
        cmocka_unit_test(names_and_addresses_are_checked),
        cmocka_unit_test(dangling_names_are_refused),
        cmocka_unit_test(what_does_not_go_together_is_refused),
        cmocka_unit_test(what_is_not_plain_yaml_is_refused),
        cmocka_unit_test(a_database_address_is_never_shown),
        cmocka_unit_test(a_long_path_does_not_hide_the_fault),
        cmocka_unit_test(a_file_that_is_too_large_is_refused),
        cmocka_unit_test(peers_are_recognised_by_title_and_address),
        cmocka_unit_test(the_first_rule_whose_conditions_all_hold_is_taken),
        cmocka_unit_test(a_wildcard_that_would_blow_up_elsewhere_is_quick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
