/* Fuzzes parcels of events: any octets are refused as a whole, or give entries that lie inside of them, each of which is
 * poison or an event. What is read comes back unchanged when it is written again. The first octet chooses whether the
 * rest is a body or one entry. */

#include "common/broker/event_parcel.h"
#include "tests/fuzz/parcel_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_be_same(const struct event *a, const struct event *b)
{
    must(uuid_equal(&a->command_id, &b->command_id) && uuid_equal(&a->company, &b->company), "same address");
    must(slice_equal(a->type, b->type) && slice_equal(a->correlation_id, b->correlation_id), "same texts");
    must(slice_equal(a->body, b->body) && a->entity_at == b->entity_at, "same body");
    must(a->has_subject == b->has_subject && a->has_project == b->has_project, "same subject");
    must(a->status == b->status && a->http_status == b->http_status, "same status");
    must(a->seq == b->seq && a->version == b->version && a->is_replayed == b->is_replayed, "same numbers");
}

static void read_entry(struct slice entry)
{
    struct event event, again;
    struct parcel parcel;
    char head[PARCEL_HEAD_SIZE];
    CLEANUP(buf_done) struct buf body;
    buf_init(&body, 1 << 22);
    if (event_parcel_read_entry(entry, &event) != ERR_OK)
        return;
    must(event.entity_at >= 0 && (size_t)event.entity_at <= event.body.len,
         "the entity lies inside of the body");
    parcel_write_head(head, 1);
    buf_append(&body, head, sizeof(head));
    must(event_parcel_add(&body, &event) == ERR_OK, "what was read can be written");
    must(parcel_open(buf_slice(&body), &parcel) == ERR_OK, "what was written is a parcel");
    must(event_parcel_read_entry(parcel_take(&parcel), &again) == ERR_OK, "what was written can be read");
    must_be_same(&event, &again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return parcel_input(data, size, read_entry);
}
