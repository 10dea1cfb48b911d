/* Part of a herdgate-breaker that is always too late: whenever it has attached to a breaker, somebody
 * removes that. */
#include <herdgate/breaker.h>

/* The names are the linker's. NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming) */
hg_status __real_hg_breaker_attach_shared(hg_breaker **out, const char *name, struct hg_error *err);
hg_status __wrap_hg_breaker_attach_shared(hg_breaker **out, const char *name, struct hg_error *err);
hg_status __wrap_hg_breaker_attach_shared(hg_breaker **out, const char *name, struct hg_error *err)
{
    hg_status status = __real_hg_breaker_attach_shared(out, name, err);
    if (status == HG_OK)
        hg_breaker_unlink_shared(name, NULL);
    return status;
}
/* NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming) */
