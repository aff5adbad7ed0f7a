/* SPDX-License-Identifier: Apache-2.0 */
#include "scp/scp.h"

#include "base/file.h"
#include "tests/unit/dicom/raw_peer.h"
#include "tests/unit/scp/folder.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

#include <cmocka.h>

#define CT       "1.2.840.10008.5.1.4.1.1.2"
#define EXPLICIT "1.2.840.10008.1.2.1"

/* (0008,0060) "CT" and (7FE0,0010) OB of two bytes: the smallest thing that adds up. */
static const uint8_t sound[] = {8,    0, 0x60, 0,   'C', 'S', 2, 0, 'C', 'T', 0xe0, 0x7f,
                                0x10, 0, 'O',  'B', 0,   0,   2, 0, 0,   0,   7,    8};

/* ---- a disk that can be full, and that can refuse to flush ---- */

static atomic_bool disk_is_full, flush_fails;

int fstatvfs(int fd, struct statvfs *out)
{
    struct statfs fs;
    if (fstatfs(fd, &fs) != 0) {
        return -1;
    }
    memset(out, 0, sizeof(*out));
    out->f_frsize = (unsigned long)fs.f_frsize;
    out->f_bavail = atomic_load(&disk_is_full) ? 0 : fs.f_bavail;
    return 0;
}

