/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of the configuration file: the one place where a key, its unit and its default stand. */
#include "config/read.h"

#define MS_A_DAY         (INT64_C(24) * 3600 * 1000)
#define IN(type, member) .offset = offsetof(struct type, member)

static const struct config_choice tls_choices[] = {
    {"none", CONFIG_TLS_NONE}, {"server", CONFIG_TLS_SERVER}, {"mutual", CONFIG_TLS_MUTUAL}, {0}};
static const struct config_choice payload_choices[] = {
    {"report", CONFIG_PAYLOAD_REPORT}, {"integrity", CONFIG_PAYLOAD_INTEGRITY}, {0}};
static const struct config_choice unsuitable_choices[] = {{"pass", CONFIG_UNSUITABLE_PASS},
                                                          {"sidecar", CONFIG_UNSUITABLE_SIDECAR},
                                                          {"hold", CONFIG_UNSUITABLE_HOLD},
                                                          {0}};
static const struct config_choice attributes_choices[] = {{"auto", CONFIG_ATTRIBUTES_AUTO},
                                                          {"all", CONFIG_ATTRIBUTES_ALL},
                                                          {"changed", CONFIG_ATTRIBUTES_CHANGED},
                                                          {0}};
static const struct config_choice hash_choices[] = {
    {"sha256", CONFIG_HASH_SHA256}, {"blake3", CONFIG_HASH_BLAKE3}, {0}};
static const struct config_choice method_choices[] = {
    {"rdh", CONFIG_METHOD_RDH}, {"lsb", CONFIG_METHOD_LSB}, {0}};
static const struct config_choice effort_choices[] = {{"fast", CONFIG_EFFORT_FAST},
                                                      {"balanced", CONFIG_EFFORT_BALANCED},
                                                      {"best", CONFIG_EFFORT_BEST},
                                                      {0}};
static const struct config_choice report_as_choices[] = {
    {"dicom", CONFIG_REPORT_AS_DICOM},
    {"encapsulated_pdf", CONFIG_REPORT_AS_DICOM},
    {"none", CONFIG_REPORT_NONE},
    {0}};
static const struct config_choice objects_choices[] = {{"send", CONFIG_OBJECTS_SEND},
                                                       {"hold", CONFIG_OBJECTS_HOLD},
                                                       {"drop", CONFIG_OBJECTS_DROP},
                                                       {0}};
static const struct config_choice reports_choices[] = {{"seal", CONFIG_REPORTS_SEAL},
                                                       {"send", CONFIG_REPORTS_SEND},
                                                       {"hold", CONFIG_REPORTS_HOLD},
                                                       {"drop", CONFIG_REPORTS_DROP},
                                                       {0}};
static const struct config_choice collision_choices[] = {{"newest", CONFIG_COLLISION_NEWEST},
                                                         {"first", CONFIG_COLLISION_FIRST},
                                                         {"both", CONFIG_COLLISION_BOTH},
                                                         {"hold", CONFIG_COLLISION_HOLD},
                                                         {0}};
/* The keys below with one or two words go to a bool: send_without is true, hold is false. */
static const struct config_choice otherwise_choices[] = {{"send_without", 1}, {"hold", 0}, {0}};
static const struct config_choice unrecoverable_choices[] = {{"quarantine", 0}, {0}};
static const struct config_choice priority_choices[] = {{"low", CONFIG_PRIORITY_LOW},
                                                        {"routine", CONFIG_PRIORITY_ROUTINE},
                                                        {"high", CONFIG_PRIORITY_HIGH},
                                                        {"stat", CONFIG_PRIORITY_STAT},
                                                        {0}};
static const struct config_choice bool_choices[] = {{"false", 0}, {"true", 1}, {0}};

static const struct config_choice log_format_choices[] = {
    {"text", DS_LOG_TEXT}, {"json", DS_LOG_JSON}, {0}};
static const struct config_choice commitment_choices[] = {{"false", CONFIG_COMMITMENT_NONE},
                                                          {"true", CONFIG_COMMITMENT_ASK},
                                                          {"required", CONFIG_COMMITMENT_REQUIRED},
                                                          {0}};
static const struct config_choice after_choices[] = {{"committed", 0}, {"sent", 1}, {0}};
static const struct config_choice disk_full_choices[] = {
    {"refuse", 0}, {"delete_delivered", 1}, {0}};

static const struct config_choice sop_classes_choices[] = {{"any", 0}, {"known", 1}, {0}};

