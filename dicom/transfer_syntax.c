/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/transfer_syntax.h"

#include "base/base.h"

#include <string.h>

/* clang-format off */
#define NATIVE(uid, name, keyword, explicit_vr, big_endian, deflated) \
    {uid, name, keyword, explicit_vr, big_endian, deflated, DICOM_NATIVE, false}
#define CODED(uid, name, keyword, coding, may_lose) \
    {"1.2.840.10008.1.2." uid, name, keyword, true, false, false, coding, may_lose}
#define LOSSLESS(uid, name, keyword) CODED(uid, name, keyword, DICOM_ENCAPSULATED, false)
#define LOSSY(uid, name, keyword)    CODED(uid, name, keyword, DICOM_ENCAPSULATED, true)
#define VIDEO(uid, name, keyword)    CODED(uid, name, keyword, DICOM_VIDEO, true)

static const struct dicom_transfer_syntax table[] = {
    NATIVE(DICOM_EXPLICIT_LE, "Explicit VR Little Endian", "explicit-le", true, false, false),
    NATIVE(DICOM_IMPLICIT_LE, "Implicit VR Little Endian", "implicit-le", false, false, false),
    NATIVE(DICOM_DEFLATED_LE, "Deflated Explicit VR Little Endian", "deflated", true, false, true),
    NATIVE(DICOM_EXPLICIT_BE, "Explicit VR Big Endian", "explicit-be", true, true, false),
    LOSSLESS("4.80", "JPEG-LS Lossless", "jpeg-ls-lossless"),
    LOSSLESS("4.90", "JPEG 2000 (Lossless Only)", "jpeg-2000-lossless"),
    LOSSLESS("4.70", "JPEG Lossless, Process 14, Selection Value 1", "jpeg-lossless-sv1"),
    LOSSLESS("4.57", "JPEG Lossless, Process 14", "jpeg-lossless"),
    LOSSLESS("5", "RLE Lossless", "rle"),
    LOSSLESS("4.201", "HTJ2K (Lossless Only)", "htj2k-lossless"),
    LOSSLESS("4.202", "HTJ2K with RPCL Options (Lossless Only)", "htj2k-lossless-rpcl"),
    LOSSLESS("4.110", "JPEG XL Lossless", "jpeg-xl-lossless"),
    LOSSLESS("4.92", "JPEG 2000 Part 2 Multi-component (Lossless Only)", "jpeg-2000-mc-lossless"),
    LOSSLESS("8.1", "Deflated Image Frame Compression", "deflated-frame"),
    LOSSLESS("1.98", "Encapsulated Uncompressed Explicit VR Little Endian", "encapsulated"),
    LOSSLESS("4.58", "JPEG Lossless, Hierarchical, Process 15 (retired)", "jpeg-15"),
    LOSSLESS("4.65", "JPEG Lossless, Hierarchical, Process 28 (retired)", "jpeg-28"),
    LOSSLESS("4.66", "JPEG Lossless, Hierarchical, Process 29 (retired)", "jpeg-29"),
    LOSSY("4.91", "JPEG 2000", "jpeg-2000"),
    LOSSY("4.203", "HTJ2K", "htj2k"),
    LOSSY("4.81", "JPEG-LS Lossy (Near-Lossless)", "jpeg-ls-near-lossless"),
    LOSSY("4.50", "JPEG Baseline (Process 1)", "jpeg-baseline"),
    LOSSY("4.51", "JPEG Extended (Process 2 & 4)", "jpeg-extended"),
    LOSSY("4.112", "JPEG XL", "jpeg-xl"),
    LOSSY("4.111", "JPEG XL JPEG Recompression", "jpeg-xl-recompression"),
    LOSSY("4.93", "JPEG 2000 Part 2 Multi-component", "jpeg-2000-mc"),
    LOSSY("4.52", "JPEG Extended (Process 3 & 5, retired)", "jpeg-3-5"),
    LOSSY("4.53", "JPEG Spectral Selection, Non-Hierarchical (Process 6 & 8, retired)", "jpeg-6-8"),
    LOSSY("4.54", "JPEG Spectral Selection, Non-Hierarchical (Process 7 & 9, retired)", "jpeg-7-9"),
    LOSSY("4.55", "JPEG Full Progression, Non-Hierarchical (Process 10 & 12, retired)", "jpeg-10-12"),
    LOSSY("4.56", "JPEG Full Progression, Non-Hierarchical (Process 11 & 13, retired)", "jpeg-11-13"),
    LOSSY("4.59", "JPEG Extended, Hierarchical (Process 16 & 18, retired)", "jpeg-16-18"),
    LOSSY("4.60", "JPEG Extended, Hierarchical (Process 17 & 19, retired)", "jpeg-17-19"),
    LOSSY("4.61", "JPEG Spectral Selection, Hierarchical (Process 20 & 22, retired)", "jpeg-20-22"),
    LOSSY("4.62", "JPEG Spectral Selection, Hierarchical (Process 21 & 23, retired)", "jpeg-21-23"),
    LOSSY("4.63", "JPEG Full Progression, Hierarchical (Process 24 & 26, retired)", "jpeg-24-26"),
    LOSSY("4.64", "JPEG Full Progression, Hierarchical (Process 25 & 27, retired)", "jpeg-25-27"),
    VIDEO("4.102", "MPEG-4 AVC/H.264 High Profile / Level 4.1", "h264-4.1"),
    VIDEO("4.102.1", "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.1", "h264-4.1-fragmentable"),
    VIDEO("4.103", "MPEG-4 AVC/H.264 BD-compatible / Level 4.1", "h264-bd"),
    VIDEO("4.103.1", "Fragmentable MPEG-4 AVC/H.264 BD-compatible / Level 4.1", "h264-bd-fragmentable"),
    VIDEO("4.104", "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video", "h264-4.2"),
    VIDEO("4.104.1", "Fragmentable MPEG-4 AVC/H.264 / Level 4.2 For 2D Video", "h264-4.2-fragmentable"),
    VIDEO("4.105", "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video", "h264-4.2-3d"),
    VIDEO("4.105.1", "Fragmentable MPEG-4 AVC/H.264 / Level 4.2 For 3D Video", "h264-4.2-3d-fragmentable"),
    VIDEO("4.106", "MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2", "h264-stereo"),
    VIDEO("4.106.1", "Fragmentable MPEG-4 AVC/H.264 Stereo / Level 4.2", "h264-stereo-fragmentable"),
    VIDEO("4.107", "HEVC/H.265 Main Profile / Level 5.1", "h265"),
    VIDEO("4.108", "HEVC/H.265 Main 10 Profile / Level 5.1", "h265-10"),
    VIDEO("4.100", "MPEG2 Main Profile / Main Level", "mpeg2-main"),
    VIDEO("4.100.1", "Fragmentable MPEG2 Main Profile / Main Level", "mpeg2-main-fragmentable"),
    VIDEO("4.101", "MPEG2 Main Profile / High Level", "mpeg2-high"),
    VIDEO("4.101.1", "Fragmentable MPEG2 Main Profile / High Level", "mpeg2-high-fragmentable"),
    CODED("4.94", "JPIP Referenced", "jpip", DICOM_REFERENCED, true),
    {"1.2.840.10008.1.2.4.95", "JPIP Referenced Deflate", "jpip-deflate", true, false, true, DICOM_REFERENCED, true},
    CODED("4.204", "JPIP HTJ2K Referenced", "jpip-htj2k", DICOM_REFERENCED, true),
    {"1.2.840.10008.1.2.4.205", "JPIP HTJ2K Referenced Deflate", "jpip-htj2k-deflate", true, false, true, DICOM_REFERENCED, true},
    CODED("7.1", "SMPTE ST 2110-20 Uncompressed Progressive Active Video", "st2110-20p", DICOM_REFERENCED, false),
    CODED("7.2", "SMPTE ST 2110-20 Uncompressed Interlaced Active Video", "st2110-20i", DICOM_REFERENCED, false),
    CODED("7.3", "SMPTE ST 2110-30 PCM Digital Audio", "st2110-30", DICOM_REFERENCED, false),
};
/* clang-format on */

const struct dicom_transfer_syntax *dicom_transfer_syntaxes(size_t *count)
{
    *count = DS_ARRAY_SIZE(table);
    return table;
}

const struct dicom_transfer_syntax *dicom_transfer_syntax_of(const char *uid)
{
    for (size_t i = 0; i < DS_ARRAY_SIZE(table); i++) {
        if (strcmp(uid, table[i].uid) == 0) {
            return &table[i];
        }
    }
    return NULL;
}

const struct dicom_transfer_syntax *dicom_transfer_syntax_named(const char *text)
{
    for (size_t i = 0; i < DS_ARRAY_SIZE(table); i++) {
        if (strcmp(text, table[i].keyword) == 0) {
            return &table[i];
        }
    }
    return dicom_transfer_syntax_of(text);
}

bool dicom_transfer_syntax_is_native(const char *uid)
{
    const struct dicom_transfer_syntax *t = dicom_transfer_syntax_of(uid);
    return t != NULL && t->coding == DICOM_NATIVE;
}

bool dicom_transfer_syntax_may_lose(const char *uid)
{
    const struct dicom_transfer_syntax *t = dicom_transfer_syntax_of(uid);
    return t != NULL && t->may_lose;
}
