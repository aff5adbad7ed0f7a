/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/encode.h"

#include "dicom/object.h"

#include <cstring>

namespace dicom
{

namespace
{

/* Values travel through a buffer of this size: a multiple of every word size. */
constexpr std::size_t chunk_bytes = 256 * 1024;
constexpr std::uint64_t undefined_length = 0xffffffffU;

bool is_skipped(const DcmObject &object)
{
    return object.getETag() == 0 || object.getGTag() == 0x0002;
}

bool is_private(const DcmObject &object)
{
    return (object.getGTag() & 1) != 0;
}

/* (gggg,0010-00FF), PS3.5 7.8.1. */
bool is_creator(const DcmObject &object)
{
    return is_private(object) && object.getETag() >= 0x10 && object.getETag() <= 0xff;
}

bool is_text(const std::string &vr)
{
    static const char *const names[] = {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO",
                                        "LT", "PN", "SH", "ST", "TM", "UC", "UR", "UT"};
    for (const char *name : names) {
        if (vr == name) {
            return true;
        }
    }
    return false;
}

/* PS3.5 7.1.2: 32-bit length after two reserved bytes. */
bool is_long(const std::string &vr)
{
    static const char *const names[] = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ",
                                        "SV", "UC", "UN", "UR", "UT", "UV"};
    for (const char *name : names) {
        if (vr == name) {
            return true;
        }
    }
    return false;
}

DcmEVR dictionary_vr(const DcmObject &object)
{
    return DcmTag(object.getGTag(), object.getETag()).getEVR();
}

/* The VR of the data set itself. */
std::string own_vr(DcmElement &element)
{
    if (element.ident() == EVR_SQ) {
        return "SQ";
    }
    const DcmVR vr(element.getTag().getVR().getValidEVR());
    return vr.isStandard() ? vr.getVRName() : "UN";
}

/* The VR of Pixel Data in the canonical form: by the Bits Allocated beside it. */
const char *pixel_vr(DcmObject &pixels)
{
    std::uint16_t bits = 16;
    DcmItem *item = dynamic_cast<DcmItem *>(pixels.getParent());
    if (item != nullptr) {
        (void)small_number(*item, DCM_BitsAllocated, &bits);
    }
    return bits > 8 ? "OW" : "OB";
}

/* The VR of the canonical form: by the tag alone; see the header. "UN" for what the dictionary does
 * not know. */
const char *canonical_vr(DcmElement &element)
{
    if (is_private(element)) {
        return is_creator(element) ? "LO" : "UN";
    }
    if (tag_of(element) == DICOM_TAG_PIXEL_DATA) {
        return pixel_vr(element);
    }
    const bool sequence = element.ident() == EVR_SQ;
    const DcmEVR known = dictionary_vr(element);
    switch (known) {
    case EVR_SQ:
        return sequence ? "SQ" : "UN";
    case EVR_xs:
        return "US";
    case EVR_lt:
    case EVR_ox:
    case EVR_px:
        return "OW";
    default:
        break;
    }
    const DcmVR vr(DcmVR(known).getValidEVR());
    return sequence || !vr.isStandard() ? "UN" : vr.getVRName();
}

/* A standard sequence that an archive without our dictionary turned into UN is Implicit VR Little
 * Endian inside (PS3.5 6.2.2). nullptr when the element is nothing of that kind. */
std::shared_ptr<DcmDataset> opened_unknown(DcmElement &element)
{
    const std::size_t len = element.getLengthField();
    if (element.ident() != EVR_UN || dictionary_vr(element) != EVR_SQ || len == 0) {
        return nullptr;
    }
    const std::uint32_t head[2] = {std::uint32_t{element.getGTag()} |
                                       std::uint32_t{element.getETag()} << 16,
                                   static_cast<std::uint32_t>(len)};
    std::vector<std::uint8_t> bytes(sizeof head + len);
    std::memcpy(bytes.data(), head, sizeof head); /* little endian, as dicom/pixels.cc asserts */
    auto set = std::make_shared<DcmDataset>();
    if (raw_value(element, 0, bytes.data() + sizeof head, len, EBO_LittleEndian, nullptr) !=
            DS_OK ||
        parse(*set, bytes.data(), bytes.size(), UID_LittleEndianImplicitTransferSyntax, nullptr) !=
            DS_OK ||
        set->card() != 1) {
        return nullptr;
    }
    return set;
}

} // namespace