static const struct config_key dicom_keys[] = {
    {"address", config_read_host, IN(config, address)},
    {"port", config_read_port, IN(config, dicom_port), .fallback = "11112", .high = 65535},
    {"tls_port", config_read_port, IN(config, tls_port), .fallback = "0", .high = 65535},
    {"max_associations", config_read_count, IN(config, max_associations), .fallback = "64",
     .low = 1, .high = 1024},
    {"timeout", config_read_duration, IN(config, dicom_timeout_ms), .fallback = "60 s", .low = 1000,
     .high = 3600 * 1000},
    {"transfer_syntaxes", config_read_uids, IN(config, transfer_syntaxes)},
    {"sop_classes", config_read_bool, IN(config, only_known_sop_classes), .fallback = "any",
     .choices = sop_classes_choices},
    {0}};

static const struct config_key web_keys[] = {
    {"address", config_read_host, IN(config, web_address), .fallback = "127.0.0.1"},
    {"port", config_read_port, IN(config, web_port), .fallback = "8080", .high = 65535},
    {0}};

static const struct config_key log_keys[] = {{"format", config_read_word, IN(config, log_format),
                                              .fallback = "text", .choices = log_format_choices},
                                             {0}};
static const struct config_key node_retention_keys[] = {
    {"keep", config_read_duration, IN(config, retention.keep_ms), .required = true, .low = 1,
     .high = 36500 * MS_A_DAY},
    {"after", config_read_bool, IN(config, retention.after_sent), .fallback = "committed",
     .choices = after_choices},
    {0}};

static const struct config_key node_keys[] = {
    {"ae_title", config_read_ae, IN(config, ae_title), .required = true},
    {"dicom", config_read_map, .keys = dicom_keys},
    {"web", config_read_map, .keys = web_keys},
    {"site", config_read_text, IN(config, site), .high = 64},
    {"state_dir", config_read_path, IN(config, state_dir), .fallback = "/var/lib/dicomstego"},
    {"shared_archive", config_read_text, IN(config, shared_archive), .high = 64},
    {"key", config_read_path, IN(config, key)},
    {"certificate", config_read_path, IN(config, certificate)},
    {"log_level", config_read_log_level, IN(config, log_level), .fallback = "info"},
    {"log", config_read_map, .keys = log_keys},
    {"hash", config_read_word, IN(config, hash), .fallback = "sha256", .choices = hash_choices},
    {"min_free", config_read_size, IN(config, min_free_bytes), .fallback = "1 GiB",
     .high = INT64_MAX},
    {"control_group", config_read_text, IN(config, control_group), .high = 64},
    {"journal", config_read_size, IN(config, journal_bytes), .fallback = "1 GiB",
     .low = 4 * 1024 * 1024, .high = INT64_MAX},
    {"retention", config_read_map, .keys = node_retention_keys,
     .given_offset = offsetof(struct config, retention.given)},
    {"disk_full", config_read_bool, IN(config, delete_when_full), .fallback = "refuse",
     .choices = disk_full_choices},
    {"reports_folder", config_read_path, IN(config, reports_folder)},
    {0}};

static const struct config_key database_keys[] = {
    {"url", config_read_url, IN(config, database_url), .required = true},
    {"migrate_url", config_read_url, IN(config, database_migrate_url)},
    {0}};

static const struct config_key time_stamp_keys[] = {
    {"url", config_read_http_url, IN(config, provenance.stamp_url), .required = true},
    {"certificate", config_read_path, IN(config, provenance.stamp_certificate), .required = true},
    {"every", config_read_duration, IN(config, provenance.stamp_every_ms), .fallback = "1 h",
     .low = 1000, .high = 365 * MS_A_DAY},
    {0}};

static const struct config_key provenance_keys[] = {
    {"tree_head_every", config_read_duration, IN(config, provenance.head_every_ms),
     .fallback = "1 min", .low = 1000, .high = MS_A_DAY},
    {"time_stamp", config_read_map, .keys = time_stamp_keys,
     .given_offset = offsetof(struct config, provenance.stamped)},
    {0}};

static const struct config_key view_keys[] = {
    {"carriers", config_read_aes, IN(config, query.carriers)},
    {"restored", config_read_aes, IN(config, query.restored)},
    {0}};

static const struct config_key query_keys[] = {
    {"views", config_read_map, .keys = view_keys},
    {"max_results", config_read_count, IN(config, query.max_results), .fallback = "10000", .low = 1,
     .high = 1000000},
    {"fuzzy_names", config_read_bool, IN(config, query.fuzzy_names), .fallback = "false",
     .choices = bool_choices},
    {0}};

static const struct config_key audit_keys[] = {
    {"host", config_read_host, IN(config, audit.host), .required = true},
    {"port", config_read_port, IN(config, audit.port), .fallback = "6514", .low = 1, .high = 65535},
    {"certificate", config_read_path, IN(config, audit.certificate), .required = true},
    {0}};

