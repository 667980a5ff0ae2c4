#include "gateway/hub/private.h"

/* The start of a subscription: takes one subscriber from WAITING to LIVE.
 *
 *   start_begin ─┬─ no recovery asked, or not possible ───────────────────────────▶ LIVE at the stream's last
 *                ├─ ahead of us: the position is asked for again, then judged again
 *                ├─ far behind, on projects: what they missed is counted, then judged
 *                └─▶ RECOVERING: pages from memory or the database, until it has ──▶ LIVE
 *                    everything up to the stream's last; waits while its socket is behind
 */
struct start {
    struct subscriber *subscriber;
    bool recover;
    bool answered;          /* on_started has been called */
    bool asked;             /* the position has been asked for again; answer number `positions` decides */
    char epoch[EPOCH_SIZE]; /* "": any */
    int64_t offset;         /* where the subscriber says it is */
    int64_t at;             /* it has got the channel's events up to here */
    int page;               /* how many events the next query reads */
    uint64_t positions;
    struct hub_query *read;
    enum right_state right;
    struct hub_query *right_query;
    ev_timer pace;
};

static struct tenant *tenant_of(const struct subscriber *subscriber)
{
    return subscriber->channel->tenant;
}

static void on_pace(struct ev_loop *loop, ev_timer *timer, int events);

/* Ours are shorter, and have no NUL: one that is longer or has one is none of ours, and must not become one by
 * being cut off. */
static void copy_epoch(struct slice epoch, char copy[EPOCH_SIZE])
{
    static const char never[] = "?";
    bool is_possible = epoch.len < EPOCH_SIZE && !memchr(epoch.data, '\0', epoch.len);
    memcpy(copy, is_possible ? epoch.data : never, is_possible ? epoch.len : sizeof(never));
}

struct start *start_new(struct subscriber *subscriber, const struct hub_request *request)
{
    struct start *start = xcalloc(1, sizeof(*start));
    start->subscriber = subscriber;
    start->recover = request->recover;
    start->offset = request->offset;
    start->page = HUB_PAGE;
    if (request->epoch.len > 0)
        copy_epoch(request->epoch, start->epoch);
    ev_timer_init(&start->pace, on_pace, 0., 0.);
    return start;
}

void start_free(struct start *start)
{
    if (!start)
        return;
    hub_query_forget(&start->read);
    hub_query_forget(&start->right_query);
    /* Stopped even when it is not active: it may have fired, with its callback still to come. */
    ev_timer_stop(tenant_of(start->subscriber)->hub->gateway->loop, &start->pace);
    free(start);
}

enum right_state start_right(const struct start *start)
{
    return start->right;
}

void start_set_right(struct start *start, enum right_state right)
{
    start->right = right;
}

struct hub_query **start_right_query(struct start *start)
{
    return &start->right_query;
}

bool start_again(struct subscriber *subscriber)
{
    struct start *start = subscriber->start;
    if (start->answered)
        return false;
    hub_query_forget(&start->read);
    ev_timer_stop(tenant_of(subscriber)->hub->gateway->loop, &start->pace);
    start->asked = false;
    start->page = HUB_PAGE;
    subscriber_set_state(subscriber, SUBSCRIBER_WAITING);
    return true;
}

/* Becomes live. It has all events up to `after` already. */
static void go_live(struct subscriber *subscriber, int64_t after)
{
    struct channel *channel = subscriber->channel;
    struct view *view = view_ref(subscriber->view);
    subscriber_leave(subscriber);
    subscriber->after = after;
    subscriber->view = view;
    subscriber_enter(subscriber, channel, SUBSCRIBER_LIVE);
}

static void announce(struct subscriber *subscriber, const struct hub_start *start)
{
    subscriber->protocol->on_started(subscriber, start);
}

static void start_afresh(struct subscriber *subscriber)
{
    struct tenant *tenant = tenant_of(subscriber);
    struct hub_start start = {
        .epoch = tenant->epoch, .offset = tenant->stream.last, .recover = subscriber->start->recover};
    go_live(subscriber, tenant->stream.last);
    announce(subscriber, &start);
}

static void start_recovered(struct subscriber *subscriber, int64_t offset)
{
    struct hub_start start = {
        .epoch = tenant_of(subscriber)->epoch, .offset = offset, .recover = true, .recovered = true};
    go_live(subscriber, offset);
    announce(subscriber, &start);
}

/* Recovery. */

static void recover_on(struct subscriber *subscriber);

static void on_pace(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    recover_on(CONTAINER_OF(timer, struct start, pace)->subscriber);
}

