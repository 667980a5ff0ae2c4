#pragma once
/* Finds the members of a JSON object in its text, without reading their values: for texts that the reader (json.h)
 * refuses because of a value in them. */

#include "common/base/slice.h"

/* Begins to scan: false unless the text is one object, from bracket to bracket. *ret_inside is what json_scan_next
 * takes. */
bool json_scan_begin(struct slice text, struct slice *ret_inside);

/* Takes the next member off: its name as it is written between the quotes, and the text of its value. False at the
 * end, and where the text is no JSON: something is left in *inside then. */
bool json_scan_next(struct slice *inside, struct slice *ret_name, struct slice *ret_value);

/* The same for an array and its values. */
bool json_scan_begin_array(struct slice text, struct slice *ret_inside);
bool json_scan_next_item(struct slice *inside, struct slice *ret_value);
