#pragma once
/* The table `dead_letter`: commands that nobody runs any more, for operators to read, replay or drop (the
 * functions dead_letter_replay and dead_letter_drop of the migration).
 *
 *   its verdict is one of ours (500, 503) ─▶ a row, or the row of its last death with that in its history
 *   it has another result, at last ────────▶ the row goes
 *
 * Both in the transaction that writes the result. What the broker itself gave up (dead.<pool>: messages that
 * cannot be read, deliveries past the limit) becomes a row, too, before it is acked. */

#include "common/db/db.h"
#include "workers/engine/command/command.h"

struct dead_letters;

/* `pool` must outlive it. */
struct dead_letters *dead_letters_new(const char *pool);
void dead_letters_free(struct dead_letters *dead_letters);

/* Each sends one statement, or none when no command asks for it. */
void dead_letters_add(struct dead_letters *dead_letters, struct db *db, struct command *const *commands,
                      size_t count, db_on_result *on_done, void *arg);
void dead_letters_remove(struct dead_letters *dead_letters, struct db *db, struct command *const *commands,
                         size_t count, db_on_result *on_done, void *arg);

/* A message from dead.<pool>; `reason` is the broker's word. */
void dead_letters_keep(struct dead_letters *dead_letters, struct db *db, const struct command *command,
                       struct slice reason, db_on_result *on_done, void *arg);
