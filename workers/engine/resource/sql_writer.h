#pragma once
/* Writes the text of one resource's statement word by word. Names become parameters, which are numbered in
 * the order of their first use, because PostgreSQL does not take a parameter that the text does not
 * mention. */

#include "common/base/buf.h"
#include "workers/engine/resource/resource.h"

struct sql_writer {
    struct resource_statement *statement;
    const struct msg_resource *resource;
    const struct resource_plan *plan;
    struct buf text;
    const struct msg_resource *followers[32]; /* of follow.c */
    size_t follower_count;
};

/* Writes "$3::uuid". param: PARAM_… of resource_text.h; type: the SQL type. */
void sql_write_param(struct sql_writer *w, unsigned param, const char *type);

/* Writes SQL that may hold names (resource.h): ":company" becomes "$1::uuid", or a column of `new` where each
 * of many commands has its own value; "x::text" stays as it is. */
void sql_write(struct sql_writer *w, const char *sql);

/* Writes alias."column". */
void sql_write_column(struct sql_writer *w, const char *alias, const char *column);
/* Writes "identifier". */
void sql_write_quoted(struct sql_writer *w, const char *identifier);

/* The SQL type of the value that a client gives for the field. */
const char *sql_type_of(const struct msg_field *field);
