/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/object.h"

#include "dicom/commitment.h"

#include <cstring>

namespace dicom
{

namespace
{

constexpr dicom_tag transaction_tag = DICOM_TAG(0x0008, 0x1195);
constexpr dicom_tag failed_sequence = DICOM_TAG(0x0008, 0x1198);
constexpr dicom_tag referenced_sequence = DICOM_TAG(0x0008, 0x1199);
constexpr dicom_tag referenced_class = DICOM_TAG(0x0008, 0x1150);
constexpr dicom_tag referenced_instance = DICOM_TAG(0x0008, 0x1155);
constexpr dicom_tag failure_reason = DICOM_TAG(0x0008, 0x1197);

/* What is no UID of PS3.5 9.1 goes nowhere near a query or a log. */
bool is_sound(const char *uid)
{
    return uid[0] != '\0' && uid[strspn(uid, "0123456789.")] == '\0';
}

/* "" when it is not there or is none. */
void uid_of(DcmItem &item, dicom_tag tag, char (&out)[DICOM_UID_BYTES])
{
    out[0] = '\0';
    DcmElement *element = nullptr;
    if (item.findAndGetElement(key_of(tag), element).bad() || element == nullptr) {
        return;
    }
    const size_t len = element->getLengthField();
    char raw[DICOM_UID_BYTES + 1] = "";
    if (len >= sizeof(raw) ||
        raw_value(*element, 0, raw, len, EBO_LittleEndian, nullptr) != DS_OK) {
        return;
    }
    size_t end = strnlen(raw, len);
    while (end > 0 && raw[end - 1] == ' ') {
        end--;
    }
    raw[end] = '\0';
    if (end < sizeof(out) && is_sound(raw)) {
        memcpy(out, raw, end + 1);
    }
}

ds_status read_item(DcmItem &from, bool failed, dicom_commitment_item *out, ds_error *err)
{
    uid_of(from, referenced_class, out->sop_class_uid);
    uid_of(from, referenced_instance, out->sop_instance_uid);
    if (out->sop_class_uid[0] == '\0' || out->sop_instance_uid[0] == '\0') {
        return ds_fail(err, DS_EFORMAT, "a referenced instance without its UIDs");
    }
    out->failure = 0;
    if (failed &&
        (!small_number(from, key_of(failure_reason), &out->failure) || out->failure == 0)) {
        out->failure = DICOM_FAILURE_PROCESSING;
    }
    return DS_OK;
}

DcmSequenceOfItems *sequence_of(DcmDataset &set, dicom_tag tag)
{
    DcmSequenceOfItems *sequence = nullptr;
    return set.findAndGetSequence(key_of(tag), sequence).good() ? sequence : nullptr;
}

ds_status read_items(DcmSequenceOfItems *sequence, bool failed, dicom_commitment *out,
                     ds_error *err)
{
    if (sequence == nullptr) {
        return DS_OK;
    }
    return for_each_child(*sequence, [&](DcmObject &child) {
        DcmItem *item = dynamic_cast<DcmItem *>(&child);
        return item == nullptr ? DS_OK : read_item(*item, failed, &out->items[out->count++], err);
    });
}

ds_status read_sequences(DcmDataset &set, dicom_commitment *out, ds_error *err)
{
    DcmSequenceOfItems *good = sequence_of(set, referenced_sequence);
    DcmSequenceOfItems *bad = sequence_of(set, failed_sequence);
    const size_t count =
        (good == nullptr ? 0UL : good->card()) + (bad == nullptr ? 0UL : bad->card());
    if (count == 0 || count > DICOM_COMMITMENT_MAX_ITEMS) {
        return ds_fail(err, DS_EFORMAT, "%zu referenced instances; expected 1 to %u", count,
                       DICOM_COMMITMENT_MAX_ITEMS);
    }
    out->items = static_cast<dicom_commitment_item *>(calloc(count, sizeof(*out->items)));
    if (out->items == nullptr) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    const ds_status s = read_items(good, false, out, err);
    return s == DS_OK ? read_items(bad, true, out, err) : s;
}

ds_status read(dicom_commitment *out, const uint8_t *data, size_t len, const char *syntax,
               ds_error *err)
{
    if (len > DICOM_COMMITMENT_MAX_BYTES) {
        return ds_fail(err, DS_EFORMAT, "a commitment message of %zu bytes", len);
    }
    DcmDataset set;
    const ds_status s = parse(set, data, len, syntax, err);
    if (s != DS_OK) {
        return s;
    }
    uid_of(set, transaction_tag, out->transaction_uid);
    if (out->transaction_uid[0] == '\0') {
        return ds_fail(err, DS_EFORMAT, "a commitment message without a Transaction UID");
    }
    return read_sequences(set, out, err);
}

ds_status write_item(dicom_dataset *set, const dicom_commitment_item &item, ds_error *err)
{
    const std::string reason = std::to_string(item.failure);
    const dicom_value values[] = {{referenced_class, item.sop_class_uid},
                                  {referenced_instance, item.sop_instance_uid},
                                  {failure_reason, reason.c_str()}};
    const bool failed = item.failure != 0;
    return dicom_dataset_append_item(set, failed ? failed_sequence : referenced_sequence, values,
                                     failed ? 3 : 2, nullptr, err);
}

/* An instance UID that is not the well-known one is a request for something else; a report that
 * lacks it is still about its transaction. */
uint16_t check_command(const dicom_message &m, bool is_report)
{
    if (strcmp(m.sop_class_uid, DICOM_COMMITMENT) != 0) {
        return DICOM_STATUS_NO_SUCH_CLASS;
    }
    if (is_report) {
        const bool known = m.type == DICOM_COMMITMENT_SUCCESS || m.type == DICOM_COMMITMENT_FAILURE;
        return known ? DICOM_STATUS_SUCCESS : DICOM_STATUS_NO_SUCH_EVENT;
    }
    if (strcmp(m.sop_instance_uid, DICOM_COMMITMENT_INSTANCE) != 0) {
        return DICOM_STATUS_NO_SUCH_INSTANCE;
    }
    return m.type == DICOM_COMMITMENT_ACTION ? DICOM_STATUS_SUCCESS : DICOM_STATUS_NO_SUCH_ACTION;
}

} // namespace

} // namespace dicom

