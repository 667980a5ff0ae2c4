#pragma once
/* Tickets: a page's EventSource cannot send a token, and a token in an address would stay in logs and histories. So
 * the page asks with its token for a ticket (POST /v1/tickets) and puts that into the address. It opens one request of
 * its channels' events, within TICKET_LIFE_S.
 *
 *   page ── POST /v1/tickets ──▶ process A keeps it          page ── GET /v1/events?ticket= ──▶ process B
 *                                     ▲────────── "ticket.take" (bus) ────────────────────────────┘
 *                                     └────────── "ticket.taken": whose it was, or nothing ───────▶ answers
 *
 * The process that made a ticket keeps it in memory and gives it away once; its name is part of the ticket, so any
 * process can ask for it. When that process ends, its tickets end, and pages ask for others. */

#include "gateway/http/call.h"

enum { TICKET_LIFE_S = 60 };

#define TICKET_TAKE  "ticket.take"
#define TICKET_TAKEN "ticket.taken"

struct tickets;

struct tickets *tickets_new(struct gateway *gateway);
void tickets_free(struct tickets *tickets);

void ticket_create(struct call *call); /* the handler of POST /v1/tickets */

/* Takes the ticket that the query of the call names, and calls on_taken, perhaps before this returns, unless the
 * client goes away first. identity NULL: it is not valid any more, or never was. The channels are "" for the company's
 * own. */
typedef void tickets_on_taken(struct call *call, const struct identity *identity, struct slice channels);
void tickets_take(struct call *call, tickets_on_taken *on_taken);

/* What other processes ask, and what they answer. */
void tickets_on_take(struct tickets *tickets, struct slice body);
void tickets_on_answer(struct tickets *tickets, struct slice body);
