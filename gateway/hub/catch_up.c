#include "gateway/hub/private.h"

#include "common/base/clock.h"

/* The last seq of the company's stream. */
static const struct db_statement position_statement = {
    "hub.position", "SELECT epoch, seq, pg_is_in_recovery() FROM company_sequence WHERE company_id = $1"};

static void proceed(struct channel *channel, void *unused)
{
    (void)unused;
    channel_proceed(channel);
}

static void refuse(struct channel *channel, void *err)
{
    channel_refuse(channel, *(enum err *)err);
}

bool catch_up_knows_position(const struct tenant *tenant)
{
    return tenant->epoch[0] != '\0';
}

/* Every event is committed before it is heard of. So a primary that knows less than this process had heard
 * before it asked has lost some: an older state of the database was restored, and its epochs were not renewed.
 * A replica may be late. */
static bool has_gone_back(const struct tenant *tenant, int64_t seq, bool is_replica)
{
    return !is_replica && seq < tenant->heard_before;
}

static void say_gone_back(const struct tenant *tenant, int64_t seq)
{
    log_error("events.gone_back", LOG_S("company", tenant->company), LOG_I("seq", seq),
              LOG_I("heard", tenant->stream.last),
              LOG_S("hint",
                    "the database was restored, and the epochs of its events were not renewed: clients "
                    "that are away now will miss events without noticing; run the statement of "
                    "deploy/operating.md, \"Restore by your own means\""));
}

static void take_position(struct tenant *tenant, struct slice epoch, int64_t seq, bool is_replica)
{
    if (!catch_up_knows_position(tenant)) {
        snprintf(tenant->epoch, sizeof(tenant->epoch), "%.*s", (int)epoch.len, epoch.data);
        tenant->flushed = seq;
        stream_begin(&tenant->stream, seq);
    } else if (!slice_is(epoch, tenant->epoch)) {
        tenant_lost(tenant, "the epoch has changed");
        return;
    } else if (has_gone_back(tenant, seq, is_replica)) {
        say_gone_back(tenant, seq);
        tenant_lost(tenant, "its sequence has gone back");
        return;
    } else {
        /* The read may come from a replica that is behind this process; then nothing changes. */
        stream_heard_of(&tenant->stream, seq);
    }
    catch_up_progress(tenant);
}

static void on_position(void *owner, struct db_result *result)
{
    struct tenant *tenant = owner;
    enum err err = db_result_error(result);
    if (err == ERR_OK && db_rows(result) == 0)
        err = ERR_NOT_FOUND;
    bool again = tenant->check_again;
    tenant->check_again = false;
    tenant->positions++;
    if (err == ERR_OK)
        take_position(tenant, db_text(result, 0, 0), db_int(result, 0, 1),
                      slice_is(db_text(result, 0, 2), "t"));
    else if (err == ERR_NOT_FOUND && catch_up_knows_position(tenant))
        tenant_lost(tenant, "the company is gone");
    if (again && !tenant->position_query && catch_up_check(tenant) != ERR_OK)
        log_debug("hub.check_skipped", LOG_S("company", tenant->company));
    if (err == ERR_OK || catch_up_knows_position(tenant))
        tenant_each_channel(tenant, proceed, NULL);
    else
        tenant_each_channel(tenant, refuse, &err);
}

enum err catch_up_check(struct tenant *tenant)
{
    if (tenant->position_query) {
        tenant->check_again = true;
        return ERR_OK;
    }
    struct slice company = slice_of(tenant->company);
    tenant->heard_before = catch_up_knows_position(tenant) ? tenant->stream.last : 0;
    return hub_query_send(tenant->hub, company, &position_statement, &company, 1, on_position, tenant,
                          &tenant->position_query);
}

/* Gaps. */

static void schedule_fill(struct tenant *tenant, ev_tstamp seconds)
{
    struct ev_loop *loop = tenant->hub->gateway->loop;
    ev_timer_stop(loop, &tenant->gap);
    ev_timer_set(&tenant->gap, seconds, 0.);
    ev_timer_start(loop, &tenant->gap);
}

void catch_up_progress(struct tenant *tenant)
{
    struct ev_loop *loop = tenant->hub->gateway->loop;
    if (tenant->stream.last > tenant->flushed)
        tenant_touch(tenant);
    int64_t from = 0, to;
    if (!stream_gap(&tenant->stream, &from, &to)) {
        ev_timer_stop(loop, &tenant->gap);
        tenant->gap_from = 0;
        return;
    }
    if (tenant->gap_from == from)
        return;
    tenant->gap_from = from;
    tenant->gap_since = clock_monotonic_s();
    tenant->retry = (ev_tstamp)tenant->hub->gateway->config->gap_wait_ms / 1000.;
    schedule_fill(tenant, tenant->retry);
}

/* The gap is still there: reads it again later, until gap_limit_ms have passed. */
static void retry_fill(struct tenant *tenant)
{
    ev_tstamp limit = (ev_tstamp)tenant->hub->gateway->config->gap_limit_ms / 1000.;
    if (clock_monotonic_s() - tenant->gap_since > limit) {
        tenant_lost(tenant, "a missing event could not be read");
        return;
    }
    tenant->retry *= 2;
    if (tenant->retry > READ_RETRY_MAX_MS / 1000.)
        tenant->retry = READ_RETRY_MAX_MS / 1000.;
    schedule_fill(tenant, tenant->retry);
}

static void on_fill(void *owner, struct db_result *result)
{
    struct tenant *tenant = owner;
    int rows = db_result_error(result) == ERR_OK ? db_rows(result) : 0;
    /* Events become visible in order of seq. So when a later one is there, retention has deleted the
     * missing one. */
    if (rows > 0 && db_int(result, 0, 0) > tenant->stream.last + 1) {
        tenant_lost(tenant, "a missing event is no longer kept");
        return;
    }
    for (int row = 0; row < rows; row++)
        (void)stream_offer(&tenant->stream, publication_of_row(result, row));
    catch_up_progress(tenant);
    if (tenant->gap_from == tenant->fill_from)
        retry_fill(tenant);
    /* The page was full, so there may be more; or the timer of the next gap fired while this query was on
     * its way. */
    else if (tenant->gap_from > 0 && (rows == HUB_PAGE || !ev_is_active(&tenant->gap)))
        schedule_fill(tenant, 0.);
}

static void fill(struct tenant *tenant, int64_t from, int64_t to)
{
    char after[DB_NUMBER_SIZE], up_to[DB_NUMBER_SIZE], limit[DB_NUMBER_SIZE];
    struct slice company = slice_of(tenant->company);
    struct slice params[] = {company, db_number(from - 1, after), db_number(to, up_to),
                             db_number(HUB_PAGE, limit)};
    tenant->fill_from = from;
    if (hub_query_send(tenant->hub, company, &hub_events, params, ARRAY_LEN(params), on_fill, tenant,
                       &tenant->fill_query) != ERR_OK)
        retry_fill(tenant);
}

void catch_up_on_gap_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    struct tenant *tenant = CONTAINER_OF(timer, struct tenant, gap);
    int64_t from, to;
    if (!tenant->fill_query && stream_gap(&tenant->stream, &from, &to))
        fill(tenant, from, to);
}
