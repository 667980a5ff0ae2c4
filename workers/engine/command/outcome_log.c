#include "workers/engine/command/outcome_log.h"

#include "common/base/clock.h"
#include "common/base/log.h"

/* What a deferred command waits for. */
static const char *const deferrals[] = {
    [DEFER_NONE] = "again", /* the row that it has already */
    [DEFER_TURN] = "turn",         [DEFER_RETRY] = "retry",
    [DEFER_SCHEDULE] = "schedule", [DEFER_UNPUBLISHED] = "again",
};

/* The line of a command that was taken (log_access_takes). */
static void put(const struct command *command, const char *event, int64_t now_us)
{
    bool is_deferred = command->outcome == COMMAND_DEFERRED;
    char id[UUID_TEXT_LEN + 1], company[UUID_TEXT_LEN + 1], user[UUID_TEXT_LEN + 1];
    uuid_format(&command->envelope.id, id);
    uuid_format(&command->envelope.company, company);
    uuid_format(&command->envelope.actor, user);
    log_access_put_(LOG_INFO, now_us, event, LOG_B("type", command->envelope.type),
                    LOG_S(is_deferred ? "waits_for" : "status",
                          is_deferred ? deferrals[command->deferral] : err_info(command->status)->slug),
                    LOG_MS("duration_ms", now_us - command->since_us), LOG_P("company", company),
                    LOG_P("user", user), LOG_B("correlation", command_correlation(command)),
                    LOG_P("command", id));
}

void outcome_log(const struct command *command)
{
    const char *event = command->outcome == COMMAND_DEFERRED ? "command.deferred" : "command.done";
    int64_t now_us = clock_monotonic_us();
    if (command->outcome != COMMAND_GONE && log_access_takes(LOG_INFO, now_us, event))
        put(command, event, now_us);
}
