#pragma once
/* A command's envelope and an event with every part that they can have, and the comparison of two. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/broker/envelope.h"
#include "common/broker/parcel.h"

static const struct uuid A = {{1}}, B = {{2}}, C = {{3}}, D = {{4}}, E = {{5}};

static inline struct envelope full_envelope(void)
{
    return (struct envelope){
        .id = A,
        .type = SLICE("task.update"),
        .company = B,
        .actor = C,
        .role = SLICE("project_manager"),
        .has_subject = true,
        .subject = D,
        .has_parent = true,
        .parent = E,
        .if_match = 7,
        .fingerprint = UINT64_MAX - 5,
        .timestamp = 1700000000,
        .not_before = 1800000000123,
        .correlation_id = SLICE("a request"),
        .reply_to = SLICE("reply.here"),
        .traceparent = SLICE("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        .body = SLICE("\x81\x01\xa1x"),
    };
}

static inline void assert_same_envelope(const struct envelope *a, const struct envelope *b)
{
    assert_true(uuid_equal(&a->id, &b->id));
    assert_true(slice_equal(a->type, b->type));
    assert_true(uuid_equal(&a->company, &b->company));
    assert_true(uuid_equal(&a->actor, &b->actor));
    assert_true(slice_equal(a->role, b->role));
    assert_int_equal(a->has_subject, b->has_subject);
    assert_int_equal(a->has_parent, b->has_parent);
    assert_true(!a->has_subject || uuid_equal(&a->subject, &b->subject));
    assert_true(!a->has_parent || uuid_equal(&a->parent, &b->parent));
    assert_int_equal(a->if_match, b->if_match);
    assert_true(a->fingerprint == b->fingerprint);
    assert_int_equal(a->timestamp, b->timestamp);
    assert_int_equal(a->not_before, b->not_before);
    assert_true(slice_equal(a->correlation_id, b->correlation_id));
    assert_true(slice_equal(a->reply_to, b->reply_to));
    assert_true(slice_equal(a->traceparent, b->traceparent));
    assert_true(slice_equal(a->body, b->body));
}

static inline struct event full_event(void)
{
    return (struct event){
        .command_id = A,
        .company = B,
        .type = SLICE("task.created"),
        .status = ERR_OK,
        .http_status = 201,
        .seq = 42,
        .has_subject = true,
        .subject = C,
        .has_project = true,
        .project = D,
        .version = 3,
        .correlation_id = SLICE("a request"),
        .reply_to = SLICE("reply.here"),
        .body = SLICE("{\"data\":{}}"),
        .entity_at = 8,
        .is_replayed = true,
    };
}

/* Not where the event goes, which is not read. */
static inline void assert_same_event(const struct event *a, const struct event *b)
{
    assert_true(uuid_equal(&a->command_id, &b->command_id));
    assert_true(uuid_equal(&a->company, &b->company));
    assert_true(slice_equal(a->type, b->type));
    assert_int_equal(a->status, b->status);
    assert_int_equal(a->http_status, b->http_status);
    assert_int_equal(a->seq, b->seq);
    assert_int_equal(a->has_subject, b->has_subject);
    assert_int_equal(a->has_project, b->has_project);
    assert_true(!a->has_subject || uuid_equal(&a->subject, &b->subject));
    assert_true(!a->has_project || uuid_equal(&a->project, &b->project));
    assert_int_equal(a->version, b->version);
    assert_true(slice_equal(a->correlation_id, b->correlation_id));
    assert_true(slice_equal(a->body, b->body));
    assert_int_equal(a->entity_at, b->entity_at);
    assert_int_equal(a->is_replayed, b->is_replayed);
}

/* The body of a parcel that is cut off anywhere. */
static inline void assert_cut_anywhere_is_no_parcel(struct slice body)
{
    struct parcel parcel;
    for (size_t len = 0; len < body.len; len++) {
        CLEANUP_FREE char *cut = xmalloc(len + 1); /* so that the sanitizer sees a read past the end */
        memcpy(cut + 1, body.data, len);
        assert_int_equal(parcel_open((struct slice){cut + 1, len}, &parcel), ERR_POISON);
    }
}
