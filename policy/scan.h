/* Find where each value of a JSON text is, and refuse what cJSON would let pass. */
#ifndef HERDGATE_POLICY_SCAN_H
#define HERDGATE_POLICY_SCAN_H

#include "policy/document.h"

/* Fill document->nodes from document->text. Strict RFC 8259, and besides: no duplicate keys, no
 * U+0000, and the limits of document.h. HG_OK, HG_ERR_VALIDATION, HG_ERR_NO_MEMORY. */
hg_status hgi_scan(struct hgi_document *document);

/* The character at *at of a string that was scanned, its escapes undone; moves *at behind it. */
uint32_t hgi_scan_character(const char *text, size_t *at);

#endif
