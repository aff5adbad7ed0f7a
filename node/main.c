/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dicomstegod - the node as a service. Runs in the foreground and logs to standard error; the
 * service manager does the rest.
 */
#include "base/log.h"
#include "node/node.h"
#include "node/notify.h"
#include "node/settings.h"

#include <getopt.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXIT_FAILED 1
#define EXIT_USAGE  2

static const char usage[] =
    "usage: dicomstegod --config FILE [--check]\n"
    "\n"
    "Receives DICOM studies, protects or recovers them by its rules, and forwards them.\n"
    "\n"
    "  -c, --config FILE   the configuration (YAML)\n"
    "      --check         read the configuration with its keys and certificates, and end\n"
    "      --version       print the version\n"
    "  -h, --help          print this\n"
    "\n"
    "SIGTERM and SIGINT end it within ten seconds; SIGHUP reads the configuration again.\n";

struct options {
    const char *config;
    bool check;
};

/* Returns -1 to go on, or the exit status. */
static int read_options(int argc, char **argv, struct options *out)
{
    static const struct option names[] = {{"config", required_argument, NULL, 'c'},
                                          {"check", no_argument, NULL, 'k'},
                                          {"version", no_argument, NULL, 'v'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    for (;;) {
        const int option = getopt_long(argc, argv, "c:h", names, NULL);
        switch (option) {
        case -1:
            if (out->config == NULL || optind != argc) {
                (void)fputs(usage, stderr);
                return EXIT_USAGE;
            }
            return -1;
        case 'c':
            out->config = optarg;
            break;
        case 'k':
            out->check = true;
            break;
        case 'v':
            (void)puts("dicomstegod " DICOMSTEGO_VERSION);
            return EXIT_SUCCESS;
        case 'h':
            (void)fputs(usage, stdout);
            return EXIT_SUCCESS;
        default:
            (void)fputs(usage, stderr);
            return EXIT_USAGE;
        }
    }
}

static int exit_status_of(enum ds_status s)
{
    return s == DS_ECONFIG || s == DS_EINVAL ? EXIT_USAGE : EXIT_FAILED;
}

static int check(const char *path)
{
    struct ds_error err = {0};
    DS_AUTO(settings_auto) struct settings *settings = NULL;
    const enum ds_status s = settings_load(&settings, path, &err);
    if (s != DS_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        return exit_status_of(s);
    }
    (void)printf("%s: sound\n", path);
    return EXIT_SUCCESS;
}

/* Until SIGTERM or SIGINT. The signals are blocked in every thread and taken here, so that nothing
 * runs in a signal handler. */
static void serve(struct node *node, const sigset_t *signals)
{
    for (;;) {
        int number = 0;
        if (sigwait(signals, &number) != 0) {
            continue;
        }
        if (number != SIGHUP) {
            ds_log(DS_LOG_INFO, "node", "signal=%d stopping", number);
            return;
        }
        struct ds_error err = {0};
        notify_manager("RELOADING=1");
        const enum ds_status s = node_reload(node, &err);
        if (s == DS_OK) {
            ds_log(DS_LOG_INFO, "node", "the configuration was read again and is in force");
        } else {
            ds_log(DS_LOG_ERROR, "node", "the running configuration stays in force: %s", err.text);
        }
        notify_manager("READY=1");
    }
}

static int run(const char *path)
{
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)umask(077);

    /* Buffers of this size go back to the system when they are freed. Without a number of our own,
     * glibc raises its limit with every large one, and keeps them. */
    (void)mallopt(M_MMAP_THRESHOLD, 4 * 1024 * 1024);
    /* What is smaller comes and goes with each slice: giving it back and taking it again each time
     * costs more than hashing it. */
    (void)mallopt(M_TRIM_THRESHOLD, 8 * 1024 * 1024);

    struct ds_error err = {0};
    struct node *node = NULL;
    const enum ds_status s = node_start(&node, path, &err);
    if (s != DS_OK) {
        ds_log(DS_LOG_ERROR, "node", "cannot start: %s", err.text);
        return exit_status_of(s);
    }
    notify_manager("READY=1");
    serve(node, &signals);
    notify_manager("STOPPING=1");
    if (!node_stop(node)) {
        _exit(EXIT_SUCCESS); /* a thread is stuck with a peer: nothing of it is waited for */
    }
    ds_log(DS_LOG_INFO, "node", "stopped");
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    struct options options = {0};
    const int answer = read_options(argc, argv, &options);
    if (answer >= 0) {
        return answer;
    }
    return options.check ? check(options.config) : run(options.config);
}
