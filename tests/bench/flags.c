#include "tests/bench/flags.h"

#include <err.h>
#include <stdio.h>
#include <string.h>

static void explain(const struct flag *flags, const char *what_it_does)
{
    printf("%s\n\n", what_it_does);
    for (const struct flag *flag = flags; flag->name; flag++)
        printf("  --%-12s %-12s %s\n", flag->name, flag->value ? flag->value : "", flag->doc);
}

static const struct flag *find(const struct flag *flags, const char *name)
{
    for (const struct flag *flag = flags; flag->name; flag++)
        if (strcmp(flag->name, name) == 0)
            return flag;
    errx(2, "--%s is not known; --help lists what is", name);
}

static int64_t parse_number(const struct flag *flag, const char *text)
{
    char *end;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end || value < 0 || value > 1000000000)
        errx(2, "--%s %s: not a number that makes sense here", flag->name, text);
    return value;
}

static void add(const struct flag *flag, const char *value)
{
    size_t count = 0;
    while (flag->list[count])
        count++;
    if (count == FLAG_LIST_MAX)
        errx(2, "--%s more than %d times", flag->name, FLAG_LIST_MAX);
    flag->list[count] = value;
}

static void set(const struct flag *flag, const char *value)
{
    if (flag->text)
        *flag->text = value;
    else if (flag->number)
        *flag->number = parse_number(flag, value);
    else
        add(flag, value);
}

void flags_parse(int argc, char **argv, const struct flag *flags, const char *what_it_does)
{
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--", 2) != 0)
            errx(2, "%s: not a flag; --help lists them", argv[i]);
        if (strcmp(argv[i], "--help") == 0) {
            explain(flags, what_it_does);
            exit(0);
        }
        const struct flag *flag = find(flags, argv[i] + 2);
        if (flag->on) {
            *flag->on = true;
            continue;
        }
        if (++i == argc)
            errx(2, "--%s needs a value", flag->name);
        set(flag, argv[i]);
    }
}
