#include "workers/engine/command/outcome_log.h"

#include "common/base/clock.h"
#include "common/base/log.h"

/* What a deferred command waits for. */
static const char *const deferrals[] = {
    [DEFER_NONE] = "again", /* the row that it has already */
    [DEFER_TURN] = "turn",         [DEFER_RETRY] = "retry",
    [DEFER_SCHEDULE] = "schedule", [DEFER_UNPUBLISHED] = "again",
};

void outcome_log(const struct command *command)
{
    bool is_deferred = command->outcome == COMMAND_DEFERRED;
    if (command->outcome == COMMAND_GONE || !log_access_is_on() || log_threshold > LOG_INFO)
        return;
    char id[UUID_TEXT_LEN + 1], company[UUID_TEXT_LEN + 1], user[UUID_TEXT_LEN + 1];
    uuid_format(&command->envelope.id, id);
    uuid_format(&command->envelope.company, company);
    uuid_format(&command->envelope.actor, user);
    int64_t now_us = clock_monotonic_us();
    log_access(LOG_INFO, now_us, is_deferred ? "command.deferred" : "command.done",
               LOG_B("type", command->envelope.type),
               LOG_S(is_deferred ? "waits_for" : "status",
                     is_deferred ? deferrals[command->deferral] : err_info(command->status)->slug),
               LOG_MS("duration_ms", now_us - command->since_us), LOG_P("company", company),
               LOG_P("user", user), LOG_B("correlation", command_correlation(command)), LOG_P("command", id));
}