const struct config_key config_top_keys[] = {
    {"node", config_read_map, .keys = node_keys, .required = true},
    {"database", config_read_map, .keys = database_keys},
    {"query", config_read_map, .keys = query_keys},
    {"audit_repository", config_read_map, .keys = audit_keys,
     .given_offset = offsetof(struct config, audit.given)},
    {"provenance", config_read_map, .keys = provenance_keys},
    {"peers", config_read_peers, .offset = SIZE_MAX},
    {"rules", config_read_rules, .offset = SIZE_MAX},
    {0}};

static const struct config_key retry_keys[] = {
    {"first", config_read_duration, IN(config_peer, retry.first_ms), .fallback = "5 s", .low = 1,
     .high = MS_A_DAY},
    {"factor", config_read_count, IN(config_peer, retry.factor), .fallback = "2", .low = 1,
     .high = 10},
    {"cap", config_read_duration, IN(config_peer, retry.cap_ms), .fallback = "1 min", .low = 1,
     .high = MS_A_DAY},
    {"jitter", config_read_percent, IN(config_peer, retry.jitter_percent), .fallback = "20 %",
     .high = 100},
    {"attempts", config_read_count, IN(config_peer, retry.attempts), .fallback = "0",
     .high = 1000000},
    {0}};

static const struct config_key read_back_keys[] = {
    {"every", config_read_duration, IN(config_peer, read_back.every_ms), .low = 1000,
     .high = 365 * MS_A_DAY},
    {"sample", config_read_count, IN(config_peer, read_back.sample), .fallback = "200", .low = 1,
     .high = 1000000},
    {"window", config_read_windows, IN(config_peer, read_back.window)},
    {"rate", config_read_count, IN(config_peer, read_back.rate), .fallback = "10", .low = 1,
     .high = 10000},
    {"ae_title", config_read_ae, IN(config_peer, read_back.ae_title)},
    {0}};

const struct config_key config_peer_keys[] = {
    {"ae_title", config_read_ae, IN(config_peer, ae_title), .required = true},
    {"hosts", config_read_hosts, IN(config_peer, hosts)},
    {"host", config_read_host, IN(config_peer, host)},
    {"port", config_read_port, IN(config_peer, port), .low = 1, .high = 65535},
    {"tls", config_read_word, IN(config_peer, tls), .fallback = "none", .choices = tls_choices},
    {"certificate", config_read_path, IN(config_peer, certificate)},
    {"may", config_read_rights, IN(config_peer, may), .fallback = "echo, store"},
    {"associations", config_read_count, IN(config_peer, associations), .fallback = "2", .low = 1,
     .high = 64},
    {"timeout", config_read_duration, IN(config_peer, timeout_ms), .fallback = "30 s", .low = 1000,
     .high = 3600 * 1000},
    {"retry", config_read_map, .keys = retry_keys},
    {"circuit_after", config_read_count, IN(config_peer, circuit_after), .fallback = "3", .low = 1,
     .high = 1000},
    {"bandwidth", config_read_rate, IN(config_peer, bandwidth), .low = 1000,
     .high = INT64_C(1) << 40},
    {"send_window", config_read_windows, IN(config_peer, send_window)},
    {"retain_uids", config_read_bool, IN(config_peer, retain_uids), .fallback = "false",
     .choices = bool_choices},
    {"commitment", config_read_word, IN(config_peer, commitment), .fallback = "false",
     .choices = commitment_choices},
    {"commitment_timeout", config_read_duration, IN(config_peer, commitment_timeout_ms),
     .fallback = "24 h", .low = 1000, .high = 30 * MS_A_DAY},
    {"read_back", config_read_map, .keys = read_back_keys},
    {0}};

static const struct config_key when_keys[] = {
    {"calling_ae", config_read_callers, IN(config_rule, calling_ae)},
    {"called_ae", config_read_aes, IN(config_rule, called_ae)},
    {"modality", config_read_modalities, IN(config_rule, modality)},
    {"study_description", config_read_patterns, IN(config_rule, study_description)},
    {"carrier", config_read_word, IN(config_rule, carrier), .choices = bool_choices},
    {0}};

static const struct config_key report_keys[] = {
    {"wait", config_read_duration, IN(config_rule, report_wait_ms), .required = true, .low = 1,
     .high = 30 * MS_A_DAY},
    {"otherwise", config_read_bool, IN(config_rule, report_send_without),
     .fallback = "send_without", .choices = otherwise_choices},
    {0}};

