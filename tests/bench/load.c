/* load: HTTP requests to one server, closed loop or at a fixed rate (crowd.h).
 *
 *   load --url http://127.0.0.1:8080/v1/projects --token T --body '{"name":"Project {n}"}' --connections 64
 * --duration 10 load --url http://127.0.0.1:8080 --paths FILE --rate 1000 --json
 */

#include <err.h>
#include <inttypes.h>

#include "tests/bench/cpu_time.h"
#include "tests/bench/crowd.h"
#include "tests/bench/flags.h"

struct options {
    struct crowd_options crowd;
    const char *url, *method, *token, *body, *paths_file, *tokens_file;
    const char *headers[FLAG_LIST_MAX + 1];
    bool json;
};

static void add_request(struct crowd *crowd, const struct request_parts *parts)
{
    crowd->requests = xrealloc(crowd->requests, (crowd->request_count + 1) * sizeof(*crowd->requests));
    request_init(&crowd->requests[crowd->request_count++], parts);
}

/* A file, line by line. */
struct lines {
    FILE *file; /* NULL: there is none */
    char *line;
    size_t size;
};

static void open_lines(struct lines *lines, const char *name)
{
    if (name && !(lines->file = fopen(name, "r")))
        err(2, "%s", name);
}

static void close_lines(struct lines *lines)
{
    if (lines->file)
        fclose(lines->file);
    free(lines->line);
}

/* Without a file nothing changes. False: it has ended. */
static bool next_line(struct lines *lines, const char **text)
{
    if (!lines->file)
        return true;
    if (getline(&lines->line, &lines->size, lines->file) <= 0)
        return false;
    lines->line[strcspn(lines->line, "\r\n")] = 0;
    *text = lines->line;
    return true;
}

static void add_requests(struct crowd *crowd, const struct options *o, const char *host, const char *path)
{
    struct request_parts parts = {.method = o->method ? o->method
                                            : o->body ? "POST"
                                                      : "GET",
                                  .host = host,
                                  .path = path,
                                  .token = o->token,
                                  .headers = o->headers,
                                  .body = o->body};
    if (!o->paths_file && !o->tokens_file) {
        add_request(crowd, &parts);
        return;
    }
    struct lines paths = {0}, tokens = {0};
    open_lines(&paths, o->paths_file);
    open_lines(&tokens, o->tokens_file);
    while (next_line(&paths, &parts.path) && next_line(&tokens, &parts.token))
        add_request(crowd, &parts);
    close_lines(&paths);
    close_lines(&tokens);
    if (crowd->request_count == 0)
        errx(2, "%s: no lines", o->paths_file ? o->paths_file : o->tokens_file);
}

static void print_report(const struct crowd *crowd, bool json)
{
    if (!json) {
        printf("%.0f requests/s  ", crowd_per_second(crowd));
        histogram_print_text(&crowd->latencies, stdout);
        printf("\n");
    }
    printf("{");
    crowd_print_json(crowd, stdout);
    printf(",\"cpu_us\":%" PRId64 "}\n", cpu_time_us());
}

static void parse(int argc, char **argv, struct options *o)
{
    const struct flag flags[] = {
        {"url", "URL", "http://host:port/path", .text = &o->url},
        {"method", "METHOD", "GET, or POST with a body, unless given", .text = &o->method},
        {"token", "TOKEN", "bearer token (CORTEX_TOKEN)", .text = &o->token},
        {"header", "'NAME: V'", "a header; may be given several times", .list = o->headers},
        {"body", "TEXT", "sent as application/json", .text = &o->body},
        {"paths", "FILE", "one path a line, taken in turn, instead of the URL's", .text = &o->paths_file},
        {"tokens", "FILE", "one token a line, taken in turn; with paths, one for each",
         .text = &o->tokens_file},
        {"connections", "N", "keep-alive connections (64)", .number = &o->crowd.connections},
        {"rate", "N",
         "requests per second at fixed times; without it each connection asks again when answered",
         .number = &o->crowd.rate},
        {"requests", "N", "no more than these; without it as many as there is time for",
         .number = &o->crowd.requests},
        {"duration", "SECONDS", "what is measured (10); SIGTERM ends it, too",
         .number = &o->crowd.duration_s},
        {"warmup", "SECONDS", "before that, not counted (0)", .number = &o->crowd.warmup_s},
        {"json", NULL, "only the line of JSON", .on = &o->json},
        {.name = NULL},
    };
    flags_parse(argc, argv, flags,
                "load: HTTP requests to one server, closed loop or at a fixed rate. Percentiles are of 2xx "
                "and 3xx answers.\n"
                "{n} in path, headers and body becomes 16 characters that no other request has.");
    if (!o->url || o->crowd.connections == 0 || o->crowd.duration_s == 0)
        errx(2, "--url, --connections and --duration must say something; --help explains");
}

int main(int argc, char **argv)
{
    struct options options = {.crowd = {.connections = 64, .duration_s = 10},
                              .token = getenv("CORTEX_TOKEN")};
    parse(argc, argv, &options);
    struct sockaddr_storage address;
    socklen_t address_len;
    CLEANUP_FREE char *host = NULL;
    CLEANUP_FREE char *path = NULL;
    client_resolve(options.url, &address, &address_len, &host, &path);

    static struct crowd crowd;
    crowd.options = &options.crowd;
    crowd.loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
    add_requests(&crowd, &options, host, path);
    crowd_run(&crowd, &address, address_len);
    print_report(&crowd, options.json);
    uint64_t answered = crowd.latencies.count;
    crowd_done(&crowd);
    ev_loop_destroy(crowd.loop);
    return answered ? 0 : 1;
}
