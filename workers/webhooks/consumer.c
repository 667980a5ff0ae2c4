/* What follows from events: a delivery for each endpoint that wants the event, and its lane is looked at.
 *
 * An endpoint is told nothing of itself, but of its test; and nobody is told of deliveries, since each would cause
 * another. What a paused or disabled endpoint misses is there to be seen, too. */

#include "workers/engine/feed/consumer.h"

#define WANTED                                                                                              \
    ", wanted AS MATERIALIZED ("                                                                            \
    " SELECT b.company_id, b.seq, b.at, b.type, b.subject, w.id AS endpoint_id, w.status, w.body = 'thin' " \
    "AS is_thin,"                                                                                           \
    " b.type = 'webhook_endpoint.tested' AS is_test,"                                                       \
    " CASE w.ordering WHEN 'subject' THEN coalesce(b.project, b.subject) WHEN 'endpoint' THEN w.id END AS " \
    "turn"                                                                                                  \
    " FROM batch AS b"                                                                                      \
    " JOIN webhook_endpoint AS w ON w.company_id = b.company_id"                                            \
    " WHERE CASE WHEN b.type = 'webhook_endpoint.tested' OR w.id = b.subject"                               \
    " THEN b.type = 'webhook_endpoint.tested' AND w.id = b.subject"                                         \
    " ELSE b.type NOT LIKE 'webhook\\_delivery.%'"                                                          \
    " AND webhook_wants(w.event_types, w.filters, b.type, b.data) END)"

/* Everybody locks the lane first, and it goes with its endpoint. So nothing is made for an endpoint that was deleted after
 * this statement had begun. */
#define LANES                                                           \
    ", lanes AS MATERIALIZED ("                                         \
    " SELECT l.company_id, l.id AS endpoint_id FROM outgoing_lane AS l" \
    " JOIN (SELECT DISTINCT company_id, endpoint_id FROM wanted) AS w"  \
    " ON l.company_id = w.company_id AND l.id = w.endpoint_id"          \
    " ORDER BY l.company_id, l.id FOR UPDATE OF l)"

/* IS TRUE: the lanes are looked up in a hash, and not one by one for each of very many endpoints. A test goes out at once,
 * whatever the endpoint is, and is not tried again. */
#define MADE                                                                                                \
    ", made AS ("                                                                                           \
    " INSERT INTO webhook_delivery (company_id, id, endpoint_id, event_type, event_seq, event_at, "         \
    "subject_id,"                                                                                           \
    " status, next_at, is_asked, resume_as, is_thin, turn)"                                                 \
    " SELECT company_id, webhook_delivery_id(endpoint_id, seq, at), endpoint_id, type, seq, at, subject,"   \
    " CASE WHEN is_test OR status = 'active' THEN 'waiting' WHEN status = 'paused' THEN 'held' ELSE "       \
    "'skipped' END,"                                                                                        \
    " CASE WHEN is_test OR status <> 'disabled' THEN now() END,"                                            \
    " is_test, CASE WHEN is_test THEN 'failed' END, is_thin, CASE WHEN NOT is_test THEN turn END"           \
    " FROM wanted WHERE ((company_id, endpoint_id) IN (SELECT company_id, endpoint_id FROM lanes)) IS TRUE" \
    " ON CONFLICT DO NOTHING)"

/* Also where it is to be looked at already: whoever looks just now does not see these deliveries yet. It reads `lanes`, so
 * that each is locked before it is changed. */
#define LOOKED_AT                                                                                       \
    ", looked_at AS ("                                                                                  \
    " UPDATE outgoing_lane AS l SET look_at = now() FROM lanes AS s"                                    \
    " WHERE l.company_id = s.company_id AND l.id = s.endpoint_id AND ((s.company_id, s.endpoint_id) IN" \
    " (SELECT company_id, endpoint_id FROM wanted WHERE is_test OR status = 'active')) IS TRUE)"

const struct feed_consumer webhooks_consumer = {
    .pool = "webhooks",
    .follows = WANTED LANES MADE LOOKED_AT,
};