static void hand_over_piece(struct subscriber *subscriber, const struct publication *const *publications,
                            size_t count)
{
    struct start *start = subscriber->start;
    const struct viewer viewer = subscriber_viewer(subscriber);
    CLEANUP(audience_done) struct audience seen;
    audience_init(&seen, &viewer, publications, count);
    if (start->answered) {
        struct bytes *encoded =
            seen.count > 0 ? subscriber->protocol->encode(subscriber->channel, seen.publications, seen.count)
                           : NULL;
        if (encoded)
            subscriber->protocol->on_publications(subscriber, encoded);
        bytes_unref(encoded);
        return;
    }
    start->answered = true;
    announce(subscriber, &(struct hub_start){.epoch = tenant_of(subscriber)->epoch,
                                             .offset = start->offset,
                                             .recover = true,
                                             .recovered = true,
                                             .publications = seen.publications,
                                             .publication_count = seen.count});
}

/* Recovery pauses when more than this waits for the socket: live events need the rest of max_output_bytes. */
static size_t enough(const struct subscriber *subscriber)
{
    return (size_t)tenant_of(subscriber)->hub->gateway->config->max_output_bytes / 4;
}

static bool is_behind(const struct subscriber *subscriber)
{
    return subscriber->protocol->backlog(subscriber) > enough(subscriber);
}

/* How many of these are handed over together; a large event goes alone. */
static size_t piece_of(const struct subscriber *subscriber, const struct publication *const *publications,
                       size_t count)
{
    size_t limit = enough(subscriber) < HUB_FRAME_BYTES ? enough(subscriber) : HUB_FRAME_BYTES;
    size_t bytes = publications[0]->body->slice.len, piece = 1;
    while (piece < count && (bytes += publications[piece]->body->slice.len) <= limit)
        piece++;
    return piece;
}

/* Hands over the channel's events up to `last`, in pieces: the first with on_started, the others as
 * publications. Stops when enough waits for the socket; `at` is how far it came. */
static void hand_over(struct subscriber *subscriber, const struct publication *const *publications,
                      size_t count, int64_t last)
{
    if (count == 0)
        subscriber->start->at = last;
    for (size_t begin = 0; begin < count;) {
        if (subscriber->state != SUBSCRIBER_RECOVERING || is_behind(subscriber))
            return;
        size_t piece = piece_of(subscriber, publications + begin, count - begin);
        size_t end = begin + piece;
        subscriber->start->at = end < count ? publications[end]->seq - 1 : last;
        hand_over_piece(subscriber, publications + begin, piece);
        begin = end;
    }
}

static void hand_over_recent(struct subscriber *subscriber)
{
    struct stream *stream = &tenant_of(subscriber)->stream;
    const struct publication *page[HUB_PAGE];
    size_t count = 0;
    int64_t seq = subscriber->start->at;
    while (seq < stream->last && count < HUB_PAGE) {
        const struct publication *publication = stream_recent(stream, ++seq);
        if (channel_has(subscriber->channel, publication))
            page[count++] = publication;
    }
    hand_over(subscriber, page, count, seq);
}

/* The events to recover are no longer kept (ERR_OK), or the query failed. */
static void give_up(struct subscriber *subscriber, enum err err)
{
    const struct subscriber_protocol *protocol = subscriber->protocol;
    if (err == ERR_OK && !subscriber->start->answered) {
        start_afresh(subscriber);
        return;
    }
    bool answered = subscriber->start->answered;
    subscriber_leave(subscriber);
    if (answered)
        protocol->on_lost(subscriber);
    else
        protocol->on_refused(subscriber, err);
}

/* Events that were not handed over are read again. So the next page is as long as what the socket just
 * took. */
static void adapt_page(struct start *start, int taken, int rows)
{
    if (taken == rows)
        start->page = start->page < HUB_PAGE / 2 ? start->page * 2 : HUB_PAGE;
    else if (taken > 0)
        start->page = taken;
}

static void hand_over_read(struct subscriber *subscriber, struct db_result *result,
                           const struct missed *missed)
{
    struct publication read[HUB_PAGE];
    const struct publication *page[HUB_PAGE] = {0};
    int count = missed->row_count < HUB_PAGE ? missed->row_count : HUB_PAGE, taken = 0;
    for (int i = 0; i < count; i++) {
        read[i] = publication_of_row(result, missed->first_row + i);
        page[i] = &read[i];
    }
    hand_over(subscriber, page, (size_t)count, missed->last);
    bool goes_on = subscriber->state == SUBSCRIBER_RECOVERING;
    for (int i = 0; i < count; i++) {
        taken += goes_on && read[i].seq <= subscriber->start->at;
        bytes_unref(read[i].body);
    }
    if (!goes_on)
        return;
    adapt_page(subscriber->start, taken, count);
    recover_on(subscriber);
}

/* What it sees may be about to change: it goes on when that is known (start_go_on). */
static bool is_held(const struct subscriber *subscriber)
{
    return subscriber->view && !view_is_ready(subscriber->view);
}

