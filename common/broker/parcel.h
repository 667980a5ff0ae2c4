#pragma once
/* A parcel: several commands of one partition that travel as one AMQP message. The broker works for each message and
 * hardly for its bytes, so 64 commands in one message cost it little more than one does.
 *
 *   exchange      `commands`, persistent and mandatory, as of a single command (envelope.h)
 *   routing key   "<pool>.<partition>.parcel"
 *   message_id    of the parcel
 *   content_type  application/vnd.cortex.parcel
 *   body          msgpack: an array (dc) of 1 to 64 binaries (c6), one a command: its entry
 *
 * An entry is an array (dc) of fields in a fixed order. A field is nil (c0), a binary of up to 255 octets (c4), a text
 * of up to 255 (d9), a binary of any size (c6), or an integer of 64 bits (d3); nothing else is used, although msgpack
 * has shorter forms.
 *   id, company, type, correlation_id, reply_to, body, actor, role, subject, parent, if_match, fingerprint, timestamp,
 *   not_before, traceparent
 * A later version may add fields behind these, of the same forms; they are skipped.
 *
 * Events travel in parcels of the same frame (event_parcel.h).
 *
 * What must hold: the frame (count and lengths) is right as a whole or the message is no parcel. An entry that cannot
 * be read costs itself alone. A single command stays valid for ever: a parcel of one is never sent. Only a process that
 * says that it reads parcels may get one (gateway/bus/parcel_readers.h). */

#include "common/base/buf.h"
#include "common/broker/envelope.h"

enum {
    PARCEL_ENTRIES_MAX = 64,
    PARCEL_BYTES_MAX = 100 << 10, /* from here on nothing is added */
    PARCEL_HEAD_SIZE = 3,         /* of the array */
};

/* ---- writing ---- */

/* Appends the entry of one command. BAD_REQUEST: envelope_write_command would refuse it, or a text is longer than 255
 * octets. Then the buffer is as it was. */
enum err parcel_add(struct buf *entries, const struct envelope *envelope) MUST_CHECK;
void parcel_write_head(char head[PARCEL_HEAD_SIZE], size_t count);
/* Fills the whole message. `body`: the head and the entries, which must live as long as the message. */
enum err parcel_write(struct slice body, const char *pool, unsigned partition,
                      struct envelope_scratch *scratch, struct broker_message *ret_message) MUST_CHECK;

/* ---- reading; the queue is not trusted ---- */

struct parcel {
    struct slice rest; /* entries */
    size_t count;      /* of them */
};

/* By its content type. */
bool parcel_is(const struct broker_delivery *delivery);
/* POISON: the frame is wrong. */
enum err parcel_open(struct slice body, struct parcel *ret_parcel) MUST_CHECK;
/* Takes the next entry; count must not be 0. It lives as long as the body does. */
struct slice parcel_take(struct parcel *parcel);
/* POISON: a field is missing or malformed. Slices point into the entry. */
enum err parcel_read_entry(struct slice entry, struct envelope *ret_envelope) MUST_CHECK;
/* Reads company and id, and type, correlation_id, reply_to and body as far as they can be read, of an entry that is
 * poison. Returns true when company and id are there. */
bool parcel_read_address(struct slice entry, struct envelope *ret_envelope);
