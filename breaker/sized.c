/* Options of any version; sized.h has the rule. No byte beyond the caller's size is read. */
#include "breaker/sized.h"

#include <string.h>

#include "breaker/error.h"

/* No struct is as large, and no size that was never set is likely to be as small. */
enum { SIZE_MOST = 4096 };

hg_status hgi_sized_read(void *full, const void *given, const struct hgi_sized *form,
                         const char *function, struct hg_error *err)
{
    size_t size;
    if (!given)
        return HG_OK;
    memcpy(&size, given, sizeof size);
    if (size < form->least || size > SIZE_MOST)
        return hgi_error_set(err, HG_ERR_VALIDATION, "%s: options.size is %zu; start from %s",
                             function, size, form->init);
    const unsigned char *bytes = given;
    for (size_t i = form->known; i < size; i++)
        if (bytes[i] != 0)
            return hgi_error_set(
                err, HG_ERR_VALIDATION,
                "%s: the options have a field, at byte %zu, that this version does "
                "not know; set it to 0 or use a newer library",
                function, i);
    memcpy(full, given, size < form->known ? size : form->known);
    memcpy(full, &form->known, sizeof form->known);
    return HG_OK;
}
