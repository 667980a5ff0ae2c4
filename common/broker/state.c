#include "common/broker/private.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/base/log.h"

static const char *const state_names[] = {
    [BROKER_DOWN] = "down",
    [BROKER_RESOLVING] = "resolving",
    [BROKER_CONNECTING] = "connecting",
    [BROKER_HANDSHAKE] = "handshake",
    [BROKER_UP] = "up",
    [BROKER_BLOCKED] = "blocked",
    [BROKER_CLOSED] = "closed",
};

void broker_set_state(struct broker *b, enum broker_state state, double after_s)
{
    bool keeps_timer = after_s < 0; /* UP ⇄ BLOCKED: the heartbeat goes on */
    log_debug("broker.state", LOG_S("name", b->name), LOG_S("from", state_names[b->state]),
              LOG_S("to", state_names[state]));
    b->state = state;
    if (keeps_timer)
        return;
    ev_timer_stop(b->loop, &b->timer);
    bool beats = state == BROKER_UP;
    if (state == BROKER_CLOSED || (beats && after_s == 0))
        return; /* heartbeat 0: the server wants none */
    ev_timer_set(&b->timer, after_s, beats ? after_s : 0);
    ev_timer_start(b->loop, &b->timer);
}

void broker_fail(struct broker *b, const char *format, ...)
{
    if (b->has_failed)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(b->why, sizeof(b->why), format, arguments);
    va_end(arguments);
    b->has_failed = true;
}
