/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli - the command dicomstego: verbs over files, and over a running node. main.c holds the table
 * of verbs; each verb is one file; what they share is declared here.
 *
 * Facts go to standard output, complaints and progress to standard error. Nothing is written to its
 * final name before a verb has decided that it may be (struct cli_outputs).
 */
#ifndef DICOMSTEGO_CLI_CLI_H
#define DICOMSTEGO_CLI_CLI_H

#include "carrier/carrier.h"
#include "dicomstego/seal.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>

enum cli_exit {
    CLI_DONE = 0,
    CLI_FAILED = 1,
    CLI_USAGE = 2,
    CLI_ALTERED = 3,
    CLI_NO_KEY = 4,
    CLI_NOTHING = 5,
    CLI_CAPACITY = 6,
};

struct cli_verb {
    const char *name;
    const char *summary; /* one line */
    const char *help;    /* the whole text of --help */
    int (*run)(int argc, char **argv);
};

extern const struct cli_verb cli_protect, cli_recover, cli_inspect, cli_capacity, cli_verify,
    cli_key, cli_dna, cli_cipher, cli_decipher, cli_stats, cli_config, cli_delivery, cli_study,
    cli_peer, cli_quarantine, cli_audit;

int cli_exit_of(enum ds_status s);
/* Of two exit codes the one that matters more. */
int cli_worse(int a, int b);

/* "dicomstego: subject: text" on standard error; returns the exit code for err->status. */
int cli_complain(const char *subject, const struct ds_error *err);
/* A usage error: says so, and where help is. */
int cli_usage(const char *verb, const char *fmt, ...) DS_PRINTF(2, 3);

/* A bar on standard error, when that is a terminal. total 0: ends it. */
void cli_progress(const char *what, size_t done, size_t total);

/* Threads for the planes of one image, as many as there are processors; NULL with one, or where
 * they cannot be had. */
struct stego_pool *cli_pool(void);
void cli_pool_finish(void);

/* SIGINT, SIGTERM and SIGHUP ask to stop; loops over files look here. */
void cli_catch_signals(void);
bool cli_stopped(void);

/* ---- inputs ---- */

struct cli_input {
    char *path;
    char *relative; /* below OUT, when OUT is a folder */
    bool from_folder;
};

struct cli_inputs {
    struct cli_input *items;
    size_t count, room;
    bool is_many; /* OUT is a folder: more than one IN, or a folder among them */
};

/* Files as given, folders with all that is below them, sorted. */
DS_CHECKED enum ds_status cli_inputs_gather(struct cli_inputs *out, char *const *names,
                                            size_t count, struct ds_error *err);
/* Takes the i-th out of the list; those behind it move up. */
void cli_inputs_drop(struct cli_inputs *in, size_t i);
void cli_inputs_free(struct cli_inputs *in);

DS_CHECKED bool cli_is_png(const struct ds_bytes *file);
/* A file met in a folder that is neither DICOM nor PNG, nor called so: a README beside the images.
 */
DS_CHECKED bool cli_is_foreign(const struct cli_input *in, const struct ds_bytes *file);

/* ---- outputs ---- */

struct cli_output {
    char *temporary, *path;
};

struct cli_outputs {
    struct cli_output *items;
    size_t count, room;
    bool force;
};

/* The name of the output for an input; the caller frees it. DS_EEXIST when it is there and force is
 * not set. */
DS_CHECKED enum ds_status cli_output_name(const struct cli_outputs *outs,
                                          const struct cli_inputs *ins, const struct cli_input *in,
                                          const char *out, char **name, struct ds_error *err);
/* NAME.sidecar.dcm for NAME.dcm; the caller frees it. DS_EEXIST likewise. */
DS_CHECKED enum ds_status cli_output_sidecar(const struct cli_outputs *outs, const char *name,
                                             char **out, struct ds_error *err);
/* Writes beside the final name under a temporary one. */
DS_CHECKED enum ds_status cli_outputs_stage(struct cli_outputs *outs, const char *path,
                                            const struct ds_bytes *data, struct ds_error *err);
DS_CHECKED bool cli_outputs_has(const struct cli_outputs *outs, const char *path);
/* Gives all of them their names. */
DS_CHECKED enum ds_status cli_outputs_commit(struct cli_outputs *outs, struct ds_error *err);
/* Removes what was not committed. */
void cli_outputs_free(struct cli_outputs *outs);

/* ---- keys ---- */

/* What --key, --certificate, --password-file and --trust name. */
struct cli_keys {
    const char *key_path, *certificate_path, *password_path;
    const char *shared_key_path; /* of methods that want one; NULL: the password serves */
    const char **trust_paths;
    size_t trust_count;
    /* loaded */
    struct stego_identity *identity;
    const struct stego_identity *list[1];
    struct stego_trust *trust;
    struct ds_bytes password, shared_key; /* terminated */
    struct stego_secret secret;
    struct stego_keyring ring;
};

DS_CHECKED enum ds_status cli_keys_load(struct cli_keys *k, struct ds_error *err);
void cli_keys_free(struct cli_keys *k);
/* The first line of a file, terminated. */
DS_CHECKED enum ds_status cli_password_read(const char *path, struct ds_bytes *out,
                                            struct ds_error *err);

/* ---- how to hide ---- */

