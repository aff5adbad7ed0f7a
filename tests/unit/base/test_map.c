/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include "base/bytes.h"
#include "base/file.h"
#include "base/sha256.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define LARGE_BYTES ((size_t)48 << 20)

/* Resident memory of this process now. */
static size_t resident_bytes(void)
{
    unsigned long total = 0;
    unsigned long resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%lu %lu", &total, &resident), 2);
    (void)fclose(f);
    return (size_t)resident * (size_t)sysconf(_SC_PAGESIZE);
}

static char path[] = "/tmp/test_map.XXXXXX";

static int make_file(void **state)
{
    (void)state;
    const int fd = mkstemp(path);
    struct ds_bytes b = DS_BYTES_LARGE(LARGE_BYTES);
    assert_true(fd >= 0);
    assert_int_equal(ds_bytes_resize(&b, LARGE_BYTES, NULL), DS_OK);
    for (size_t i = 0; i < LARGE_BYTES; i += 1000) {
        b.data[i] = (uint8_t)(i / 1000);
    }
    assert_int_equal(ds_file_write(path, b.data, b.len, DS_FILE_REPLACE, 0600, NULL), DS_OK);
    ds_bytes_free(&b);
    return close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

static void a_file_is_read_where_it_lies(void **state)
{
    (void)state;
    struct ds_map m;
    assert_int_equal(ds_map_open(&m, path, LARGE_BYTES, NULL), DS_OK);
    assert_int_equal(m.len, LARGE_BYTES);
    assert_int_equal(m.data[7000], 7);
    ds_map_close(&m);
    assert_null(m.data);
    assert_int_equal(ds_map_open(&m, path, LARGE_BYTES - 1, NULL), DS_EFORMAT);
    assert_int_equal(ds_map_open(&m, "/tmp", LARGE_BYTES, NULL), DS_EIO);
    assert_int_equal(ds_map_open(&m, "/tmp/not/there", LARGE_BYTES, NULL), DS_ENOTFOUND);
}

static void what_is_forgotten_leaves_memory_and_comes_back(void **state)
{
    (void)state;
    struct ds_map m;
    uint8_t before[DS_SHA256_BYTES];
    uint8_t after[DS_SHA256_BYTES];
    assert_int_equal(ds_map_open(&m, path, LARGE_BYTES, NULL), DS_OK);
    const size_t idle = resident_bytes();
    unsigned sum = 0;
    for (size_t i = 0; i < m.len; i += 1024) {
        sum += m.data[i];
    }
    assert_true(sum > 0);
    assert_true(resident_bytes() >= idle + LARGE_BYTES / 2); /* else this test tests nothing */
    assert_int_equal(ds_sha256_of(m.data, m.len, before, NULL), DS_OK);
    assert_true(resident_bytes() < idle + LARGE_BYTES / 4);
    assert_int_equal(ds_sha256_of(m.data, m.len, after, NULL), DS_OK);
    assert_memory_equal(before, after, sizeof(before));
    ds_map_close(&m);
}

static void a_large_buffer_does_not_stay_in_memory(void **state)
{
    (void)state;
    struct ds_map m;
    struct ds_bytes b = DS_BYTES_LARGE(2 * LARGE_BYTES);
    assert_int_equal(ds_map_open(&m, path, LARGE_BYTES, NULL), DS_OK);
    const size_t idle = resident_bytes();
    assert_true(idle > 0);
    for (size_t at = 0; at < m.len; at += 65536) {
        assert_int_equal(ds_bytes_append(&b, m.data + at, 65536, NULL), DS_OK);
    }
    ds_map_forget(m.data, m.len);
#ifndef __SANITIZE_ADDRESS__ /* which keeps what was freed while the buffer was small */
    assert_true(resident_bytes() < idle + LARGE_BYTES / 2);
#endif
    assert_memory_equal(b.data, m.data, LARGE_BYTES);
    ds_bytes_free(&b);
    ds_map_close(&m);
}

static void ordinary_memory_is_never_forgotten(void **state)
{
    (void)state;
    uint8_t *memory = malloc(1U << 20);
    assert_non_null(memory);
    memset(memory, 7, 1U << 20);
    ds_map_forget(memory, 1U << 20);
    for (size_t i = 0; i < 1U << 20; i++) {
        assert_int_equal(memory[i], 7);
    }
    free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_read_where_it_lies),
        cmocka_unit_test(what_is_forgotten_leaves_memory_and_comes_back),
        cmocka_unit_test(a_large_buffer_does_not_stay_in_memory),
        cmocka_unit_test(ordinary_memory_is_never_forgotten),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
