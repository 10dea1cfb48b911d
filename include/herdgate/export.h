/* What is exported, and the attributes that public headers use. Include <herdgate/herdgate.h> instead. */
#ifndef HERDGATE_EXPORT_H
#define HERDGATE_EXPORT_H

/* Everything in the shared library is hidden but what carries HG_API. */
#if defined(__GNUC__)
#define HG_API __attribute__((visibility("default")))
#define HG_PRINTF(format_index, first_argument) \
    __attribute__((format(printf, format_index, first_argument)))
#else
#define HG_API
#define HG_PRINTF(format_index, first_argument)
#endif

/* A C++ compiler sees C linkage, and initialises a struct without naming each field. */
#ifdef __cplusplus
#define HG_BEGIN_DECLS extern "C" {
#define HG_END_DECLS }

#define HG_INIT_STRUCT(tag)        \
    ([] {                          \
        struct tag value = tag();  \
        value.size = sizeof value; \
        return value;              \
    }())
#else
#define HG_INIT_STRUCT(tag)        \
    {                              \
        .size = sizeof(struct tag) \
    }
#define HG_BEGIN_DECLS
#define HG_END_DECLS
#endif

#endif
