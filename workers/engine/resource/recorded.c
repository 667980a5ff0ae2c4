/* Writes the parts of a statement that records what it does (see resource.h): instead of the statements of
 * records/ and in the same rows. */

#include <assert.h>

#include "workers/engine/records/events.h"
#include "workers/engine/records/inbox.h"
#include "workers/engine/resource/resource_text.h"

/* The rows of the sequences are locked by the statement before this one, so this one sees what their last holder
 * committed. xmax is the transaction that has a row locked. A sub-select for each company, unlike a join, can only
 * go by the key. */
static void write_what_was_not_looked_up(struct sql_writer *w)
{
    buf_append_text(&w->text, " AND (SELECT count(*) FROM unnest(");
    sql_write_param(w, PARAM_HELD_COMPANY, "uuid");
    buf_append_text(&w->text, "[], ");
    sql_write_param(w, PARAM_HELD_SEQ, "bigint");
    buf_append_text(&w->text, "[]) AS h (company_id, seq)"
                              " WHERE h.seq = (SELECT s.seq FROM company_sequence AS s"
                              " WHERE s.company_id = h.company_id AND s.xmax = pg_current_xact_id()::xid))"
                              " = cardinality(");
    sql_write_param(w, PARAM_HELD_COMPANY, "uuid");
    buf_append_text(&w->text, "[])"
                              " AND NOT EXISTS (SELECT FROM new AS n JOIN inbox AS x"
                              " ON x.company_id = n._company AND x.command_id = n._id)"
                              " AND NOT EXISTS (SELECT FROM new AS n JOIN deferred AS d"
                              " ON d.company_id = n._company AND d.command_id = n._id)");
}

/* All rows fit, or none is taken. */
void resource_write_fit_or_nothing(struct sql_writer *w, bool is_at_once)
{
    buf_append_text(&w->text, "fit AS MATERIALIZED (SELECT new.* FROM new"
                              " WHERE (SELECT count(*) FROM new AS n WHERE n.broken = 0) = cardinality(");
    sql_write_param(w, PARAM_ID, "uuid");
    buf_append_text(&w->text, "[])");
    if (is_at_once)
        write_what_was_not_looked_up(w);
    buf_append_text(&w->text, "), ");
}

/* Writes the element m.i of an array. */
static void write_element(struct sql_writer *w, unsigned param, const char *type)
{
    buf_append_char(&w->text, '(');
    sql_write_param(w, param, type);
    buf_append_text(&w->text, "[])[m.i]");
}

/* The project whose channel sees the event too: resource.c places effects in the same way. */
static void write_project(struct sql_writer *w)
{
    switch (w->resource->channel) {
    case MSG_CHANNEL_OWN:
        buf_append_text(&w->text, "m.id");
        break;
    case MSG_CHANNEL_PARENT:
        write_element(w, PARAM_PARENT, "uuid");
        break;
    case MSG_CHANNEL_COLUMN:
        buf_append_text(&w->text, "m._channel");
        break;
    case MSG_CHANNEL_NONE:
        buf_append_text(&w->text, "NULL");
    }
}

/* RETURNING names nothing but the columns of the table, and a join would look at each command for each row. But
 * rows are made in the order of the commands, so the place of a row says whose it is. A row that were out of its
 * place would get no number, and the table refuses it. */
static void write_events(struct sql_writer *w, const char *event)
{
    buf_append_text(&w->text,
                    ", event AS (INSERT INTO events (" EVENTS_COLUMNS ") SELECT m.company_id, CASE WHEN ");
    write_element(w, PARAM_ID, "uuid");
    buf_append_text(&w->text, " = m.id AND ");
    write_element(w, PARAM_COMPANY, "uuid");
    buf_append_text(&w->text, " = m.company_id THEN ");
    write_element(w, PARAM_SEQ, "bigint");
    sql_write(w, " END, :at, m.id, ");
    buf_printf(&w->text, "'%s', m.id, ", event);
    write_project(w);
    buf_append_text(&w->text, ", ");
    write_element(w, PARAM_ACTOR, "uuid");
    buf_append_text(&w->text, ", m.version, m.json::json"
                              " FROM (SELECT made.*, (row_number() OVER ())::integer AS i FROM made) AS m)");
}

static void write_results(struct sql_writer *w)
{
    assert(w->plan->http_status == 0);
    buf_printf(&w->text,
               ", result AS (INSERT INTO inbox (" INBOX_COLUMNS ")"
               " SELECT new._company, new._id, new._fingerprint, '%s', 201, new._seq, NULL, ",
               err_info(ERR_OK)->slug);
    sql_write(w, ":at FROM fit AS new)");
}

static void write_advance(struct sql_writer *w)
{
    buf_append_text(&w->text,
                    ", advanced AS (UPDATE company_sequence AS s SET seq = n.seq"
                    " FROM (SELECT new._company, max(new._seq) AS seq FROM fit AS new GROUP BY 1) AS n"
                    " WHERE s.company_id = n._company)");
}

void resource_write_records(struct sql_writer *w, const char *event)
{
    write_events(w, event);
    write_results(w);
    write_advance(w);
    buf_printf(&w->text, " SELECT id, 0, version, json, company_id%s FROM made",
               w->resource->channel_column ? ", _channel" : "");
}