int fdatasync(int fd)
{
    if (atomic_load(&flush_fails)) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

struct node {
    char folder[64];
    struct spool *spool;
    struct scp *scp;
    bool known, may_store, may_echo, may_get;
    pthread_mutex_t mutex;
    unsigned stored, closed;
    struct spool_entry last;
};

static bool knows(void *context, const struct dicom_peer *peer)
{
    (void)peer;
    return ((const struct node *)context)->known;
}

static bool may(void *context, const struct dicom_peer *peer, enum scp_right right)
{
    const struct node *n = context;
    (void)peer;
    switch (right) {
    case SCP_RIGHT_STORE:
        return n->may_store;
    case SCP_RIGHT_GET:
        return n->may_get;
    case SCP_RIGHT_ECHO:
        return n->may_echo;
    default:
        return false;
    }
}

static void stored(void *context, const struct spool_entry *entry, const struct dicom_peer *peer)
{
    struct node *n = context;
    (void)peer;
    (void)pthread_mutex_lock(&n->mutex);
    n->stored++;
    n->last = *entry;
    (void)pthread_mutex_unlock(&n->mutex);
}

static void closed(void *context, const struct dicom_peer *peer, unsigned count)
{
    struct node *n = context;
    (void)peer;
    (void)count;
    (void)pthread_mutex_lock(&n->mutex);
    n->closed++;
    (void)pthread_mutex_unlock(&n->mutex);
}

static bool wait_closed(struct node *n, unsigned wanted)
{
    unsigned seen = 0;
    for (int i = 0; i < 400 && seen < wanted; i++) {
        pause_ms(25);
        (void)pthread_mutex_lock(&n->mutex);
        seen = n->closed;
        (void)pthread_mutex_unlock(&n->mutex);
    }
    return seen >= wanted;
}

static void start(struct node *n)
{
    struct ds_error err = {DS_OK, ""};
    const struct spool_options so = {.folder = n->folder, .min_free_bytes = 1};
    const struct dicom_listener_options lo = {
        .address = "127.0.0.1", .ae_title = "NODE", .max_associations = 8, .timeout_s = 20};
    const struct scp_policy policy = {
        .context = n, .knows = knows, .may = may, .stored = stored, .closed = closed};
    if (spool_open(&n->spool, &so, &err) != DS_OK ||
        scp_start(&n->scp, &lo, n->spool, &policy, &err) != DS_OK) {
        fail_msg("%s", err.text);
    }
}

static void stop(struct node *n)
{
    scp_stop(n->scp, 1000);
    spool_close(n->spool);
}

static int setup(void **state)
{
    struct node *n = calloc(1, sizeof(*n));
    (void)snprintf(n->folder, sizeof(n->folder), "/tmp/dicomstego-test-XXXXXX");
    assert_non_null(mkdtemp(n->folder));
    (void)pthread_mutex_init(&n->mutex, NULL);
    n->known = true;
    n->may_store = true;
    n->may_echo = true;
    start(n);
    *state = n;
    return 0;
}

static int teardown(void **state)
{
    struct node *n = *state;
    stop(n);
    assert_int_equal(ds_file_remove_tree(n->folder, NULL), DS_OK);
    (void)pthread_mutex_destroy(&n->mutex);
    free(n);
    return 0;
}

static enum ds_status try_open(const struct node *n, struct dicom_requestor **out)
{
    const struct dicom_requestor_options o = {.host = "127.0.0.1",
                                              .port = scp_port(n->scp),
                                              .calling_ae = "CT1",
                                              .called_ae = "NODE",
                                              .timeout_s = 20};
    const struct dicom_context context = {CT, EXPLICIT};
    return dicom_requestor_open(out, &o, &context, 1, NULL);
}

static uint16_t send_to(struct dicom_requestor *r, const uint8_t *data, size_t len)
{
    uint16_t status = 0xffff;
    struct ds_error err = {DS_OK, ""};
    if (dicom_requestor_store(r, CT, "1.2.3.4", EXPLICIT, data, len, &status, &err) != DS_OK) {
        fail_msg("%s", err.text);
    }
    return status;
}

static uint16_t send_once(const struct node *n, const uint8_t *data, size_t len)
{
    struct dicom_requestor *r = NULL;
    assert_int_equal(try_open(n, &r), DS_OK);
    const uint16_t status = send_to(r, data, len);
    dicom_requestor_close(r);
    return status;
}

static void success_means_stored(void **state)
{
    struct node *n = *state;
    assert_int_equal(send_once(n, sound, sizeof(sound)), 0);
    assert_int_equal(n->stored, 1);
    assert_int_equal(n->last.dataset_bytes, sizeof(sound));
    struct ds_bytes file = DS_BYTES_INIT(4096);
    assert_int_equal(ds_file_read(n->last.path, &file, NULL), DS_OK);
    assert_memory_equal(file.data + file.len - sizeof(sound), sound, sizeof(sound));
    assert_non_null(memmem(file.data, file.len, "AE\4\0CT1 ", 8));
    ds_bytes_free(&file);
    assert_true(wait_closed(n, 1));
}

static void what_is_no_data_set_is_not_understood(void **state)
{
    struct node *n = *state;
    struct dicom_requestor *r = NULL;
    assert_int_equal(try_open(n, &r), DS_OK);
    uint8_t damaged[sizeof(sound)];
    memcpy(damaged, sound, sizeof(sound));
    damaged[18] = 200; /* Pixel Data claims more bytes than came */
    assert_int_equal(send_to(r, damaged, sizeof(damaged)), 0xc000);
    assert_int_equal(send_to(r, sound, sizeof(sound) - 2), 0xc000);
    assert_int_equal(n->stored, 0);
    assert_int_equal(files_in(n->folder, "new"), 0);
    assert_int_equal(files_in(n->folder, "tmp"), 0);
    assert_int_equal(send_to(r, sound, sizeof(sound)), 0);
    dicom_requestor_close(r);
}

/* A UID element of group 0008 in Explicit VR Little Endian. */
static void put_uid(struct ds_bytes *b, uint8_t element, const char *uid)
{
    const size_t len = strlen(uid) + strlen(uid) % 2;
    const uint8_t head[] = {8, 0, element, 0, 'U', 'I', (uint8_t)len, 0};
    assert_int_equal(ds_bytes_append(b, head, sizeof(head), NULL), DS_OK);
    assert_int_equal(ds_bytes_append(b, uid, len, NULL), DS_OK);
}

static uint16_t send_as(struct dicom_requestor *r, const char *class_uid, const char *instance)
{
    struct ds_bytes b = DS_BYTES_INIT(4096);
    put_uid(&b, 0x16, class_uid);
    put_uid(&b, 0x18, instance);
    assert_int_equal(ds_bytes_append(&b, sound, sizeof(sound), NULL), DS_OK);
    const uint16_t status = send_to(r, b.data, b.len);
    ds_bytes_free(&b);
    return status;
}

/* PS3.4 B.2.3; the command says CT and 1.2.3.4. */
static void another_instance_than_announced_is_a_mismatch(void **state)
{
    struct node *n = *state;
    struct dicom_requestor *r = NULL;
    assert_int_equal(try_open(n, &r), DS_OK);
    assert_int_equal(send_as(r, "1.2.840.10008.5.1.4.1.1.4", "1.2.3.4"), 0xa900);
    assert_int_equal(send_as(r, CT, "1.2.3.4.5"), 0xa900);
    assert_int_equal(n->stored, 0);
    assert_int_equal(files_in(n->folder, "new") + files_in(n->folder, "tmp"), 0);
    assert_int_equal(send_as(r, CT, "1.2.3.4"), 0);
    assert_int_equal(n->stored, 1);
    dicom_requestor_close(r);
}

/* In the file it would stand right behind our own group 0002 and overrule it. */
static void a_data_set_cannot_forge_the_record_of_its_acceptance(void **state)
{
    struct node *n = *state;
    struct ds_bytes b = DS_BYTES_INIT(4096);
    static const uint8_t source[] = {2, 0, 0x16, 0, 'A', 'E', 4, 0, 'B', 'O', 'S', 'S'};
    assert_int_equal(ds_bytes_append(&b, source, sizeof(source), NULL), DS_OK);
    assert_int_equal(ds_bytes_append(&b, sound, sizeof(sound), NULL), DS_OK);
    assert_int_equal(send_once(n, b.data, b.len), 0xc000);
    ds_bytes_free(&b);
    assert_int_equal(n->stored, 0);
    assert_int_equal(files_in(n->folder, "new") + files_in(n->folder, "tmp"), 0);
}

static void an_odd_length_is_no_data_set(void **state)
{
    struct node *n = *state;
    const int fd = raw_associate(scp_port(n->scp), CT, EXPLICIT);
    for (unsigned i = 0; i < 2; i++) {
        assert_true(raw_store_command(fd, CT, "1.2.3.4"));
        assert_true(raw_pdata(fd, 0x02, sound, sizeof(sound) - i, sizeof(sound) - i));
        assert_int_equal(raw_status(fd), i == 0 ? 0 : 0xc000);
    }
    (void)close(fd);
}

static void rights_are_asked_for(void **state)
{
    struct node *n = *state;
    n->may_store = false;
    assert_int_equal(send_once(n, sound, sizeof(sound)), 0x0124);
    assert_int_equal(files_in(n->folder, "new") + files_in(n->folder, "tmp"), 0);
    struct dicom_requestor *r = NULL;
    n->may_echo = false;
    assert_int_equal(try_open(n, &r), DS_EREFUSED);
    n->may_echo = true;
    n->known = false;
    assert_int_equal(try_open(n, &r), DS_EREFUSED);
}

static void below_the_watermark_associations_are_rejected_for_now(void **state)
{
    struct node *n = *state;
    struct dicom_requestor *r = NULL;
    atomic_store(&disk_is_full, true);
    assert_int_equal(try_open(n, &r), DS_EIO); /* rejected-transient: try again */
    n->known = false;
    assert_int_equal(try_open(n, &r), DS_EREFUSED); /* a stranger learns nothing of it */
    n->known = true;
    atomic_store(&disk_is_full, false);
    assert_int_equal(send_once(n, sound, sizeof(sound)), 0);
}

static void below_the_watermark_a_running_association_is_out_of_resources(void **state)
{
    struct node *n = *state;
    struct dicom_requestor *r = NULL;
    assert_int_equal(try_open(n, &r), DS_OK);
    assert_int_equal(send_to(r, sound, sizeof(sound)), 0);
    atomic_store(&disk_is_full, true);
    assert_int_equal(send_to(r, sound, sizeof(sound)), 0xa700);
    atomic_store(&disk_is_full, false);
    assert_int_equal(send_to(r, sound, sizeof(sound)), 0);
    dicom_requestor_close(r);
}

/* What is there can still be asked for. */
static void below_the_watermark_whoever_may_retrieve_is_let_in(void **state)
{
    struct node *n = *state;
    n->may_get = true;
    atomic_store(&disk_is_full, true);
    assert_int_equal(send_once(n, sound, sizeof(sound)), 0xa700);
    atomic_store(&disk_is_full, false);
}

static void a_disk_that_fails_is_out_of_resources(void **state)
{
    struct node *n = *state;
    atomic_store(&flush_fails, true);
    assert_int_equal(send_once(n, sound, sizeof(sound)), 0xa700);
    atomic_store(&flush_fails, false);
    assert_int_equal(send_once(n, sound, sizeof(sound)), 0);
}

/* Sends the same large instance until it is killed. */
static void send_forever(const struct node *n)
{
    const size_t len = 8U << 20;
    uint8_t *data = calloc(1, len);
    memcpy(data, sound, sizeof(sound));
    const uint32_t value = (uint32_t)(len - 22);
    memcpy(data + 18, &value, sizeof(value));
    struct dicom_requestor *r = NULL;
    uint16_t status = 0;
    if (try_open(n, &r) == DS_OK) {
        while (dicom_requestor_store(r, CT, "1.2.3.4", EXPLICIT, data, len, &status, NULL) ==
               DS_OK) {
        }
    }
    _exit(1);
}

static unsigned threads(void)
{
    DIR *d = opendir("/proc/self/task");
    unsigned count = 0;
    while (readdir(d) != NULL) {
        count++;
    }
    (void)closedir(d);
    return count;
}

static void a_sender_killed_in_the_middle_leaves_no_file_and_no_thread(void **state)
{
    struct node *n = *state;
    const unsigned before = threads();
    for (unsigned i = 0; i < 5; i++) {
        const pid_t pid = fork();
        if (pid == 0) {
            send_forever(n);
        }
        for (int k = 0; k < 2000 && files_in(n->folder, "tmp") == 0; k++) {
            pause_ms(1);
        }
        assert_int_equal(files_in(n->folder, "tmp"), 1);
        end_program(pid, SIGKILL);
        assert_true(wait_closed(n, i + 1));
    }
    assert_int_equal(files_in(n->folder, "tmp"), 0);
    assert_int_equal(files_in(n->folder, "new"), n->stored);
    for (int k = 0; k < 200 && threads() > before; k++) {
        pause_ms(25);
    }
    assert_int_equal(threads(), before);
    assert_int_equal(send_once(n, sound, sizeof(sound)), 0);
}

struct sender {
    const struct node *node;
    pthread_t thread;
    unsigned done;
};

static void *send_many(void *context)
{
    struct sender *s = context;
    struct dicom_requestor *r = NULL;
    if (try_open(s->node, &r) != DS_OK) {
        return NULL;
    }
    uint16_t status = 1;
    while (s->done < 25 &&
           dicom_requestor_store(r, CT, "1.2.3.4", EXPLICIT, sound, sizeof(sound), &status, NULL) ==
               DS_OK &&
           status == 0) {
        s->done++;
    }
    dicom_requestor_close(r);
    return NULL;
}

static void many_senders_at_once_lose_nothing(void **state)
{
    struct node *n = *state;
    struct sender senders[8];
    for (size_t i = 0; i < DS_ARRAY_SIZE(senders); i++) {
        senders[i] = (struct sender){.node = n, .done = 0};
        assert_int_equal(pthread_create(&senders[i].thread, NULL, send_many, &senders[i]), 0);
    }
    for (size_t i = 0; i < DS_ARRAY_SIZE(senders); i++) {
        (void)pthread_join(senders[i].thread, NULL);
        assert_int_equal(senders[i].done, 25);
    }
    assert_int_equal(n->stored, 200);
    assert_int_equal(files_in(n->folder, "new"), 200);
}

static void a_real_series_arrives_whole(void **state)
{
    struct node *n = *state;
    const char *data = getenv("DICOMSTEGO_TEST_DATA");
    char folder[512];
    (void)snprintf(folder, sizeof(folder), "%s/ct/ge-hispeed", data == NULL ? "" : data);
    if (!ds_file_exists(folder) || !program_exists("storescu")) {
        print_message("skipped: no test data or no storescu\n");
        skip();
    }
    char port[8];
    (void)snprintf(port, sizeof(port), "%u", scp_port(n->scp));
    const char *const argv[] = {"storescu", "-aec", "NODE", "+sd", "127.0.0.1", port, folder, NULL};
    assert_int_equal(run_program(argv), 0);
    assert_true(wait_closed(n, 1));
    assert_int_equal(n->stored, 28);
    assert_int_equal(files_in(n->folder, "new"), 28);
}

int main(void)
{
    struct ds_error err = {DS_OK, ""};
    if (dicom_init(&err) != DS_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(success_means_stored, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_data_set_is_not_understood, setup, teardown),
        cmocka_unit_test_setup_teardown(another_instance_than_announced_is_a_mismatch, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_data_set_cannot_forge_the_record_of_its_acceptance, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(an_odd_length_is_no_data_set, setup, teardown),
        cmocka_unit_test_setup_teardown(rights_are_asked_for, setup, teardown),
        cmocka_unit_test_setup_teardown(below_the_watermark_associations_are_rejected_for_now,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(below_the_watermark_whoever_may_retrieve_is_let_in, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            below_the_watermark_a_running_association_is_out_of_resources, setup, teardown),
        cmocka_unit_test_setup_teardown(a_disk_that_fails_is_out_of_resources, setup, teardown),
        cmocka_unit_test_setup_teardown(a_sender_killed_in_the_middle_leaves_no_file_and_no_thread,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(many_senders_at_once_lose_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_real_series_arrives_whole, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