extern "C" uint16_t dicom_commitment_accept(dicom_commitment *out, const dicom_message *message,
                                            bool is_report)
{
    *out = {};
    ds_error err = {DS_OK, "not a message of this service"};
    uint16_t status = dicom::check_command(*message, is_report);
    if (status == DICOM_STATUS_SUCCESS) {
        const ds_status s =
            dicom_commitment_read(out, message->data, message->len, message->transfer_syntax, &err);
        status = s == DS_OK       ? DICOM_STATUS_SUCCESS
                 : s == DS_ENOMEM ? DICOM_STATUS_RESOURCE_LIMITATION
                                  : DICOM_STATUS_INVALID_ARGUMENT;
    }
    if (status != DICOM_STATUS_SUCCESS) {
        ds_log(DS_LOG_WARNING, "dicom", "peer=%s status=%04x %s of storage commitment refused: %s",
               message->peer != nullptr ? message->peer->calling_ae : "(called)",
               static_cast<unsigned>(status), is_report ? "a report" : "a request", err.text);
    }
    return status;
}

extern "C" ds_status dicom_commitment_read(dicom_commitment *out, const uint8_t *data, size_t len,
                                           const char *transfer_syntax, ds_error *err)
{
    *out = {};
    const ds_status s =
        dicom::guarded(err, [&] { return dicom::read(out, data, len, transfer_syntax, err); });
    if (s != DS_OK) {
        dicom_commitment_free(out);
    }
    return s;
}

extern "C" ds_status dicom_commitment_write(const dicom_commitment *c, const char *transfer_syntax,
                                            ds_bytes *out, ds_error *err)
{
    dicom_dataset *set = nullptr;
    ds_status s = dicom_dataset_new(&set, err);
    if (s == DS_OK) {
        s = dicom_dataset_set(set, dicom::transaction_tag, c->transaction_uid, err);
    }
    for (size_t i = 0; i < c->count && s == DS_OK; i++) {
        s = dicom::guarded(err, [&] { return dicom::write_item(set, c->items[i], err); });
    }
    if (s == DS_OK) {
        s = dicom_dataset_write(set, transfer_syntax, out, err);
    }
    dicom_dataset_free(set);
    return s;
}

extern "C" void dicom_commitment_free(dicom_commitment *c)
{
    std::free(c->items);
    *c = {};
}

extern "C" uint16_t dicom_commitment_event(const dicom_commitment *c)
{
    for (size_t i = 0; i < c->count; i++) {
        if (c->items[i].failure != 0) {
            return DICOM_COMMITMENT_FAILURE;
        }
    }
    return DICOM_COMMITMENT_SUCCESS;
}
