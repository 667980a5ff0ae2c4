#pragma once
/* What operators see of dead letters and do with them. */

#include "gateway/http/call.h"

void read_dead_letters(struct call *call);
void read_dead_letter(struct call *call);
void dead_letter_replay(struct call *call);
void dead_letter_drop(struct call *call);
void dead_letters_replay(struct call *call);
void dead_letters_drop(struct call *call);
