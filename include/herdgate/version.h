/* The version of these headers, and of the library that was loaded.
 *
 *     if (hg_version_number() < HG_VERSION_NUMBER)
 *         fprintf(stderr, "built for herdgate %s, running %s\n", HG_VERSION, hg_version());
 */
#ifndef HERDGATE_VERSION_H
#define HERDGATE_VERSION_H

#include <herdgate/export.h>

#define HG_VERSION_MAJOR 0
#define HG_VERSION_MINOR 1
#define HG_VERSION_PATCH 0
#define HG_VERSION "0.1.0"
#define HG_VERSION_NUMBER (HG_VERSION_MAJOR * 10000 + HG_VERSION_MINOR * 100 + HG_VERSION_PATCH)

HG_BEGIN_DECLS

/* The loaded library's version as text, "0.1.0". Static storage. Any thread. Since 0.1 */
HG_API const char *hg_version(void);

/* The loaded library's version as major * 10000 + minor * 100 + patch. Any thread. Since 0.1 */
HG_API int hg_version_number(void);

HG_END_DECLS
#endif