encoder::encoder(byte_sink &sink, const encoding &how, const dicom_dataset *d, ds_error *err)
    : sink_(sink), how_(how), err_(err), dataset_(d),
      native_(d->native.present() ? find(d, DICOM_TAG_PIXEL_DATA) : nullptr)
{
}

ds_status encoder::dataset()
{
    return elements(mutable_set(dataset_));
}

struct encoder::plan {
    std::shared_ptr<DcmDataset> opened; /* keeps element alive when it was made here */
    DcmElement *element;
    std::string vr;
    DcmPixelSequence *pixels; /* encapsulated */
    bool is_sequence;
    std::uint64_t length;
};

std::string encoder::vr_of(DcmElement &element) const
{
    if (how_.canonical) {
        return canonical_vr(element);
    }
    return own_vr(element);
}

encoder::plan encoder::plan_of(DcmElement &element) const
{
    std::shared_ptr<DcmDataset> opened = how_.canonical ? opened_unknown(element) : nullptr;
    if (opened != nullptr) {
        plan p = plan_of(*opened->getElement(0));
        p.opened = opened;
        return p;
    }
    plan p{nullptr, &element, vr_of(element), fragments_of(element), element.ident() == EVR_SQ, 0};
    if (p.pixels != nullptr) {
        p.vr = "OB";
        p.length = undefined_length;
    } else if (p.is_sequence) {
        encoder inner(*this);
        inner.how_.explicit_vr = how_.explicit_vr && p.vr != "UN";
        p.length = inner.size_of_items(*p.element);
    } else if (p.element == native_) {
        p.length =
            how_.hollow ? 0 : (std::uint64_t{dataset_->native.len()} + 1) & ~std::uint64_t{1};
    } else {
        p.length = (std::uint64_t{element.getLengthField()} + 1) & ~std::uint64_t{1};
    }
    /* PS3.5 6.2.2: a value too long for its VR's 16-bit length is written as UN. */
    if (how_.explicit_vr && !is_long(p.vr) && p.length > 0xfffe) {
        p.vr = "UN";
    }
    return p;
}

std::uint64_t encoder::size_of_elements(DcmItem &item) const
{
    std::uint64_t sum = 0;
    (void)for_each_child(item, [&](DcmObject &child) {
        DcmElement *element = dynamic_cast<DcmElement *>(&child);
        sum += element == nullptr || is_skipped(child) ? 0 : size_of(*element);
        return DS_OK;
    });
    return sum;
}

std::uint64_t encoder::size_of_items(DcmElement &element) const
{
    std::uint64_t sum = 0;
    (void)for_each_child(element, [&](DcmObject &child) {
        DcmItem *item = dynamic_cast<DcmItem *>(&child);
        sum += item == nullptr ? 0 : 8 + size_of_elements(*item);
        return DS_OK;
    });
    return sum;
}

std::uint64_t encoder::size_of(DcmElement &element) const
{
    const plan p = plan_of(element);
    const std::uint64_t head = how_.explicit_vr && is_long(p.vr) ? 12 : 8;
    if (p.pixels == nullptr) {
        return head + p.length;
    }
    std::uint64_t sum = head + 8; /* and the delimiter */
    (void)for_each_child(*p.pixels, [&](DcmObject &child) {
        sum += 8 + ((std::uint64_t{child.getLengthField()} + 1) & ~std::uint64_t{1});
        return DS_OK;
    });
    return sum;
}

ds_status encoder::number(std::uint64_t v, unsigned width)
{
    std::uint8_t b[8];
    for (unsigned i = 0; i < width; i++) {
        const unsigned at = how_.big_endian ? width - 1 - i : i;
        b[at] = static_cast<std::uint8_t>(v >> (8 * i));
    }
    return sink_.put(b, width, err_);
}

