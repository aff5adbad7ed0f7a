/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"
#include "dicomstego/statement.h"
#include "provenance/head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define OK(call) assert_int_equal(call, DS_OK)

static struct ds_error err;
static char folder[] = "/tmp/dicomstego-test-head-XXXXXX";

struct signer {
    struct stego_identity *identity;
    struct ds_bytes public_key, signature;
    struct provenance_head head;
};

static struct signer make(const char *type)
{
    char key[128], certificate[128];
    (void)snprintf(key, sizeof(key), "%s/%s.key", folder, type);
    (void)snprintf(certificate, sizeof(certificate), "%s/%s.pem", folder, type);
    struct signer s = {NULL,
                       DS_BYTES_INIT(STEGO_PUBLIC_KEY_MAX_BYTES),
                       DS_BYTES_INIT(STEGO_STATEMENT_MAX_BYTES),
                       {.size = 77, .at_us = 1234567}};
    OK(stego_key_new(type, "node", NULL, 10, key, certificate, true, &err));
    OK(stego_identity_load(&s.identity, key, certificate, &err));
    OK(stego_certificate_public_key(stego_identity_certificate(s.identity), &s.public_key, &err));
    OK(provenance_log_id(s.public_key.data, s.public_key.len, s.head.log, &err));
    memset(s.head.root, 0x5a, sizeof(s.head.root));
    OK(provenance_head_sign(&s.head, s.identity, &s.signature, &err));
    return s;
}

static void finish(struct signer *s)
{
    stego_identity_free(s->identity);
    ds_bytes_free(&s->public_key);
    ds_bytes_free(&s->signature);
}

static enum ds_status verify(const struct signer *s)
{
    return provenance_head_verify(&s->head, s->public_key.data, s->public_key.len,
                                  s->signature.data, s->signature.len, &err);
}

static void write_file(const char *name, const void *data, size_t len)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    OK(ds_file_write(path, data, len, DS_FILE_REPLACE, 0600, &err));
}

static int run(const char *command)
{
    const pid_t child = fork();
    if (child == 0) {
        (void)execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void the_openssl_command_verifies_a_head(void **state)
{
    (void)state;
    static const char *const types[] = {"ec", "rsa"};
    for (size_t i = 0; i < DS_ARRAY_SIZE(types); i++) {
        struct signer s = make(types[i]);
        char text[PROVENANCE_HEAD_TEXT_BYTES], command[512];
        write_file("head", text, provenance_head_text(&s.head, text));
        write_file("signature", s.signature.data, s.signature.len);
        (void)snprintf(command, sizeof(command),
                       "cd %s && openssl x509 -in %s.pem -noout -pubkey > public.pem && openssl "
                       "dgst -sha256 -verify public.pem -signature signature head > verdict",
                       folder, types[i]);
        assert_int_equal(run(command), 0);
        finish(&s);
    }
}

static void a_head_verifies_and_nothing_near_it_does(void **state)
{
    (void)state;
    struct signer s = make("ec"), other = make("rsa");
    OK(verify(&s));
    s.head.size++;
    assert_int_equal(verify(&s), DS_EAUTH);
    s.head.size--;
    s.head.at_us++;
    assert_int_equal(verify(&s), DS_EAUTH);
    s.head.at_us--;
    s.head.root[3] ^= 1;
    assert_int_equal(verify(&s), DS_EAUTH);
    s.head.root[3] ^= 1;
    for (size_t i = 0; i < s.signature.len; i++) {
        s.signature.data[i] ^= 1;
        assert_int_equal(verify(&s), DS_EAUTH);
        s.signature.data[i] ^= 1;
    }
    assert_int_equal(provenance_head_verify(&s.head, other.public_key.data, other.public_key.len,
                                            s.signature.data, s.signature.len, &err),
                     DS_EAUTH);
    OK(verify(&s));
    finish(&s);
    finish(&other);
}

static void a_text_is_read_only_as_it_was_written(void **state)
{
    (void)state;
    struct provenance_head h = {.size = 5, .at_us = 1767225600000001}, back;
    char text[PROVENANCE_HEAD_TEXT_BYTES], wrong[PROVENANCE_HEAD_TEXT_BYTES + 1];
    memset(h.root, 0xc3, sizeof(h.root));
    const size_t len = provenance_head_text(&h, text);
    OK(provenance_head_parse(text, len, &back, &err));
    assert_memory_equal(&back, &h, sizeof(h));
    for (size_t i = 0; i < len; i++) {
        memcpy(wrong, text, len);
        wrong[i] = (char)(wrong[i] ^ 0x20);
        const enum ds_status s = provenance_head_parse(wrong, len, &back, &err);
        /* A digit that became another character of its kind would be another head; 0x20 makes none
         * of those. */
        assert_int_equal(s, DS_EFORMAT);
        assert_int_equal(provenance_head_parse(text, i, &back, &err), DS_EFORMAT);
    }
    memcpy(wrong, text, len);
    wrong[len] = '\n';
    assert_int_equal(provenance_head_parse(wrong, len + 1, &back, &err), DS_EFORMAT);
}

static void a_secret_is_the_keys_own_and_the_purposes(void **state)
{
    (void)state;
    struct signer s = make("ec"), other = make("rsa");
    uint8_t one[STEGO_SECRET_BYTES], two[STEGO_SECRET_BYTES];
    OK(stego_identity_secret(s.identity, "a", one, &err));
    OK(stego_identity_secret(s.identity, "a", two, &err));
    assert_memory_equal(one, two, sizeof(one));
    OK(stego_identity_secret(s.identity, "b", two, &err));
    assert_memory_not_equal(one, two, sizeof(one));
    OK(stego_identity_secret(other.identity, "a", two, &err));
    assert_memory_not_equal(one, two, sizeof(one));
    finish(&s);
    finish(&other);
}

static int start(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL;
}

static int stop(void **state)
{
    (void)state;
    return ds_file_remove_tree(folder, &err) == DS_OK ? 0 : 1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_openssl_command_verifies_a_head),
        cmocka_unit_test(a_head_verifies_and_nothing_near_it_does),
        cmocka_unit_test(a_text_is_read_only_as_it_was_written),
        cmocka_unit_test(a_secret_is_the_keys_own_and_the_purposes),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
