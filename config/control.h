/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control - what the command and a running node agree upon, so that neither knows the other.
 *
 * The node listens on a Unix stream socket in its state folder; who may open the file may command.
 * A connection is one request, a line of JSON:
 *
 *   {"version": 1, "verb": "delivery list", "arguments": {"peer": "PACS", "limit": 100}}
 *
 * and its answer, lines of JSON: any number of rows, then one that ends it.
 *
 *   {"row": {"id": 17, "peer": "PACS", "state": "failed", ...}}
 *   {"progress": {"done": 3, "total": 200}}    between them, where it takes long
 *   {"end": {"rows": 1}}      or      {"error": {"status": "not-found", "text": "no delivery 18"}}
 *
 * Members that are not known are refused in requests and to be ignored in answers. A status is one
 * of ds_status_name. An answer that ends without end or error is incomplete. Another version is
 * refused with the one that is spoken. It stands in config, which both know and which says where
 * the state folder is.
 */
#ifndef DICOMSTEGO_CONFIG_CONTROL_H
#define DICOMSTEGO_CONFIG_CONTROL_H

#define CONTROL_SOCKET            "control.sock" /* below node.state_dir */
#define CONTROL_VERSION           1
#define CONTROL_REQUEST_MAX_BYTES (64U * 1024U)
#define CONTROL_LINE_MAX_BYTES    (8U * 1024U * 1024U) /* of an answer: one delivery's attempts */
#define CONTROL_REQUEST_MS        5000                 /* a request must be there within */
#define CONTROL_SEND_MS           20000 /* an answer must be taken within, waiting for us aside */
#define CONTROL_CONFIG            "/etc/dicomstego/config.yaml" /* where the command looks */

#endif
