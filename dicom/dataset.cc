/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/object.h"

#include "dicom/envelope.h"

#include "dcmtk/dcmdata/dcistrmb.h"

#include <cstring>

extern "C" {
#include "base/file.h"
}

namespace dicom
{

DcmDataset &mutable_set(const dicom_dataset *d)
{
    return *d->set;
}

DcmElement *find(const dicom_dataset *d, dicom_tag tag)
{
    DcmElement *element = nullptr;
    return mutable_set(d).findAndGetElement(key_of(tag), element).good() ? element : nullptr;
}

ds_status raw_value(DcmElement &element, std::size_t offset, void *out, std::size_t len,
                    E_ByteOrder order, ds_error *err)
{
    return from_dcmtk(element.getPartialValue(out, static_cast<Uint32>(offset),
                                              static_cast<Uint32>(len), nullptr, order),
                      "reading a value", err);
}

bool small_number(DcmItem &item, const DcmTagKey &tag, std::uint16_t *out)
{
    DcmElement *element = nullptr;
    std::uint8_t b[2] = {0, 0};
    if (item.findAndGetElement(tag, element).bad() || element->getLengthField() != 2 ||
        raw_value(*element, 0, b, 2, EBO_LittleEndian, nullptr) != DS_OK) {
        return false;
    }
    *out = static_cast<std::uint16_t>(b[0] | b[1] << 8);
    return true;
}

DcmPixelSequence *fragments_of(DcmElement &element)
{
    DcmPixelData *pixels = dynamic_cast<DcmPixelData *>(&element);
    if (pixels == nullptr) {
        return nullptr;
    }
    E_TransferSyntax syntax = EXS_Unknown;
    const DcmRepresentationParameter *parameter = nullptr;
    DcmPixelSequence *fragments = nullptr;
    pixels->getOriginalRepresentationKey(syntax, parameter);
    if (!DcmXfer(syntax).isEncapsulated() ||
        pixels->getEncapsulatedRepresentation(syntax, parameter, fragments).bad()) {
        return nullptr;
    }
    return fragments;
}

ds_status facts_of(const char *syntax, syntax_facts *out, ds_error *err)
{
    const dicom_transfer_syntax *known = dicom_transfer_syntax_of(syntax);
    if (known == nullptr && std::strncmp(syntax, "1.2.840.10008.1.2.", 18) != 0) {
        return ds_fail(err, DS_EUNSUPPORTED, "unknown transfer syntax %.64s", syntax);
    }
    out->explicit_vr = known == nullptr || known->explicit_vr;
    out->big_endian = known != nullptr && known->big_endian;
    out->deflated = known != nullptr && known->deflated;
    out->encapsulated = known == nullptr || known->coding != DICOM_NATIVE;
    /* DCMTK finds its codecs by the syntax that it parsed; one without a name there is parsed as
     * one that is encoded alike. */
    const E_TransferSyntax own = DcmXfer(syntax).getXfer();
    out->parse_as = own != EXS_Unknown ? own : EXS_JPEG2000LosslessOnly;
    return DS_OK;
}

/* DCMTK's zlib filter does the work. */
ds_status inflate(const std::uint8_t *data, std::size_t len, ds_bytes *out, ds_error *err)
{
    DcmInputBufferStream stream;
    stream.setBuffer(data, static_cast<offile_off_t>(len));
    stream.setEos();
    ds_status s = from_dcmtk(stream.installCompressionFilter(ESC_zlib), "deflated data set", err);
    std::vector<std::uint8_t> chunk(65536);
    while (s == DS_OK && stream.good() && !stream.eos()) {
        const offile_off_t n = stream.read(chunk.data(), static_cast<offile_off_t>(chunk.size()));
        if (n <= 0) {
            break;
        }
        s = ds_bytes_append(out, chunk.data(), static_cast<std::size_t>(n), err);
    }
    if (s == DS_OK) {
        s = from_dcmtk(stream.status(), "deflated data set", err);
    }
    return s != DS_OK || stream.eos() ? s : ds_fail(err, DS_EFORMAT, "deflated data set is cut");
}

static ds_status parse_native(DcmDataset &out, const std::uint8_t *data, std::size_t len,
                              E_TransferSyntax syntax, ds_error *err)
{
    if (len == 0) {
        return ds_fail(err, DS_EFORMAT, "the data set is empty");
    }
    DcmInputBufferStream stream;
    stream.setBuffer(data, static_cast<offile_off_t>(len));
    stream.setEos();
    out.transferInit();
    /* No length is left on disk to be fetched later: the whole value comes into memory now. */
    const OFCondition condition = out.read(stream, syntax, EGL_noChange, DCM_UndefinedLength);
    out.transferEnd();
    if (condition.good() && !stream.eos()) {
        return ds_fail(err, DS_EFORMAT, "bytes are left over behind the data set");
    }
    return from_dcmtk(condition, "data set", err);
}

ds_status parse(DcmDataset &out, const std::uint8_t *data, std::size_t len, const char *syntax,
                ds_error *err)
{
    syntax_facts facts{};
    ds_status s = facts_of(syntax, &facts, err);
    bytes_owner plain(DICOM_FILE_MAX_BYTES);
    if (s == DS_OK && facts.deflated) {
        s = inflate(data, len, &plain.bytes, err);
        facts.parse_as = EXS_LittleEndianExplicit;
        data = plain.bytes.data;
        len = plain.bytes.len;
    }
    dicom_envelope checked;
    if (s == DS_OK) {
        s = dicom_envelope_scan_dataset(data, len, DcmXfer(facts.parse_as).getXferID(), &checked,
                                        err);
    }
    s = s == DS_OK ? parse_native(out, data, len, facts.parse_as, err) : s;
    /* DCMTK drops all but the first of elements with the same tag. */
    if (s == DS_OK && out.card() != checked.elements) {
        return ds_fail(err, DS_EFORMAT, "an element occurs twice");
    }
    return s;
}

std::unique_ptr<dicom_dataset> copy_without_pixels(const dicom_dataset *d)
{
    auto copy = std::make_unique<dicom_dataset>();
    copy->set = std::make_unique<DcmDataset>();
    copy->syntax = d->syntax;
    (void)for_each_child(mutable_set(d), [&](DcmObject &child) {
        if (tag_of(child) != DICOM_TAG_PIXEL_DATA) {
            std::unique_ptr<DcmObject> clone(child.clone());
            if (copy->set->insert(dynamic_cast<DcmElement *>(clone.get())).good()) {
                (void)clone.release();
            }
        }
        return DS_OK;
    });
    return copy;
}

} // namespace dicom

