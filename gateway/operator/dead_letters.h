#pragma once
/* Dead letters, for operators: list and show them, replay or drop one or many. */

#include "gateway/http/call.h"

void read_dead_letters(struct call *call);
void read_dead_letter(struct call *call);
void dead_letter_replay(struct call *call);
void dead_letter_drop(struct call *call);
void dead_letters_replay(struct call *call);
void dead_letters_drop(struct call *call);