static void on_missed(void *owner, struct db_result *result)
{
    struct subscriber *subscriber = owner;
    const struct start *start = subscriber->start;
    struct missed missed;
    enum err err = db_result_error(result);
    if (is_held(subscriber))
        return;
    if (err != ERR_OK || !missed_answer(subscriber->channel, result, start->at, start->page, &missed))
        give_up(subscriber, err);
    else
        hand_over_read(subscriber, result, &missed);
}

static void wait_for_socket(struct subscriber *subscriber)
{
    ev_timer *pace = &subscriber->start->pace;
    ev_timer_set(pace, RECOVERY_PACE_MS / 1000., 0.);
    ev_timer_start(tenant_of(subscriber)->hub->gateway->loop, pace);
}

static void recover_on(struct subscriber *subscriber)
{
    struct tenant *tenant = tenant_of(subscriber);
    while (subscriber->state == SUBSCRIBER_RECOVERING) {
        struct start *start = subscriber->start;
        if (subscriber->view)
            tenant_flush(tenant); /* which looks for what changes the view */
        if (is_held(subscriber))
            return;
        if (start->at == tenant->stream.last) {
            tenant_flush(tenant); /* the live subscribers get these events before this one is among them */
            if (start->answered)
                go_live(subscriber, start->at);
            else
                start_recovered(subscriber, start->at);
            return;
        }
        if (is_behind(subscriber)) {
            wait_for_socket(subscriber);
            return;
        }
        if (stream_covers(&tenant->stream, start->at)) {
            hand_over_recent(subscriber);
            continue;
        }
        enum err err = missed_read(subscriber->channel, start->at, tenant->stream.last, start->page,
                                   on_missed, subscriber, &start->read);
        if (err != ERR_OK)
            give_up(subscriber, err);
        return;
    }
}

/* The subscriber's offset is past this process's last event. Either this process is late or the offset is
 * wrong: the database decides. */
static void start_ahead(struct subscriber *subscriber)
{
    struct tenant *tenant = tenant_of(subscriber);
    struct start *start = subscriber->start;
    if (start->offset <= tenant->stream.known) {
        start_recovered(subscriber, start->offset);
        return;
    }
    if (start->asked) {
        if (tenant->positions >= start->positions)
            start_afresh(subscriber);
        return;
    }
    start->asked = true;
    start->positions = tenant->positions + (tenant->position_query ? 2 : 1);
    enum err err = catch_up_check(tenant);
    if (err != ERR_OK)
        give_up(subscriber, err);
}

static void begin_recovery(struct subscriber *subscriber)
{
    subscriber->start->at = subscriber->start->offset;
    subscriber_set_state(subscriber, SUBSCRIBER_RECOVERING);
    recover_on(subscriber);
}

static int64_t recover_max(const struct subscriber *subscriber)
{
    return tenant_of(subscriber)->hub->gateway->config->recover_max;
}

static void on_count(void *owner, struct db_result *result)
{
    struct subscriber *subscriber = owner;
    enum err err = db_result_error(result);
    if (err != ERR_OK)
        give_up(subscriber, err);
    else if (db_int(result, 0, 0) > recover_max(subscriber))
        start_afresh(subscriber);
    else
        begin_recovery(subscriber);
}

/* The offset is more than recover_max behind the company's stream. On a channel of projects only the
 * projects' own events count, and the database counts them. */
static void start_far(struct subscriber *subscriber)
{
    struct start *start = subscriber->start;
    if (subscriber->channel->kind == CHANNEL_COMPANY) {
        start_afresh(subscriber);
        return;
    }
    enum err err = missed_count(subscriber->channel, start->offset, recover_max(subscriber) + 1, on_count,
                                subscriber, &start->read);
    if (err != ERR_OK)
        give_up(subscriber, err);
}

void start_begin(struct subscriber *subscriber)
{
    struct tenant *tenant = tenant_of(subscriber);
    struct start *start = subscriber->start;
    if (start->read)
        return; /* a query is counting the missed events */
    tenant_flush(tenant);
    if (is_held(subscriber))
        return; /* it is WAITING, and channel_proceed comes back to it */
    int64_t last = tenant->stream.last;
    bool other_stream = start->epoch[0] != '\0' && strcmp(start->epoch, tenant->epoch) != 0;
    if (!start->recover || other_stream)
        start_afresh(subscriber);
    else if (start->offset > last)
        start_ahead(subscriber);
    else if (last - start->offset > recover_max(subscriber))
        start_far(subscriber);
    else
        begin_recovery(subscriber);
}

void start_go_on(struct subscriber *subscriber)
{
    const struct start *start = subscriber->start;
    if (subscriber->state == SUBSCRIBER_RECOVERING && !start->read && !ev_is_active(&start->pace))
        recover_on(subscriber);
}
