#include "tests/bench/bound_parcel.h"

#include <err.h>
#include <string.h>

/* operation, length of the body, id, body */
struct head {
    uint64_t operation;
    uint64_t len;
    char id[UUID_TEXT_LEN];
};

bool bound_parcel_add(struct bound_parcel *parcel, const struct bound_record *record)
{
    struct head head = {record->operation, record->body.len, ""};
    size_t size = sizeof(head) + record->body.len;
    if (parcel->count == parcel->most || parcel->len + size > sizeof(parcel->octets))
        return false;
    memcpy(head.id, record->id, sizeof(head.id));
    memcpy(parcel->octets + parcel->len, &head, sizeof(head));
    memcpy(parcel->octets + parcel->len + sizeof(head), record->body.data, record->body.len);
    parcel->len += size;
    parcel->count++;
    return true;
}

void bound_parcel_clear(struct bound_parcel *parcel)
{
    parcel->count = parcel->len = 0;
}

struct slice bound_parcel_slice(const struct bound_parcel *parcel)
{
    return (struct slice){parcel->octets, parcel->len};
}

bool bound_parcel_next(struct slice *left, struct bound_record *ret_record)
{
    struct head head;
    if (left->len == 0)
        return false;
    if (left->len < sizeof(head))
        errx(1, "a message that this program did not publish");
    memcpy(&head, left->data, sizeof(head));
    if (left->len - sizeof(head) < head.len)
        errx(1, "a message that this program did not publish");
    ret_record->operation = head.operation;
    memcpy(ret_record->id, head.id, sizeof(head.id));
    ret_record->id[UUID_TEXT_LEN] = '\0';
    ret_record->body = (struct slice){left->data + sizeof(head), head.len};
    *left = (struct slice){left->data + sizeof(head) + head.len, left->len - sizeof(head) - head.len};
    return true;
}
