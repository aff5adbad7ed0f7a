/* SPDX-License-Identifier: Apache-2.0 */
/*
 * programs - starting and ending other programs from a test.
 */
#ifndef DICOMSTEGO_TESTS_PROGRAMS_H
#define DICOMSTEGO_TESTS_PROGRAMS_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static inline void pause_ms(long ms)
{
    const struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    (void)nanosleep(&t, NULL);
}

static inline bool program_exists(const char *name)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "/usr/bin/%s", name);
    return access(path, X_OK) == 0;
}

/* argv ends with NULL. Output is thrown away. */
static inline pid_t start_program(const char *const *argv)
{
    const pid_t pid = fork();
    if (pid == 0) {
        const int null = open("/dev/null", O_RDWR);
        (void)dup2(null, 1);
        (void)dup2(null, 2);
        /* execvp takes its strings as const in all but the declaration. */
        union {
            const char *const *in;
            char *const *out;
        } args = {argv};
        (void)execvp(argv[0], args.out);
        _exit(127);
    }
    return pid;
}

static inline int wait_program(pid_t pid)
{
    int status = -1;
    (void)waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static inline int run_program(const char *const *argv)
{
    return wait_program(start_program(argv));
}

static inline void end_program(pid_t pid, int sig)
{
    (void)kill(pid, sig);
    (void)waitpid(pid, NULL, 0);
}

static inline int connect_to(uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

/* A port that was free a moment ago, for programs that cannot choose one themselves. */
static inline uint16_t free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = 0};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t len = sizeof(at);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fd, (const struct sockaddr *)&at, len) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) != 0) {
        abort();
    }
    (void)close(fd);
    return ntohs(at.sin_port);
}

static inline bool wait_for_port(uint16_t port)
{
    for (int i = 0; i < 200; i++) {
        const int fd = connect_to(port);
        if (fd >= 0) {
            (void)close(fd);
            return true;
        }
        pause_ms(25);
    }
    return false;
}

#endif
