/* What operators do with dead letters; the SQL is with workers/engine/housekeeping/operator_dead.c. */

#include "gateway/operator/dead_letters.h"

#include "gateway/operator/pool_request.h"

static const char selection[] = "dead_selection";

void dead_letter_replay(struct call *call)
{
    admin_ask(call, NULL, "dead.replay");
}

void dead_letter_drop(struct call *call)
{
    admin_ask(call, NULL, "dead.drop");
}

void dead_letters_replay(struct call *call)
{
    admin_ask(call, selection, "dead.replay_many");
}

void dead_letters_drop(struct call *call)
{
    admin_ask(call, selection, "dead.drop_many");
}
