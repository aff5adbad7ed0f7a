/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/guard.h"

#include "dcmtk/dcmjpeg/djutils.h"
#include "dcmtk/dcmjpls/djlsutil.h"

namespace
{

struct row {
    unsigned short module;
    unsigned short code; /* any_code: the module's answer for what has no row of its own */
    ds_status status;
};

constexpr unsigned short any_code = 0xffff;
constexpr unsigned short global_module = 0;

/* Observed with 3.6.7: file errors have no constants, only numbers. A missing or unreadable file is
 * 18 (the text is that of errno), a write error 19, a truncated data set 10 or 4; zlib's failures
 * are 16, and they come from damaged input. Within a module the first match counts. */
constexpr row table[] = {
    {global_module, 1, DS_EINVAL},       /* illegal parameter */
    {global_module, 2, DS_ENOMEM},       /* EC_MemoryExhausted */
    {global_module, 3, DS_EUNSUPPORTED}, /* no character encoding library */
    {global_module, any_code, DS_EIO},   /* temporary files, folders, setuid */
    {OFM_dcmdata, 7, DS_EINVAL},         /* EC_IllegalCall */
    {OFM_dcmdata, 13, DS_EUNSUPPORTED},  /* EC_RepresentationNotFound */
    {OFM_dcmdata, 14, DS_EUNSUPPORTED},  /* EC_CannotChangeRepresentation */
    {OFM_dcmdata, 15, DS_EUNSUPPORTED},  /* EC_UnsupportedEncoding */
    {OFM_dcmdata, 18, DS_EIO},           /* reading a file */
    {OFM_dcmdata, 19, DS_EIO},           /* writing a file */
    {OFM_dcmdata, 35, DS_EUNSUPPORTED},  /* character set cannot be selected */
    {OFM_dcmdata, 44, DS_EUNSUPPORTED},  /* EC_UnknownTransferSyntax */
    {OFM_dcmdata, any_code, DS_EFORMAT}, /* all others blame the bytes */
    {OFM_dcmjpeg, any_code, DS_EFORMAT}, /* damaged stream; see status_of */
    {OFM_dcmjpls, 3, DS_EUNSUPPORTED},   /* image type */
    {OFM_dcmjpls, 5, DS_EUNSUPPORTED},   /* parameter value */
    {OFM_dcmjpls, 7, DS_EUNSUPPORTED},   /* bit depth for transform */
    {OFM_dcmjpls, 8, DS_EUNSUPPORTED},   /* colour transformation */
    {OFM_dcmjpls, 9, DS_EUNSUPPORTED},   /* bit depth */
    {OFM_dcmjpls, 14, DS_EUNSUPPORTED},  /* type of image */
    {OFM_dcmjpls, any_code, DS_EFORMAT}, /* damaged stream */
};

} // namespace

namespace dicom
{

ds_status status_of(const OFCondition &condition) noexcept
{
    if (condition.good()) {
        return DS_OK;
    }
    if (condition == EJ_UnsupportedPhotometricInterpretation ||
        condition == EJ_UnsupportedBitDepth || condition == EJ_UnsupportedColorConversion) {
        return DS_EUNSUPPORTED;
    }
    for (const row &r : table) {
        if (r.module == condition.module() && (r.code == condition.code() || r.code == any_code)) {
            return r.status;
        }
    }
    return DS_EIO;
}

ds_status from_dcmtk(const OFCondition &condition, const char *what, ds_error *err) noexcept
{
    const ds_status status = status_of(condition);
    return status == DS_OK ? DS_OK : ds_fail(err, status, "%s: %s", what, condition.text());
}

} // namespace dicom
