/* Durations: any text is read or refused with an explanation; what is read is written and read back as
 * the same; and so is every number. */
#include "policy/duration.h"
#include "tests/fuzz/property.h"

static int64_t read_back(int64_t duration_ns)
{
    char text[HGI_DURATION_SIZE];
    char again[HGI_DURATION_SIZE];
    char why[120];
    int64_t read_ns = -1;
    PROPERTY(hgi_duration_format(text, duration_ns) == text);
    PROPERTY(memchr(text, '\0', sizeof text));
    PROPERTY(hgi_duration_parse(text, &read_ns, why, sizeof why));
    PROPERTY(strcmp(hgi_duration_format(again, read_ns), text) == 0);
    return read_ns;
}

static void read_text(const char *text)
{
    /* An explanation is cut to whatever room there is. */
    for (size_t room = 1; room <= 120; room += 17) {
        char why[120];
        int64_t value = -7;
        memset(why, '#', sizeof why);
        if (hgi_duration_parse(text, &value, why, room)) {
            PROPERTY(value >= 0);
            PROPERTY(read_back(value) == value);
        } else {
            PROPERTY(value == -7);
            PROPERTY(memchr(why, '\0', room));
            PROPERTY(room == 1 || why[0] != '\0');
            PROPERTY(room == sizeof why || why[room] == '#');
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t number;
    char *text = exact_copy(data, size, 1);
    read_text(text);
    free(text);
    if (size >= sizeof number) {
        memcpy(&number, data, sizeof number);
        PROPERTY(read_back(number) == (number > 0 ? number : 0));
    }
    return 0;
}
