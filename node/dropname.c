/* SPDX-License-Identifier: Apache-2.0 */
#include "node/dropfolder.h"

#include <string.h>
#include <strings.h>

/* Names under which programs write a file that is not finished. */
static bool is_unfinished(const char *name)
{
    static const char *const endings[] = {".part", ".tmp", ".temp", ".crdownload", "~"};
    const size_t len = strlen(name);
    for (size_t i = 0; i < DS_ARRAY_SIZE(endings); i++) {
        const size_t n = strlen(endings[i]);
        if (len >= n && strcasecmp(name + len - n, endings[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* UIDs have dots of their own: an extension is a short word with a letter in it. */
static size_t length_without_extension(const char *name)
{
    const char *dot = strrchr(name, '.');
    if (dot == NULL || dot == name || strlen(dot) > 6 ||
        strspn(dot + 1, "0123456789") == strlen(dot + 1)) {
        return strlen(name);
    }
    return (size_t)(dot - name);
}

bool dropfolder_study_of(const char *name, char out[DROP_NAME_BYTES])
{
    out[0] = '\0';
    if (name[0] == '.' || is_unfinished(name)) {
        return false;
    }
    size_t len = length_without_extension(name);
    for (size_t i = 0; i + 1 < len; i++) {
        if ((name[i] == '-' && name[i + 1] == '-') || (name[i] == '_' && name[i + 1] == '_')) {
            len = i;
        }
    }
    if (len == 0 || len >= DROP_NAME_BYTES) {
        return false;
    }
    memcpy(out, name, len);
    out[len] = '\0';
    return true;
}

static bool begins_with(const uint8_t *data, size_t len, size_t offset, const char *magic)
{
    const size_t n = strlen(magic);
    return len >= offset + n && memcmp(data + offset, magic, n) == 0;
}

const char *dropfolder_media_type(const char *name, const uint8_t *data, size_t len)
{
    static const struct {
        const char *extension, *type;
    } types[] = {
        {".txt", "text/plain; charset=utf-8"},
        {".text", "text/plain; charset=utf-8"},
        {".xml", "application/xml"},
        {".html", "text/html"},
        {".json", "application/json"},
        {".rtf", "application/rtf"},
        {".hl7", "x-application/hl7-v2+er7"},
        {".png", "image/png"},
        {".jpg", "image/jpeg"},
    };
    if (begins_with(data, len, 0, "%PDF-")) {
        return "application/pdf";
    }
    if (begins_with(data, len, 128, "DICM")) {
        return "application/dicom";
    }
    const char *extension = name + length_without_extension(name);
    for (size_t i = 0; i < DS_ARRAY_SIZE(types); i++) {
        if (strcasecmp(extension, types[i].extension) == 0) {
            return types[i].type;
        }
    }
    return "application/octet-stream";
}
