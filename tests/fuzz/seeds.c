/* seeds PROGRAM GOLDEN CORPUS: the golden messages as inputs of one of the message fuzzers (input.h), one for
 * each choice. */

#include <dirent.h>
#include <stdio.h>
#include <string.h>

enum { CHOICES = 9, SIZE_MAX_SEED = 65536 };

static size_t read_text(FILE *file, char *data)
{
    return fread(data, 1, SIZE_MAX_SEED, file);
}

static size_t read_hex(FILE *file, char *data)
{
    unsigned octet;
    size_t size = 0;
    while (size < SIZE_MAX_SEED && fscanf(file, " %2x", &octet) == 1)
        data[size++] = (char)octet;
    return size;
}

static const struct program {
    const char *name, *suffix;
    size_t (*read)(FILE *file, char *data);
} programs[] = {
    {"fuzz_json_to_msgpack", ".json", read_text},
    {"fuzz_msgpack_to_struct", ".hex", read_hex},
};

static int write_seeds(const char *corpus, const char *name, const char *data, size_t size)
{
    for (int choice = 0; choice < CHOICES; choice++) {
        char path[1024];
        snprintf(path, sizeof(path), "%s/%s.%d", corpus, name, choice);
        FILE *file = fopen(path, "w");
        if (!file)
            return 1;
        fputc(choice, file);
        fwrite(data, 1, size, file);
        if (fclose(file) != 0)
            return 1;
    }
    return 0;
}

static int seed_from(const struct program *program, const char *golden, const char *name, const char *corpus)
{
    static char data[SIZE_MAX_SEED];
    char path[1024];
    size_t len = strlen(name), suffix = strlen(program->suffix);
    if (len < suffix || strcmp(name + len - suffix, program->suffix) != 0)
        return 0;
    snprintf(path, sizeof(path), "%s/%s", golden, name);
    FILE *file = fopen(path, "r");
    if (!file)
        return 1;
    size_t size = program->read(file, data);
    fclose(file);
    return write_seeds(corpus, name, data, size);
}

static int seed(const struct program *program, const char *golden, const char *corpus)
{
    int failed = 0;
    DIR *folder = opendir(golden);
    if (!folder)
        return 1;
    for (struct dirent *entry; !failed && (entry = readdir(folder));)
        failed = seed_from(program, golden, entry->d_name, corpus);
    closedir(folder);
    return failed;
}

int main(int argc, char **argv)
{
    for (size_t i = 0; argc == 4 && i < sizeof(programs) / sizeof(programs[0]); i++)
        if (strcmp(argv[1], programs[i].name) == 0)
            return seed(&programs[i], argv[2], argv[3]);
    fputs("seeds PROGRAM GOLDEN CORPUS\n", stderr);
    return 2;
}
