/* SPDX-License-Identifier: Apache-2.0 */
/*
 * association_listener - the state that the accepting thread and its associations share; private.
 *
 * One thread accepts; every connection gets a thread of its own. A connection counts as an
 * association once its A-ASSOCIATE-RQ has been read and a place was free; connections beyond
 * max_associations are still read so far, because a rejection answers a request (PS3.8 7.1.1.9).
 * spare_connections bounds them.
 */
#ifndef DICOMSTEGO_DICOM_ASSOCIATION_LISTENER_H
#define DICOMSTEGO_DICOM_ASSOCIATION_LISTENER_H

#include "dicom/transport.h"

#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace dicom
{

constexpr unsigned spare_connections = 16;
constexpr int max_request_wait_ms = 30000; /* for TLS and the A-ASSOCIATE-RQ together (ARTIM) */

struct Worker {
    std::thread thread;
    bool done = false; /* under the listener's mutex */
};

} // namespace dicom

struct dicom_listener {
    dicom_service service{};
    std::vector<std::string> ae_titles;
    bool any_called_ae = false;
    bool only_known_classes = false;
    unsigned max_associations = 0;
    uint32_t max_pdu_bytes = 0;
    int timeout_ms = 0;
    std::vector<std::string> transfer_syntaxes;

    int socket = -1;
    uint16_t port = 0;
    dicom::Interrupt closing;  /* no new connections */
    dicom::Interrupt aborting; /* the running ones end now */
    std::thread acceptor;

    std::mutex mutex;
    std::condition_variable ended;
    std::shared_ptr<const dicom::TlsContext> tls; /* of connections to come; may be exchanged */
    std::list<dicom::Worker> workers;
    unsigned connections = 0;  /* workers not done */
    unsigned associations = 0; /* places taken */
    uint64_t last_association = 0;

    ~dicom_listener();
    bool take_place();
    void leave_place();
    std::shared_ptr<const dicom::TlsContext> tls_now();
};

namespace dicom
{

/* The whole life of one accepted connection, in its own thread. Owns socket. */
void serve_connection(dicom_listener &listener, int socket, const std::string &address) noexcept;

} // namespace dicom

#endif
