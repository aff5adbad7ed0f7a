/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/guard.h"

#include "dicom/association.h"

#include "dcmtk/dcmdata/dcuid.h"
#include "dcmtk/dcmdata/dcxfer.h"

#include <cstring>

namespace
{

/* In the order in which a listener chooses among what a peer proposes: first what every tool reads
 * without a codec, then lossless compression, then lossy. An instance that is lossy already is
 * proposed in its own syntax only by a sender that will not decode it, and is then taken as it is.
 * Younger syntaxes (HTJ2K, JPEG XL ...) are missing because DCMTK's DIMSE layer refuses commands on
 * a context in a syntax that it does not know. The JPIP ones are left out: they refer to pixels
 * elsewhere, so nothing here could vouch for them. */
const char *const syntaxes[] = {
    UID_LittleEndianExplicitTransferSyntax,
    UID_LittleEndianImplicitTransferSyntax,
    UID_DeflatedExplicitVRLittleEndianTransferSyntax,
    UID_BigEndianExplicitTransferSyntax,
    UID_JPEGLSLosslessTransferSyntax,
    UID_JPEG2000LosslessOnlyTransferSyntax,
    UID_JPEGProcess14SV1TransferSyntax,
    UID_JPEGProcess14TransferSyntax,
    UID_RLELosslessTransferSyntax,
    UID_JPEG2000Part2MulticomponentImageCompressionLosslessOnlyTransferSyntax,
    UID_JPEG2000TransferSyntax,
    UID_JPEG2000Part2MulticomponentImageCompressionTransferSyntax,
    UID_JPEGLSLossyTransferSyntax,
    UID_JPEGProcess1TransferSyntax,
    UID_JPEGProcess2_4TransferSyntax,
    UID_JPEGProcess6_8TransferSyntax,
    UID_JPEGProcess10_12TransferSyntax,
    UID_MPEG2MainProfileAtMainLevelTransferSyntax,
    UID_MPEG2MainProfileAtHighLevelTransferSyntax,
    UID_MPEG4HighProfileLevel4_1TransferSyntax,
    UID_MPEG4BDcompatibleHighProfileLevel4_1TransferSyntax,
    UID_MPEG4HighProfileLevel4_2_For2DVideoTransferSyntax,
    UID_MPEG4HighProfileLevel4_2_For3DVideoTransferSyntax,
    UID_MPEG4StereoHighProfileLevel4_2TransferSyntax,
    UID_HEVCMainProfileLevel5_1TransferSyntax,
    UID_HEVCMain10ProfileLevel5_1TransferSyntax,
};

/* From here on compression loses (PS3.5 10); JPEG 2000 without "Lossless Only" may, so it counts.
 */
constexpr size_t first_lossy = 10;
/* Up to here Pixel Data is native (PS3.5 A.1 to A.3, A.5). */
constexpr size_t native_count = 4;

static_assert(sizeof(syntaxes) / sizeof(syntaxes[0]) == 26, "the two limits above fit this table");

size_t index_of(const char *uid)
{
    size_t i = 0;
    while (i < sizeof(syntaxes) / sizeof(syntaxes[0]) && uid != nullptr &&
           strcmp(uid, syntaxes[i]) != 0) {
        i++;
    }
    return uid != nullptr ? i : sizeof(syntaxes) / sizeof(syntaxes[0]);
}

} // namespace

extern "C" const char *const *dicom_storage_classes(size_t *count)
{
    *count = static_cast<size_t>(numberOfDcmAllStorageSOPClassUIDs);
    return dcmAllStorageSOPClassUIDs;
}

extern "C" const char *const *dicom_transfer_syntaxes(size_t *count)
{
    *count = sizeof(syntaxes) / sizeof(syntaxes[0]);
    return syntaxes;
}

extern "C" bool dicom_transfer_syntax_is_native(const char *uid)
{
    return index_of(uid) < native_count;
}

extern "C" bool dicom_transfer_syntax_is_lossy(const char *uid)
{
    const size_t i = index_of(uid);
    return i >= first_lossy && i < sizeof(syntaxes) / sizeof(syntaxes[0]);
}
