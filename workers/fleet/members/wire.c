#include "workers/fleet/members/wire.h"

#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>

#include "common/base/json.h"
#include "common/broker/topology.h"

enum { DEPTH_MAX = 4, PERCENT_MAX = 100 * 1000 };

void member_write(struct buf *out, const struct member_announcement *a)
{
    char id[UUID_TEXT_LEN + 1];
    const char *comma = "";
    uuid_format(&a->id, id);
    buf_printf(out, "{\"id\":\"%s\",\"host\":", id);
    buf_append_json_string(out, slice_of(a->host));
    buf_printf(out,
               ",\"pid\":%d,\"slots\":true,\"parcels\":true,\"to_gateways\":true,\"sent\":%" PRId64
               "%s%s%s%s%s,\"holding\":[",
               (int)a->pid, a->sent_ms, a->report.is_able ? ",\"able\":true" : "",
               a->report.is_troubled ? ",\"troubled\":true" : "", a->report.is_deaf ? ",\"deaf\":true" : "",
               a->report.is_lacking ? ",\"lacking\":true" : "",
               a->report.has_parcels ? ",\"has_parcels\":true" : "");
    for (unsigned i = 0; i < TOPOLOGY_PARTITIONS_MAX; i++)
        if (a->report.holding >> i & 1) {
            buf_printf(out, "%s%u", comma, i);
            comma = ",";
        }
    buf_printf(out, "],\"open\":%zu,\"percent_a_delivery\":%u,\"oldest_ms\":%" PRId64 ",\"parked\":%zu}",
               a->report.open, a->report.percent_a_delivery, a->report.oldest_ms, a->report.parked);
}

static bool read_process(const json_t *said, char host[HOST_SIZE], pid_t *pid)
{
    const char *text = json_string_value(json_object_get(said, "host"));
    json_int_t number = json_integer_value(json_object_get(said, "pid"));
    if (!text || number < 1 || number > INT_MAX)
        return false;
    *pid = (pid_t)number;
    return snprintf(host, HOST_SIZE, "%s", text) < HOST_SIZE;
}

static bool read_holding(const json_t *array, uint64_t *holding)
{
    size_t i;
    json_t *number;
    if (!json_is_array(array))
        return false;
    json_array_foreach(array, i, number)
    {
        json_int_t partition = json_is_integer(number) ? json_integer_value(number) : -1;
        if (partition < 0 || partition >= TOPOLOGY_PARTITIONS_MAX)
            return false;
        *holding |= UINT64_C(1) << partition;
    }
    return true;
}

static bool read_announcement(const json_t *said, struct member_announcement *a)
{
    const char *id = json_string_value(json_object_get(said, "id"));
    json_int_t open = json_integer_value(json_object_get(said, "open"));
    json_int_t parked = json_integer_value(json_object_get(said, "parked"));
    json_int_t percent = json_integer_value(json_object_get(said, "percent_a_delivery"));
    a->sent_ms = json_integer_value(json_object_get(said, "sent"));
    a->report.is_able = json_is_true(json_object_get(said, "able"));
    a->report.is_troubled = json_is_true(json_object_get(said, "troubled"));
    a->report.is_deaf = json_is_true(json_object_get(said, "deaf"));
    a->report.is_lacking = json_is_true(json_object_get(said, "lacking"));
    a->reads_parcels = json_is_true(json_object_get(said, "parcels"));
    a->report.has_parcels = json_is_true(json_object_get(said, "has_parcels"));
    a->report.open = open > 0 ? (size_t)open : 0;
    a->report.parked = parked > 0 ? (size_t)parked : 0;
    a->report.percent_a_delivery = percent > 0 && percent <= PERCENT_MAX ? (unsigned)percent : 0;
    a->report.oldest_ms = json_integer_value(json_object_get(said, "oldest_ms"));
    return id && uuid_parse(slice_of(id), &a->id) &&
           read_holding(json_object_get(said, "holding"), &a->report.holding);
}

/* Members that a newer program adds are ignored. A message that lacks one, or has one of another type, is
 * refused. */
enum member_message member_read(struct slice body, struct member_announcement *ret_announcement,
                                struct member_death *ret_death)
{
    char why[160];
    json_t *said = NULL;
    enum member_message message = MEMBER_UNREADABLE;
    struct member_announcement a = {0};
    if (body.len > MEMBER_MESSAGE_MAX || json_parse(body, DEPTH_MAX, &said, why))
        return MEMBER_UNREADABLE;
    if (!read_process(said, a.host, &a.pid)) {
        ; /* neither an announcement nor a death */
    } else if (json_is_true(json_object_get(said, "gone"))) {
        *ret_death = (struct member_death){.pid = a.pid};
        memcpy(ret_death->host, a.host, sizeof(a.host));
        message = MEMBER_DIED;
    } else if (read_announcement(said, &a)) {
        *ret_announcement = a;
        message = MEMBER_ANNOUNCES;
    }
    json_decref(said);
    return message;
}