enum cli_hiding_option { /* values for getopt_long, apart from every letter */
                         CLI_OPTION_EFFORT = 256,
                         CLI_OPTION_PRESERVE,
                         CLI_OPTION_PRESERVE_MASK,
                         CLI_OPTION_MAX_DIFFERENCE,
                         CLI_OPTION_MIN_PSNR,
                         CLI_OPTION_USE_PADDING,
                         CLI_OPTION_METHOD,
                         CLI_OPTION_PLANES,
                         CLI_OPTION_ORDER,
                         CLI_OPTION_DELIMITER,
                         CLI_OPTION_REVERSIBLE,
                         CLI_OPTION_CODE,
                         CLI_OPTION_DNA_RULE,
                         CLI_OPTION_SHARED_KEY,
};
#define CLI_HIDING_OPTIONS                                                                         \
    {"effort", required_argument, NULL, CLI_OPTION_EFFORT},                                        \
        {"preserve", required_argument, NULL, CLI_OPTION_PRESERVE},                                \
        {"preserve-mask", required_argument, NULL, CLI_OPTION_PRESERVE_MASK},                      \
        {"max-difference", required_argument, NULL, CLI_OPTION_MAX_DIFFERENCE},                    \
        {"min-psnr", required_argument, NULL, CLI_OPTION_MIN_PSNR},                                \
        {"method", required_argument, NULL, CLI_OPTION_METHOD},                                    \
        {"planes", required_argument, NULL, CLI_OPTION_PLANES},                                    \
        {"order", required_argument, NULL, CLI_OPTION_ORDER},                                      \
        {"delimiter", required_argument, NULL, CLI_OPTION_DELIMITER},                              \
        {"reversible", no_argument, NULL, CLI_OPTION_REVERSIBLE},                                  \
        {"code", required_argument, NULL, CLI_OPTION_CODE},                                        \
        {"dna-rule", required_argument, NULL, CLI_OPTION_DNA_RULE},                                \
        {"shared-key", required_argument, NULL, CLI_OPTION_SHARED_KEY},                            \
    {                                                                                              \
        "use-padding", no_argument, NULL, CLI_OPTION_USE_PADDING                                   \
    }

struct cli_hiding {
    struct carrier_hiding how; /* points into this struct once loaded */
    struct stego_rect preserve[STEGO_PRESERVE_MAX];
    const char *mask_path;
    uint8_t *mask;
    bool has_effort, has_method_option;
    const char *shared_key_path;
    struct stego_password_key key; /* of methods, once loaded */
};

/* Takes one of the options; NULL, or what is wrong. Other values of c are wrong. */
const char *cli_hiding_option(struct cli_hiding *h, int c, const char *value);
/* The same for those of methods (method.c), which cli_hiding_option hands on. */
const char *cli_method_option(struct cli_hiding *h, int c, const char *value);
/* NULL, or what options do not go together. */
const char *cli_method_check(const struct cli_hiding *h);
/* Makes the key of the method from --shared-key or, without it, the password (may be NULL), where
 * there is need of one; h must not move from then on. */
DS_CHECKED enum ds_status cli_method_load(struct cli_hiding *h, const char *password,
                                          struct ds_error *err);
/* "1" to "8". */
DS_CHECKED bool cli_dna_rule(const char *text, unsigned *rule);
/* Reads the mask and makes h->how usable; h must not move from then on. */
DS_CHECKED enum ds_status cli_hiding_load(struct cli_hiding *h, struct ds_error *err);
void cli_hiding_finish(struct cli_hiding *h);
const char *cli_effort_name(enum stego_effort effort);

/* capacity.c: how many bits a file's image holds; DS_ECAPACITY and why, when it is of a kind that
 * cannot carry. */
DS_CHECKED enum ds_status cli_capacity_of(const struct ds_bytes *file,
                                          const struct carrier_hiding *how, uint64_t *bits,
                                          struct ds_error *err);

/* A decimal number that ends with the character end; *text moves behind it. */
DS_CHECKED bool cli_number(const char **text, char end, uint32_t *out);
/* "X,Y,WIDTH,HEIGHT", not empty; the frame stays as it is. */
DS_CHECKED bool cli_rectangle(const char *text, struct stego_rect *out);

/* ---- PNG ---- */

/* Grey or RGB of 8 or 16 bits. DS_EUNSUPPORTED for others. image->samples is owned. */
DS_CHECKED enum ds_status cli_png_read(const struct ds_bytes *file, struct stego_image *image,
                                       struct ds_error *err);
DS_CHECKED enum ds_status cli_png_write(const struct stego_image *image, struct ds_bytes *out,
                                        struct ds_error *err);
/* The two hashes of a PNG's manifest: the samples, little endian; and "dicomstego png 1" with the
 * geometry. docs/man/dicomstego.1 spells them out. */
DS_CHECKED enum ds_status cli_png_hashes(const struct stego_image *image,
                                         uint8_t pixel[DS_SHA256_BYTES],
                                         uint8_t dataset[DS_SHA256_BYTES], struct ds_error *err);

/* ---- a carrier of either kind ---- */

struct cli_carried {
    struct carrier_found *found;      /* DICOM; NULL for a PNG */
    struct stego_image image;         /* PNG, restored where it can be */
    struct stego_part *part;          /* PNG */
    struct stego_method_facts method; /* PNG */
};

DS_CHECKED enum ds_status cli_carried_load(struct cli_carried *out, const struct ds_bytes *file,
                                           const struct stego_keyring *ring, struct ds_error *err);
void cli_carried_free(struct cli_carried *c);
const struct stego_part *cli_carried_part(const struct cli_carried *c);
/* How it was hidden; method NULL: in a sidecar. */
const struct stego_method_facts *cli_carried_method(const struct cli_carried *c);
bool cli_carried_is_restorable(const struct cli_carried *c);

/* ---- JSON ---- */

void cli_json_string(FILE *to, const char *text);

#endif
