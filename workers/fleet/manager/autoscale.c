#include "workers/fleet/manager/autoscale.h"

static int64_t divide_up(int64_t n, int64_t by)
{
    return n / by + (n % by > 0);
}

static int within(int64_t n, int min, int max)
{
    return n < min ? min : n > max ? max : (int)n;
}

/* How many workers are needed, at most twice as many as there are: if that is not enough, the next call says
 * so. When fewer commands wait than there are workers, their age does not count: one more worker would find
 * nothing to do. */
static int needed(const struct autoscale_sight *sight, int64_t depth, int64_t age_ms,
                  enum autoscale_reason *ret_reason)
{
    int64_t by_depth = divide_up(sight->waiting, depth), by_age = 0;
    if (sight->waiting > sight->wanted && sight->oldest_ms > age_ms)
        by_age = sight->oldest_ms >= 2 * age_ms ? 2 * (int64_t)sight->wanted
                                                : divide_up(sight->wanted * sight->oldest_ms, age_ms);
    *ret_reason = by_age > by_depth ? AUTOSCALE_AGE : AUTOSCALE_DEPTH;
    return within(by_age > by_depth ? by_age : by_depth, 0, 2 * sight->wanted);
}

static void forget_spells(struct autoscale *state)
{
    state->pressed_ms = state->calm_ms = 0;
}

static int64_t spell_ms(const struct autoscale *state, const struct autoscale_options *options)
{
    return options->calm_ms << state->patience;
}

/* A shrink that has stood for a whole spell was right. */
static void settle_shrink(struct autoscale *state, const struct autoscale_options *options, int64_t now_ms)
{
    if (!state->shrunk_ms || now_ms - state->shrunk_ms <= spell_ms(state, options))
        return;
    state->shrunk_ms = 0;
    if (state->patience > 0)
        state->patience--;
}

static int grow(struct autoscale *state)
{
    forget_spells(state);
    if (state->shrunk_ms && state->patience < AUTOSCALE_PATIENCE_MAX)
        state->patience++;
    state->shrunk_ms = 0;
    return state->least;
}

static int shrink(struct autoscale *state, int wanted, int64_t now_ms)
{
    int half = (wanted + 1) / 2;
    forget_spells(state);
    state->shrunk_ms = now_ms;
    return state->most > half ? state->most : half;
}

static int under_pressure(struct autoscale *state, const struct autoscale_options *options, int need,
                          int wanted, int64_t now_ms)
{
    state->calm_ms = 0;
    if (!state->pressed_ms) {
        state->pressed_ms = now_ms;
        state->least = need;
    }
    if (need < state->least)
        state->least = need;
    return now_ms - state->pressed_ms >= options->hurry_ms ? grow(state) : wanted;
}

static int in_calm(struct autoscale *state, const struct autoscale_options *options, int need, int wanted,
                   int64_t now_ms)
{
    state->pressed_ms = 0;
    if (!state->calm_ms) {
        state->calm_ms = now_ms;
        state->most = need;
    }
    if (need > state->most)
        state->most = need;
    return now_ms - state->calm_ms >= spell_ms(state, options) ? shrink(state, wanted, now_ms) : wanted;
}

/* After the first decision, or a long time without one, the spells begin now. */
static void look_at_clock(struct autoscale *state, int64_t now_ms)
{
    if (now_ms < state->decided_ms || now_ms - state->decided_ms > AUTOSCALE_GAP_MS)
        forget_spells(state);
    state->decided_ms = now_ms;
}

int autoscale_decide(struct autoscale *state, const struct autoscale_options *options,
                     const struct autoscale_sight *sight, int64_t now_ms, enum autoscale_reason *ret_reason)
{
    enum autoscale_reason pressing, lingering;
    int wanted = sight->wanted, bounded = within(wanted, options->min, options->max);
    look_at_clock(state, now_ms);
    settle_shrink(state, options, now_ms);
    *ret_reason = AUTOSCALE_STAYS;
    if (bounded != wanted) {
        forget_spells(state);
        *ret_reason = AUTOSCALE_BOUNDS;
        return bounded;
    }
    int need = within(needed(sight, options->depth, options->age_ms, &pressing), options->min, options->max);
    int calm_need =
        within(needed(sight, divide_up(options->depth, 2), divide_up(options->age_ms, 2), &lingering),
               options->min, options->max);
    int decided = wanted;
    if (need > wanted && !sight->is_troubled)
        decided = under_pressure(state, options, need, wanted, now_ms);
    else if (calm_need < wanted && !sight->is_troubled)
        decided = in_calm(state, options, calm_need, wanted, now_ms);
    else
        forget_spells(state);
    if (decided != wanted)
        *ret_reason = decided > wanted ? pressing : AUTOSCALE_CALM;
    return decided;
}