static const struct config_key protect_keys[] = {
    {"payload", config_read_word, IN(config_rule, protect.payload), .fallback = "report",
     .choices = payload_choices},
    {"recipients", config_read_recipients, IN(config_rule, protect.recipients)},
    {"redundancy", config_read_percent, IN(config_rule, protect.redundancy_percent),
     .fallback = "25 %", .high = 100},
    {"unsuitable", config_read_word, IN(config_rule, protect.unsuitable), .fallback = "pass",
     .choices = unsuitable_choices},
    {"measurement", config_read_measurement, IN(config_rule, protect.measurement)},
    {"attributes", config_read_word, IN(config_rule, protect.attributes), .fallback = "auto",
     .choices = attributes_choices},
    {"keep_bitstream", config_read_bool, IN(config_rule, protect.keep_bitstream),
     .fallback = "false", .choices = bool_choices},
    {"method", config_read_word, IN(config_rule, protect.method), .fallback = "rdh",
     .choices = method_choices},
    {"planes", config_read_count, IN(config_rule, protect.planes), .fallback = "1", .low = 1,
     .high = 4},
    {"dna_rule", config_read_count, IN(config_rule, protect.dna_rule), .low = 1, .high = 8},
    {"reversible", config_read_bool, IN(config_rule, protect.reversible), .fallback = "false",
     .choices = bool_choices},
    {"allow_irreversible", config_read_bool, IN(config_rule, protect.allow_irreversible),
     .fallback = "false", .choices = bool_choices},
    {"effort", config_read_word, IN(config_rule, protect.effort), .fallback = "fast",
     .choices = effort_choices},
    {"max_difference", config_read_count, IN(config_rule, protect.max_difference), .low = 1,
     .high = 65535},
    {"min_psnr", config_read_decibel, IN(config_rule, protect.min_psnr_db), .low = 1, .high = 200},
    {"carrier_syntax", config_read_carrier_syntax, IN(config_rule, protect.carrier_syntax)},
    {"use_padding", config_read_bool, IN(config_rule, protect.use_padding), .fallback = "false",
     .choices = bool_choices},
    {"require_transparent", config_read_bool, IN(config_rule, protect.require_transparent),
     .fallback = "false", .choices = bool_choices},
    {0}};

static const struct config_key recover_keys[] = {
    {"report_as", config_read_word, IN(config_rule, recover.report_as), .fallback = "dicom",
     .choices = report_as_choices},
    {"unrecoverable", config_read_word, .offset = SIZE_MAX, .fallback = "quarantine",
     .choices = unrecoverable_choices},
    {0}};

static const struct config_key rule_retention_keys[] = {
    {"keep", config_read_duration, IN(config_rule, retention.keep_ms), .required = true, .low = 1,
     .high = 36500 * MS_A_DAY},
    {"after", config_read_bool, IN(config_rule, retention.after_sent), .fallback = "committed",
     .choices = after_choices},
    {0}};

const struct config_key config_rule_keys[] = {
    {"name", config_read_text, IN(config_rule, name), .required = true, .high = 200},
    {"when", config_read_map, .keys = when_keys},
    {"study_complete_after", config_read_duration, IN(config_rule, complete_after_ms),
     .fallback = "60 s", .high = 30 * MS_A_DAY},
    {"study_complete_at_most", config_read_duration, IN(config_rule, complete_at_most_ms),
     .fallback = "30 min", .low = 1, .high = 30 * MS_A_DAY},
    {"complete_on", config_read_completion, IN(config_rule, complete_on)},
    {"count_from", config_read_source, IN(config_rule, count_from)},
    {"report", config_read_map, .keys = report_keys,
     .given_offset = offsetof(struct config_rule, waits_for_report)},
    {"objects", config_read_word, IN(config_rule, objects), .fallback = "send",
     .choices = objects_choices},
    {"reports", config_read_word, IN(config_rule, reports), .choices = reports_choices},
    {"collision", config_read_word, IN(config_rule, collision), .fallback = "newest",
     .choices = collision_choices},
    {"priority", config_read_word, IN(config_rule, priority), .fallback = "routine",
     .choices = priority_choices},
    {"protect", config_read_map, .keys = protect_keys,
     .given_offset = offsetof(struct config_rule, has_protect)},
    {"recover", config_read_map, .keys = recover_keys,
     .given_offset = offsetof(struct config_rule, has_recover)},
    {"retention", config_read_map, .keys = rule_retention_keys,
     .given_offset = offsetof(struct config_rule, retention.given)},
    {"send_to", config_read_destinations, IN(config_rule, send_to), .required = true},
    {0}};
