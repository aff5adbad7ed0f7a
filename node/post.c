/* SPDX-License-Identifier: Apache-2.0 */
#include "node/post.h"

#include <curl/curl.h>
#include <string.h>
#include <strings.h>

static void free_handle(CURL **c)
{
    curl_easy_cleanup(*c);
}

static void free_headers(struct curl_slist **l)
{
    curl_slist_free_all(*l);
}

static size_t take(char *data, size_t size, size_t count, void *answer)
{
    return ds_bytes_append(answer, data, size * count, NULL) == DS_OK ? size * count : 0;
}

static int look(void *context, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const struct post *p = context;
    (void)a;
    (void)b;
    (void)c;
    (void)d;
    return p->stopping != NULL && p->stopping(p->context) ? 1 : 0;
}

static bool set_up(CURL *c, const struct post *p, struct curl_slist *headers,
                   struct ds_bytes *answer)
{
    return curl_easy_setopt(c, CURLOPT_URL, p->url) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)p->timeout_ms) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_POST, 1L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, (long)p->body->len) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_POSTFIELDS, (const char *)p->body->data) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_WRITEDATA, (void *)answer) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, look) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_XFERINFODATA, (const void *)p) == CURLE_OK;
}

static bool is_type(const char *type, const char *wanted)
{
    const size_t len = strlen(wanted);
    return type != NULL && strncasecmp(type, wanted, len) == 0 &&
           (type[len] == '\0' || type[len] == ';' || type[len] == ' ');
}

static enum ds_status judge(CURL *c, const struct post *p, CURLcode result, struct ds_error *err)
{
    long code = 0;
    const char *type = NULL;
    if (result != CURLE_OK) {
        return ds_fail(err, DS_EIO, "%.80s: %s", p->url, curl_easy_strerror(result));
    }
    if (curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &code) != CURLE_OK ||
        curl_easy_getinfo(c, CURLINFO_CONTENT_TYPE, &type) != CURLE_OK || code != 200) {
        return ds_fail(err, DS_EIO, "%.80s answered with status %ld", p->url, code);
    }
    return is_type(type, p->accept)
               ? DS_OK
               : ds_fail(err, DS_EIO, "%.80s answered with something else than %s", p->url,
                         p->accept);
}

enum ds_status post_send(const struct post *p, struct ds_bytes *answer, struct ds_error *err)
{
    char type[128];
    (void)snprintf(type, sizeof(type), "Content-Type: %s", p->type);
    DS_AUTO(free_headers) struct curl_slist *headers = curl_slist_append(NULL, type);
    DS_AUTO(free_handle) CURL *c = curl_easy_init(); /* the first one also sets libcurl up */
    if (headers == NULL || c == NULL || !set_up(c, p, headers, answer)) {
        return ds_fail(err, DS_ENOMEM, "cannot set up an HTTP request");
    }
    return judge(c, p, curl_easy_perform(c), err);
}
