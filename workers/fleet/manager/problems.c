#include "workers/fleet/manager/problems.h"

#include <stdio.h>

enum { SENTENCE_SIZE = 400 };

static void add(json_t *problems, const char *sentence)
{
    json_array_append_new(problems, json_string(sentence));
}

static void add_unconsumed(json_t *problems, const struct manager_load *load, int64_t now_ms)
{
    char sentence[SENTENCE_SIZE];
    struct manager_queue queue;
    for (unsigned i = 0; manager_load_queue(load, i, now_ms, &queue); i++) {
        if (!queue.is_unconsumed)
            continue;
        snprintf(sentence, sizeof(sentence),
                 "No worker consumes the queue %s, in which %u commands wait: see whether enough workers "
                 "run, and what "
                 "their log says.",
                 queue.name, queue.ready);
        add(problems, sentence);
    }
}

static void add_strays(json_t *problems, const struct strays *strays)
{
    char sentence[SENTENCE_SIZE];
    struct stray stray;
    for (size_t i = 0; strays && strays_at(strays, i, &stray); i++) {
        if (stray.waiting == 0 || stray.consumers > 0)
            continue;
        snprintf(sentence, sizeof(sentence),
                 "The queue %s lies beyond CORTEX_PARTITIONS, so no worker consumes it, and %u commands wait "
                 "in it: "
                 "deploy/operating.md, The number of partitions, says how they are run.",
                 stray.name, stray.waiting);
        add(problems, sentence);
    }
}

static void add_deaf(json_t *problems, const struct manager_load *load)
{
    char sentence[SENTENCE_SIZE];
    const struct member_announcement *said;
    for (size_t i = 0; (said = manager_load_worker(load, i)); i++) {
        if (!said->report.is_deaf)
            continue;
        snprintf(sentence, sizeof(sentence),
                 "The worker %d on %s does not hear requests of operators, and takes no dead letters of the "
                 "broker: its "
                 "log says why its connection named housekeeping fails.",
                 (int)said->pid, said->host);
        add(problems, sentence);
    }
}

static void add_lacking(json_t *problems, const struct manager_load *load)
{
    char sentence[SENTENCE_SIZE];
    const struct member_announcement *said;
    for (size_t i = 0; (said = manager_load_worker(load, i)); i++) {
        if (!said->report.is_lacking)
            continue;
        snprintf(
            sentence, sizeof(sentence),
            "The worker %d on %s runs no command, because the database lacks what it needs: schema.missing "
            "in its log says what.",
            (int)said->pid, said->host);
        add(problems, sentence);
    }
}

json_t *problems_list(const struct manager_load *load, const struct strays *strays, int64_t now_ms)
{
    json_t *problems = json_array();
    add_unconsumed(problems, load, now_ms);
    add_strays(problems, strays);
    add_deaf(problems, load);
    add_lacking(problems, load);
    return problems;
}
