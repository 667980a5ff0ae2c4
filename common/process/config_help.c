#include "common/process/config.h"

#include <inttypes.h>

/* A row of config.def as people read it: a setting, or the heading of those that follow. */
static const struct row {
    const char *heading; /* NULL: a setting */
    const char *name, *type, *fallback;
    int64_t minimum, maximum;
    const char *text;
} rows[] = {
#define CONFIG_GROUP(title) {.heading = (title)},
#define CONFIG(field, type_, name_, fallback_, minimum_, maximum_, text_) \
    {.name = (name_),                                                     \
     .type = #type_,                                                      \
     .fallback = (fallback_),                                             \
     .minimum = (minimum_),                                               \
     .maximum = (maximum_),                                               \
     .text = (text_)},
#include "common/process/config.def"
};

static const struct renamed {
    const char *old_name, *name;
} renamed[] = {
#define CONFIG_RENAMED(old_name_, name_) {.old_name = (old_name_), .name = (name_)},
#include "common/process/config.def"
};

static const char *old_name_of(const struct row *row)
{
    for (size_t i = 0; i < ARRAY_LEN(renamed); i++)
        if (strcmp(renamed[i].name, row->name) == 0)
            return renamed[i].old_name;
    return NULL;
}

static bool is_type(const struct row *row, const char *type)
{
    return strcmp(row->type, type) == 0;
}

void config_print_help(FILE *out)
{
    for (const struct row *row = rows; row < rows + ARRAY_LEN(rows); row++) {
        if (row->heading) {
            fprintf(out, "%s%s\n", row == rows ? "" : "\n", row->heading);
            continue;
        }
        const char *fallback = is_type(row, "SECRET") ? "-" : *row->fallback ? row->fallback : "\"\"";
        const char *old_name = old_name_of(row);
        fprintf(out, "%-30s %-14s %s", row->name, fallback, row->text);
        if (old_name)
            fprintf(out, " Old name: %s.", old_name);
        fputc('\n', out);
    }
}

static void print_kind(const struct row *row, FILE *out)
{
    if (is_type(row, "STRING"))
        fputs("text", out);
    else if (is_type(row, "SECRET"))
        fputs("text, never shown", out);
    else
        fprintf(out, "%s, %" PRId64 " to %" PRId64,
                is_type(row, "BYTES") ? "bytes"
                : is_type(row, "MS")  ? "milliseconds"
                                      : "number",
                row->minimum, row->maximum);
}

/* A table cell ends at a bar, and Markdown reads an asterisk as emphasis. */
static void print_cell(const char *text, FILE *out)
{
    for (; *text; text++) {
        if (*text == '|' || *text == '*')
            fputc('\\', out);
        fputc(*text, out);
    }
}

static void print_row(const struct row *row, FILE *out)
{
    const char *old_name = old_name_of(row);
    fprintf(out, "| `%s` | ", row->name);
    if (*row->fallback)
        fprintf(out, "`%s`", row->fallback);
    fputs(" | ", out);
    print_kind(row, out);
    fputs(" | ", out);
    print_cell(row->text, out);
    if (old_name)
        fprintf(out, " Old name: `%s`.", old_name);
    fputs(" |\n", out);
}

void config_print_page(FILE *out)
{
    fputs("<!-- Written by ./cortex settings from common/process/config.def: edit that file instead. -->\n\n"
          "# Settings\n\n"
          "A setting comes from the environment, or from a file of `NAME=value` lines that `CORTEX_CONFIG` "
          "names;\n"
          "the environment wins. Numbers of bytes take the suffixes `k`, `m` and `g` (binary multiples). A "
          "process\n"
          "that finds a value it cannot use names it and does not start. An old name keeps working, and the\n"
          "process logs a warning when it starts.\n",
          out);
    for (const struct row *row = rows; row < rows + ARRAY_LEN(rows); row++)
        if (row->heading)
            fprintf(out, "\n## %s\n\n| setting | default | kind | what it is |\n| --- | --- | --- | --- |\n",
                    row->heading);
        else
            print_row(row, out);
}
