/* Which version was loaded. */
#include <herdgate/version.h>

const char *hg_version(void)
{
    return HG_VERSION;
}

int hg_version_number(void)
{
    return HG_VERSION_NUMBER;
}
