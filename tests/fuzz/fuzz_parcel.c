/* Fuzzes parcels on the queue: any octets are refused as a whole, or give entries that lie inside of them, each of which
 * is poison or a command. What is read comes back unchanged when it is written again. The first octet chooses whether
 * the rest is a body or one entry. */

#include "common/broker/parcel.h"
#include "tests/fuzz/parcel_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_be_same(const struct envelope *a, const struct envelope *b)
{
    must(uuid_equal(&a->id, &b->id) && uuid_equal(&a->company, &b->company), "same address");
    must(slice_equal(a->type, b->type) && slice_equal(a->role, b->role), "same type and role");
    must(slice_equal(a->correlation_id, b->correlation_id) && slice_equal(a->reply_to, b->reply_to),
         "same reply");
    must(slice_equal(a->body, b->body) && slice_equal(a->traceparent, b->traceparent), "same body");
    must(a->has_subject == b->has_subject && a->has_parent == b->has_parent, "same subject");
    must(a->if_match == b->if_match && a->fingerprint == b->fingerprint, "same numbers");
    must(a->timestamp == b->timestamp && a->not_before == b->not_before, "same times");
}

static void read_entry(struct slice entry)
{
    struct envelope envelope, address, again;
    struct parcel parcel;
    CLEANUP(buf_done) struct buf body;
    buf_init(&body, 1 << 22);
    bool has_address = parcel_read_address(entry, &address);
    if (parcel_read_entry(entry, &envelope) != ERR_OK)
        return;
    must(has_address, "what can be read has an address");
    char head[PARCEL_HEAD_SIZE];
    parcel_write_head(head, 1);
    buf_append(&body, head, sizeof(head));
    must(parcel_add(&body, &envelope) == ERR_OK, "what was read can be written");
    must(parcel_open(buf_slice(&body), &parcel) == ERR_OK, "what was written is a parcel");
    must(parcel_read_entry(parcel_take(&parcel), &again) == ERR_OK, "what was written can be read");
    must_be_same(&envelope, &again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return parcel_input(data, size, read_entry);
}
