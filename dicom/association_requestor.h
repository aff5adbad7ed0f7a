/* SPDX-License-Identifier: Apache-2.0 */
/*
 * association_requestor - an association that we have requested; private to dicom/.
 */
#ifndef DICOMSTEGO_DICOM_ASSOCIATION_REQUESTOR_H
#define DICOMSTEGO_DICOM_ASSOCIATION_REQUESTOR_H

#include "dicom/upper_layer.h"

struct dicom_requestor {
    std::unique_ptr<dicom::TlsContext> tls;
    std::unique_ptr<dicom::Association> association; /* nullptr until connected */
    int timeout_ms = 0;
    std::string move_originator; /* "": none */
    uint16_t move_message_id = 0;
    uint16_t next_message_id = 1;
    bool established = false;
    bool broken = true;
    bool ended = false; /* by the peer */

    ~dicom_requestor();
    /* 0: no context for this class in this syntax was accepted. */
    uint8_t context(const char *sop_class, const char *syntax) const;
    /* Not after a failure, nor when the peer has ended it while it was idle. */
    bool usable();
    /* From here on it can only be closed. */
    ds_status lost(dicom::Ending ending, const char *what, ds_error *err);
};

namespace dicom
{

/* A C-FIND, C-MOVE or C-GET that was sent: what answers it comes on this context, in this syntax,
 * to this message. */
struct Query {
    uint8_t id = 0;
    const char *syntax = nullptr;
    uint16_t message_id = 0;
    const char *what = nullptr; /* for errors */
};

/* Sends it on the context of the class, in the native syntax that was accepted for it.
 * destination: of a C-MOVE, else nullptr. */
ds_status send_query(dicom_requestor &r, uint16_t field, const char *class_uid,
                     const char *destination, const dicom_dataset *identifier, Query *out,
                     ds_error *err);

bool is_pending(uint16_t status);

} // namespace dicom

#endif
