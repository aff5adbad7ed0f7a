/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTJ2K (ITU-T T.814) is written by OpenJPH. It is not read by it: version 0.9 ends the process by
 * an assertion where a stream's header is damaged; codec_j2k.c reads it.
 */
#include "dicom/guard.h"

#include <openjph/ojph_arch.h>
#include <openjph/ojph_base.h>
#include <openjph/ojph_codestream.h>
#include <openjph/ojph_file.h>
#include <openjph/ojph_mem.h>
#include <openjph/ojph_message.h>
#include <openjph/ojph_params.h>

#include <cstdio>

extern "C" {
#include "dicom/codec_private.h"
#include "dicom/words.h"
}

namespace
{

/* What OpenJPH finds wrong it throws. */
template <class Body> ds_status caught(ds_error *err, Body body) noexcept
{
    try {
        return body();
    } catch (const std::bad_alloc &) {
        return ds_fail(err, DS_ENOMEM, "out of memory in OpenJPH");
    } catch (...) {
        return ds_fail(err, DS_EFORMAT, "OpenJPH does not take a frame");
    }
}

/* As bytes_sink of encode.h, for OpenJPH. */
class bytes_file : public ojph::outfile_base
{
  public:
    explicit bytes_file(ds_bytes *out) : out_(out), start_(out->len)
    {
    }
    std::size_t write(const void *data, std::size_t len) override
    {
        if (ds_bytes_append(out_, data, len, nullptr) != DS_OK) {
            throw std::bad_alloc();
        }
        return len;
    }
    ojph::si64 tell() override
    {
        return static_cast<ojph::si64>(out_->len - start_);
    }

  private:
    ds_bytes *out_;
    std::size_t start_;
};

/* Reversible, no colour transform: RGB stays RGB. As many decompositions as the shorter side has
 * halves, at most five. */
void describe(ojph::codestream &codestream, const dicom_pixels &p, const dicom_word_form &form)
{
    ojph::param_siz siz = codestream.access_siz();
    siz.set_image_extent(ojph::point(p.columns, p.rows));
    siz.set_num_components(p.samples_per_pixel);
    for (ojph::ui32 c = 0; c < p.samples_per_pixel; c++) {
        siz.set_component(c, ojph::point(1, 1), form.bits, form.is_signed);
    }
    const std::uint32_t side = p.columns < p.rows ? p.columns : p.rows;
    ojph::ui32 decompositions = 0;
    while (decompositions < 5 && side >> (decompositions + 1) > 0) {
        decompositions++;
    }
    ojph::param_cod cod = codestream.access_cod();
    cod.set_num_decomposition(decompositions);
    cod.set_reversible(true);
    cod.set_color_transform(false);
}

ds_status encode(const dicom_pixels &p, const std::uint8_t *cells, ds_bytes *out, ds_error *err)
{
    const ds_status s = dicom_words_check(&p, "HTJ2K", err);
    if (s != DS_OK) {
        return s;
    }
    const dicom_word_form form = dicom_word_form_of(&p, cells);
    bytes_file file(out);
    ojph::codestream codestream;
    codestream.set_planar(false);
    describe(codestream, p, form);
    codestream.write_headers(&file);
    ojph::ui32 component = 0;
    ojph::line_buf *line = codestream.exchange(nullptr, component);
    for (std::uint32_t y = 0; y < p.rows; y++) {
        for (unsigned c = 0; c < p.samples_per_pixel; c++) {
            for (std::uint32_t x = 0; x < p.columns; x++) {
                const std::size_t at =
                    (std::size_t{y} * p.columns + x) * p.samples_per_pixel + component;
                const std::uint32_t word = dicom_word_at(&p, cells, at);
                line->i32[x] = form.is_signed ? static_cast<std::int16_t>(word)
                                              : static_cast<std::int32_t>(word);
            }
            line = codestream.exchange(line, component);
        }
    }
    codestream.flush();
    codestream.close();
    return DS_OK;
}

} // namespace

/* In 0.9 the functions that take another receiver of messages do nothing, those that take a file
 * work. It stays open as long as the program runs. */
extern "C" void dicom_htj2k_silence(void)
{
    std::FILE *nowhere = std::fopen("/dev/null", "we");
    if (nowhere != nullptr) {
        ojph::set_info_stream(nowhere);
        ojph::set_warning_stream(nowhere);
        ojph::set_error_stream(nowhere);
    }
}

extern "C" DICOM_ENCODER(dicom_htj2k_encode)
{
    (void)frame_bytes;
    return caught(err, [&] { return encode(*p, cells, out, err); });
}
