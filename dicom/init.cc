/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/guard.h"

#include "dicom/dataset.h"

#include "dcmtk/dcmdata/dcistrmz.h"
#include "dcmtk/dcmdata/dcostrmz.h"
#include "dcmtk/dcmjpeg/djdecode.h"
#include "dcmtk/dcmjpls/djdecode.h"
#include "dcmtk/oflog/appender.h"
#include "dcmtk/oflog/oflog.h"
#include "dcmtk/oflog/spi/logevent.h"

#include <mutex>
#include <vector>

extern "C" {
#include "dicom/codec_private.h"
}

namespace
{

/* DCMTK's messages may quote attribute values, so all of them go to our debug level, whatever
 * theirs. The statuses that we return say what an operator needs to know. */
class log_appender : public dcmtk::log4cplus::Appender
{
  public:
    ~log_appender() override
    {
        destructorImpl();
    }
    void close() override
    {
        closed = true;
    }

  protected:
    void append(const dcmtk::log4cplus::spi::InternalLoggingEvent &event) override
    {
        ds_log(DS_LOG_DEBUG, "dicom", "dcmtk: %s", event.getMessage().c_str());
    }
};

void route_log()
{
    OFLog::configure(OFLogger::WARN_LOG_LEVEL);
    dcmtk::log4cplus::Logger root = dcmtk::log4cplus::Logger::getRoot();
    root.removeAllAppenders();
    root.addAppender(dcmtk::log4cplus::SharedAppenderPtr(new log_appender));
}

/* How data sets are read. The rule: bytes are kept as they came or refused, never mended. */
void set_parser()
{
    /* The default strips padding and blanks from values: fatal to "bit for bit". */
    dcmEnableAutomaticInputDataCorrection.set(OFFalse);
    /* Odd lengths are illegal but common; rounding them up would swallow the next element's first
     * byte. */
    dcmAcceptOddAttributeLength.set(OFTrue);
    /* UN of undefined length holds Implicit VR Little Endian (PS3.5 6.2.2, CP 246). */
    dcmEnableCP246Support.set(OFTrue);
    dcmEnableOldSignatureFormat.set(OFFalse);
    /* A transfer syntax that lies is an error to report, not one to paper over. */
    dcmAutoDetectDatasetXfer.set(OFFalse);
    dcmAcceptUnexpectedImplicitEncoding.set(OFFalse);
    /* What the file says about itself holds, not the dictionary. */
    dcmPreferVRFromDataDictionary.set(OFFalse);
    dcmPreferLengthFieldSizeFromDataDictionary.set(OFFalse);
    dcmReadImplPrivAttribMaxLengthAsSQ.set(OFTrue);
    /* Half a data set must not look like a whole one. */
    dcmIgnoreParsingErrors.set(OFFalse);
    dcmStopParsingAfterElement.set(DCM_UndefinedTagKey);
    dcmIgnoreFileMetaInformationGroupLength.set(OFTrue);
    dcmReplaceWrongDelimitationItem.set(OFFalse);
    dcmConvertUndefinedLengthOBOWtoSQ.set(OFFalse);
    dcmConvertVOILUTSequenceOWtoSQ.set(OFFalse);
    /* Pixel Data of defined length in an encapsulated syntax is forbidden (PS3.5 A.4). */
    dcmUseExplLengthPixDataForEncTS.set(OFFalse);
    /* UN stays UN: the VR is the sender's statement. */
    dcmEnableUnknownVRConversion.set(OFFalse);
    /* PS3.5 A.5 wants the bare RFC 1951 stream, without zlib's header. */
    dcmZlibExpectRFC1950Encoding.set(OFFalse);
}

/* How data sets are written. */
void set_writer()
{
    /* Every VR of the standard is written as itself, none demoted to OB or UN. */
    dcmEnableGenerationOfNewVRs();
    dcmEnableUnknownVRGeneration.set(OFTrue);
    /* A sequence too long for its length field is written with a delimiter. */
    dcmWriteOversizedSeqsAndItemsUndefined.set(OFTrue);
    /* Values that break their VR's rules came from the modality: they pass as they are. */
    dcmEnableVRCheckerForStringValues.set(OFFalse);
    /* Of zlib's levels, 6 is its own default. */
    dcmZlibCompressionLevel.set(6);
}

/* Implicit VR needs a dictionary, but a private one guesses: the same private tag means other
 * things in other versions of a product, and a wrong VR would swap or cut values. Without entries
 * they are UN. */
void forget_private_tags()
{
    DcmDataDictionary &dictionary = dcmDataDict.wrlock();
    std::vector<DcmDictEntry> standard;
    for (auto i = dictionary.normalBegin(); i != dictionary.normalEnd(); ++i) {
        if ((*i)->getPrivateCreator() == nullptr) {
            standard.push_back(**i);
        }
    }
    for (auto i = dictionary.repeatingBegin(); i != dictionary.repeatingEnd(); ++i) {
        if ((*i)->getPrivateCreator() == nullptr) {
            standard.push_back(**i);
        }
    }
    dictionary.clear();
    /* Reading an empty file marks the cleared dictionary as loaded again: without the mark DCMTK
     * refuses every DIMSE command. */
    (void)dictionary.loadDictionary("/dev/null");
    for (const DcmDictEntry &entry : standard) {
        dictionary.addEntry(new DcmDictEntry(entry)); /* the dictionary owns it */
    }
    dcmDataDict.wrunlock();
}

/* Decoders that change pixels into what was compressed and nothing else: no new UIDs, no colour
 * conversion, colour by pixel. RLE is not
 * among them: DCMTK 3.6.7 reads past the end of a damaged RLE frame (see dicom/rle.h). */
void register_decoders()
{
    DJDecoderRegistration::registerCodecs(EDC_never, EUC_never, EPC_colorByPixel, OFFalse, OFFalse,
                                          OFFalse);
    DJLSDecoderRegistration::registerCodecs(EJLSUC_never, EJLSPC_colorByPixel, OFFalse, OFFalse);
    dicom_htj2k_silence();
}

ds_status initialise(ds_error *err)
{
    route_log();
    set_parser();
    set_writer();
    if (!dcmDataDict.isDictionaryLoaded()) {
        return ds_fail(
            err, DS_ECONFIG,
            "DCMTK's data dictionary is missing (dicom.dic of libdcmtk17; see DCMDICTPATH)");
    }
    forget_private_tags();
    register_decoders();
    return DS_OK;
}

} // namespace

extern "C" ds_status dicom_init(ds_error *err)
{
    static std::mutex once;
    static bool done = false;
    return dicom::guarded(err, [&] {
        const std::lock_guard<std::mutex> lock(once);
        const ds_status s = done ? DS_OK : initialise(err);
        done = s == DS_OK;
        return s;
    });
}