extern "C" ds_status dicom_dataset_read(dicom_dataset **out, const uint8_t *data, size_t len,
                                        const char *transfer_syntax, ds_error *err)
{
    *out = nullptr;
    return dicom::guarded(err, [&] {
        dicom_envelope where{};
        if (transfer_syntax == nullptr) {
            const ds_status s = dicom_envelope_locate(data, len, &where, err);
            if (s != DS_OK) {
                return s;
            }
            transfer_syntax = where.transfer_syntax;
        }
        auto d = std::make_unique<dicom_dataset>();
        d->set = std::make_unique<DcmDataset>();
        d->syntax = transfer_syntax;
        const ds_status s = dicom::parse(*d->set, data + where.dataset_offset,
                                         len - where.dataset_offset, transfer_syntax, err);
        if (s == DS_OK) {
            *out = d.release();
        }
        return s;
    });
}

extern "C" ds_status dicom_dataset_read_file(dicom_dataset **out, const char *path, ds_error *err)
{
    *out = nullptr;
    dicom::bytes_owner file(DICOM_FILE_MAX_BYTES);
    const ds_status s = ds_file_read(path, &file.bytes, err);
    if (s != DS_OK) {
        return s;
    }
    return dicom_dataset_read(out, file.bytes.data, file.bytes.len, nullptr, err);
}

extern "C" ds_status dicom_dataset_new(dicom_dataset **out, ds_error *err)
{
    *out = nullptr;
    return dicom::guarded(err, [&] {
        auto d = std::make_unique<dicom_dataset>();
        d->set = std::make_unique<DcmDataset>();
        *out = d.release();
        return DS_OK;
    });
}

extern "C" ds_status dicom_dataset_copy(dicom_dataset **out, const dicom_dataset *from,
                                        ds_error *err)
{
    *out = nullptr;
    return dicom::guarded(err, [&] {
        auto d = std::make_unique<dicom_dataset>();
        d->set = std::make_unique<DcmDataset>(*from->set);
        d->syntax = from->syntax;
        *out = d.release();
        return DS_OK;
    });
}

extern "C" void dicom_dataset_free(dicom_dataset *d)
{
    delete d;
}

extern "C" void dicom_dataset_auto(dicom_dataset **d)
{
    dicom_dataset_free(*d);
}

extern "C" const char *dicom_dataset_transfer_syntax(const dicom_dataset *d)
{
    return d->syntax.c_str();
}