ds_status encoder::header(const plan &p)
{
    ds_status s = number(p.element->getGTag(), 2);
    s = s == DS_OK ? number(p.element->getETag(), 2) : s;
    if (s != DS_OK || !how_.explicit_vr) {
        return s == DS_OK ? number(p.length, 4) : s;
    }
    s = sink_.put(p.vr.data(), 2, err_);
    if (s != DS_OK || !is_long(p.vr)) {
        return s == DS_OK ? number(p.length, 2) : s;
    }
    s = number(0, 2);
    return s == DS_OK ? number(p.length, 4) : s;
}

ds_status encoder::item_header(Uint16 element, Uint32 length)
{
    ds_status s = number(0xfffe, 2);
    s = s == DS_OK ? number(element, 2) : s;
    return s == DS_OK ? number(length, 4) : s;
}

ds_status encoder::native(const plan &p)
{
    const std::size_t len = dataset_->native.len();
    if (p.length == 0) {
        return DS_OK;
    }
    const ds_status s = dataset_->native.put(sink_, 0, len, how_.big_endian && p.vr == "OW", err_);
    return s == DS_OK && (len & 1) != 0 ? sink_.put("\0", 1, err_) : s;
}

ds_status encoder::value(const plan &p)
{
    if (p.element == native_) {
        return native(p);
    }
    const std::size_t len = p.element->getLengthField();
    const E_ByteOrder order = how_.big_endian ? EBO_BigEndian : EBO_LittleEndian;
    std::vector<std::uint8_t> chunk(len < chunk_bytes ? len : chunk_bytes);
    ds_status s = DS_OK;
    for (std::size_t at = 0; s == DS_OK && at < len; at += chunk.size()) {
        const std::size_t n = len - at < chunk.size() ? len - at : chunk.size();
        s = raw_value(*p.element, at, chunk.data(), n, order, err_);
        s = s == DS_OK ? sink_.put(chunk.data(), n, err_) : s;
    }
    if (s != DS_OK || (len & 1) == 0) {
        return s;
    }
    /* By the VR of the data set also in the canonical form: what was written is hashed as before.
     */
    return sink_.put(is_text(own_vr(*p.element)) ? " " : "\0", 1, err_);
}

ds_status encoder::sequence(const plan &p)
{
    encoder inner(*this);
    inner.how_.explicit_vr = how_.explicit_vr && p.vr != "UN";
    return for_each_child(*p.element, [&](DcmObject &child) {
        DcmItem *item = dynamic_cast<DcmItem *>(&child);
        if (item == nullptr) {
            return DS_OK;
        }
        const std::uint64_t size = inner.size_of_elements(*item);
        const ds_status s = inner.item_header(0xe000, static_cast<Uint32>(size));
        return s == DS_OK ? inner.elements(*item) : s;
    });
}

ds_status encoder::fragments(const plan &p)
{
    const ds_status s = for_each_child(*p.pixels, [&](DcmObject &child) {
        DcmElement *fragment = dynamic_cast<DcmElement *>(&child);
        if (fragment == nullptr) {
            return DS_OK;
        }
        const plan f{nullptr, fragment, "OB", nullptr, false, 0};
        const Uint32 len = fragment->getLengthField();
        const ds_status t = item_header(0xe000, len + (len & 1));
        return t == DS_OK ? value(f) : t;
    });
    return s == DS_OK ? item_header(0xe0dd, 0) : s;
}

ds_status encoder::element(DcmElement &element)
{
    const plan p = plan_of(element);
    if (p.pixels == nullptr && p.length >= undefined_length) {
        return ds_fail(err_, DS_EUNSUPPORTED, "element (%04X,%04X) is too long for a length field",
                       element.getGTag(), element.getETag());
    }
    const ds_status s = header(p);
    if (s != DS_OK) {
        return s;
    }
    if (p.pixels != nullptr) {
        return fragments(p);
    }
    return p.is_sequence ? sequence(p) : value(p);
}

ds_status encoder::elements(DcmItem &item)
{
    return for_each_child(item, [&](DcmObject &child) {
        DcmElement *element = dynamic_cast<DcmElement *>(&child);
        return element == nullptr || is_skipped(child) ? DS_OK : this->element(*element);
    });
}

} // namespace dicom
