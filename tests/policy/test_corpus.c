/* The parser against the corpus: every good file is a policy, every bad one fails where and for the
 * reason that stands beside it. */
#include <criterion/criterion.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "breaker/options.h"
#include "policy/examine.h"
#include "policy/settings.h"

enum { PATH_SIZE = 512, TEXT_SIZE = 4096, LEAST_FILES = 20 };

typedef void (*file_fn)(const char *path);

/* Call `check` with every file of the folder that ends with ".json". */
static void for_each(const char *folder, file_fn check)
{
    char path[PATH_SIZE];
    unsigned count = 0;
    snprintf(path, sizeof path, "%s/%s", HERDGATE_CORPUS, folder);
    DIR *directory = opendir(path);
    cr_assert_not_null(directory, "%s", path);
    for (struct dirent *each = readdir(directory); each; each = readdir(directory)) {
        const char *dot = strrchr(each->d_name, '.');
        if (!dot || strcmp(dot, ".json") != 0)
            continue;
        snprintf(path, sizeof path, "%s/%s/%s", HERDGATE_CORPUS, folder, each->d_name);
        check(path);
        count++;
    }
    closedir(directory);
    cr_assert_geq(count, LEAST_FILES, "%s is nearly empty", folder);
}

static void is_good(const char *path)
{
    struct hg_error err = HG_ERROR_INIT;
    hg_policy *policy;
    cr_expect_eq(hg_policy_load(&policy, path, &err), HG_OK, "%s", err.message);
    if (!policy)
        return;
    /* A limit of the file that is wider than the breaker's own shows only when a pool opens. */
    struct hg_breaker_options breaker;
    cr_expect_eq(hgi_options_read(&breaker, &policy->settings.breaker, &err), HG_OK, "%s: %s", path,
                 err.message);
    hg_policy_drop(policy);
}

/* The rest of the line that begins with `key`, or NULL. */
static const char *line_of(char *out, size_t size, const char *text, const char *key)
{
    size_t length = strlen(key);
    while (text && strncmp(text, key, length) != 0) {
        text = strchr(text, '\n');
        text = text ? text + 1 : NULL;
    }
    if (!text)
        return NULL;
    snprintf(out, size, "%.*s", (int)strcspn(text + length, "\n"), text + length);
    return out;
}

/* "NAME:LINE:COLUMN: POINTER: " as the expectation has it; a long pointer is shown by its tail. */
static void expect_place(const char *message, const char *path, const char *at, const char *pointer)
{
    char place[PATH_SIZE * 2];
    const char *shown = strstr(message, strrchr(path, '/'));
    cr_expect_not_null(shown, "%s: not named in: %s", path, message);
    snprintf(place, sizeof place, "%s:%s: %s%s", strrchr(path, '/'), at, pointer,
             *pointer ? ": " : "");
    cr_expect(shown && strncmp(shown, place, strlen(place)) == 0, "%s: expected \"%s\" in: %s",
              path, place, message);
}

/* The parts of the message, read apart, are those that it is made of. */
static void expect_parts(const char *path, const char *message)
{
    static char text[2 << 20];
    char line[PATH_SIZE * 2];
    hg_policy *policy;
    struct hgi_examination examination = { .without_secrets = false };
    const struct hgi_mistake *mistake = &examination.mistake;
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file);
    size_t length = fread(text, 1, sizeof text, file);
    fclose(file);
    cr_expect_eq(hgi_policy_examine(&policy, text, length, path, &examination, NULL),
                 HG_ERR_VALIDATION, "%s", path);
    snprintf(line, sizeof line, "%s:%zu:%zu: %s%s%s", strrchr(path, '/'), mistake->line,
             mistake->column, mistake->pointer, *mistake->pointer ? ": " : "", mistake->what);
    const char *shown = strstr(message, strrchr(path, '/'));
    cr_expect(shown && strncmp(line, shown, strlen(shown)) == 0, "%s: %s is not %s", path, line,
              message);
}

static void is_bad(const char *path)
{
    char beside[PATH_SIZE];
    char text[TEXT_SIZE];
    char at[32];
    char pointer[PATH_SIZE];
    char says[PATH_SIZE];
    struct hg_error err = HG_ERROR_INIT;
    hg_policy *policy;
    snprintf(beside, sizeof beside, "%.*s.expect", (int)(strlen(path) - strlen(".json")), path);
    FILE *file = fopen(beside, "r");
    cr_assert_not_null(file, "%s is missing", beside);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    cr_assert(line_of(at, sizeof at, text, "at ") &&
                  line_of(pointer, sizeof pointer, text, "pointer ") &&
                  line_of(says, sizeof says, text, "says "),
              "%s lacks a line", beside);
    cr_expect_eq(hg_policy_load(&policy, path, &err), HG_ERR_VALIDATION, "%s is accepted", path);
    cr_expect_null(policy);
    hg_policy_drop(policy);
    expect_place(err.message, path, at, pointer);
    cr_expect_not_null(strstr(err.message, says), "%s: expected \"%s\" in: %s", path, says,
                       err.message);
    cr_expect_null(strchr(err.message, '\n'), "%s: more than one line", path);
    expect_parts(path, err.message);
}

static void set_environment(void)
{
    setenv("HERDGATE_CORPUS_PASSWORD", "open sesame", 1);
    unsetenv("HERDGATE_NO_SUCH_VARIABLE");
}

TestSuite(policy_corpus, .init = set_environment);

Test(policy_corpus, every_good_file_is_a_policy_that_the_breaker_accepts)
{
    for_each("good", is_good);
}

Test(policy_corpus, every_bad_file_fails_where_and_for_the_reason_beside_it)
{
    for_each("bad", is_bad);
}

Test(policy_corpus, what_is_read_without_secrets_needs_none)
{
    static const char *const texts[] = {
        "{\"server\":{\"password_env\":\"HERDGATE_NO_SUCH_VARIABLE\"}}",
        "{\"server\":{\"password_file\":\"/no/such/file\"}}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct hgi_examination examination = { .without_secrets = true };
        hg_policy *policy;
        cr_expect_eq(
            hgi_policy_examine(&policy, texts[i], strlen(texts[i]), "x", &examination, NULL),
            HG_OK);
        cr_expect_eq(examination.mistake.line, 0);
        hg_policy_drop(policy);
        examination.without_secrets = false;
        cr_expect_eq(
            hgi_policy_examine(&policy, texts[i], strlen(texts[i]), "x", &examination, NULL),
            HG_ERR_VALIDATION);
        cr_expect_eq(examination.mistake.line, 1);
    }
}
