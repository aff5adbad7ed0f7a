/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/encode.h"
#include "dicom/object.h"

#include "dicom/decode.h"
#include "dicom/difference.h"

#include <cstdio>
#include <cstring>

namespace
{

/* A data set as the dataset hash sees it. */
struct seen {
    const dicom_dataset *as;
    std::unique_ptr<dicom_dataset> native;
};

ds_status see(seen *out, const dicom_dataset *d, ds_error *err)
{
    out->as = d;
    const ds_status s = dicom::native_copy(&out->native, d, err);
    if (s == DS_OK && out->native) {
        out->as = out->native.get();
    }
    return s == DS_EUNSUPPORTED || s == DS_EFORMAT ? DS_OK : s;
}

/* The next element from child on that is compared. */
DcmObject *comparable(DcmDataset &set, DcmObject *child)
{
    while (child != nullptr && (child->getGTag() <= 0x0002 || child->getETag() == 0 ||
                                dicom::tag_of(*child) == DICOM_TAG_PIXEL_DATA)) {
        child = set.nextInContainer(child);
    }
    return child;
}

class walk
{
  public:
    explicit walk(const seen &s)
        : set_(dicom::mutable_set(s.as)), how_{true, false, true}, as_(s.as),
          at_(comparable(set_, set_.nextInContainer(nullptr)))
    {
    }
    bool over() const
    {
        return at_ == nullptr;
    }
    dicom_tag tag() const
    {
        return dicom::tag_of(*at_);
    }
    void next()
    {
        at_ = comparable(set_, set_.nextInContainer(at_));
    }
    ds_status encode(ds_bytes *out, ds_error *err) const
    {
        dicom::bytes_sink sink(out);
        return dicom::encoder(sink, how_, as_, err).element(*static_cast<DcmElement *>(at_));
    }

  private:
    DcmDataset &set_;
    dicom::encoding how_;
    const dicom_dataset *as_;
    DcmObject *at_;
};

ds_status is_same(const walk &a, const walk &b, bool *same, ds_error *err)
{
    dicom::bytes_owner x(DICOM_FILE_MAX_BYTES, true);
    dicom::bytes_owner y(DICOM_FILE_MAX_BYTES, true);
    ds_status s = a.encode(&x.bytes, err);
    s = s == DS_OK ? b.encode(&y.bytes, err) : s;
    *same = s == DS_OK && x.bytes.len == y.bytes.len &&
            (x.bytes.len == 0 || std::memcmp(x.bytes.data, y.bytes.data, x.bytes.len) == 0);
    return s;
}

} // namespace

extern "C" ds_status dicom_dataset_differences(const dicom_dataset *before,
                                               const dicom_dataset *after,
                                               dicom_difference_visit visit, void *context,
                                               ds_error *err)
{
    return dicom::guarded(err, [&] {
        seen was{};
        seen is{};
        ds_status s = see(&was, before, err);
        s = s == DS_OK ? see(&is, after, err) : s;
        if (s != DS_OK) {
            return s;
        }
        walk a(was);
        walk b(is);
        while (s == DS_OK && !(a.over() && b.over())) {
            if (b.over() || (!a.over() && a.tag() < b.tag())) {
                visit(context, a.tag(), DICOM_REMOVED);
                a.next();
            } else if (a.over() || b.tag() < a.tag()) {
                visit(context, b.tag(), DICOM_ADDED);
                b.next();
            } else {
                bool same = false;
                s = is_same(a, b, &same, err);
                if (s == DS_OK && !same) {
                    visit(context, a.tag(), DICOM_CHANGED);
                }
                a.next();
                b.next();
            }
        }
        return s;
    });
}

extern "C" void dicom_tag_keyword(dicom_tag tag, char out[DICOM_KEYWORD_BYTES])
{
    out[0] = '\0';
    if ((tag >> 16 & 1U) != 0) {
        return;
    }
    DcmTag known(dicom::key_of(tag));
    const char *name = known.getTagName();
    if (name != nullptr && std::strcmp(name, DcmTag_ERROR_TagName) != 0) {
        (void)std::snprintf(out, DICOM_KEYWORD_BYTES, "%s", name);
    }
}
