/* The file of a shared breaker: where it lies, how it comes to be, how it goes.
 *
 * A name "/orders" is the file herdgate.orders in the shared-memory file system. It appears complete
 * or not at all, and a name goes only from a segment that was retired before.
 */
#ifndef HERDGATE_BREAKER_SHM_FILE_H
#define HERDGATE_BREAKER_SHM_FILE_H

#include <stdint.h>

#include <herdgate/breaker.h>

struct hgi_segment;

#define HGI_SHM_DIRECTORY "/dev/shm"

enum {
    HGI_SHARED_NAME_SIZE = 64, /* with the slash and the terminator */
    HGI_SHARED_PATH_SIZE = 192 /* of the directory and the file's name */
};

struct hgi_shm_file {
    char directory[HGI_SHARED_PATH_SIZE - HGI_SHARED_NAME_SIZE - 16];
    char name[HGI_SHARED_NAME_SIZE];
    char path[HGI_SHARED_PATH_SIZE];
};

/* Check the name and make the path. directory NULL: the system's. */
hg_status hgi_shm_init(struct hgi_shm_file *shm, const char *directory, const char *name,
                       struct hg_error *err);

/* Open the file that is there: one of this user's, with mode 0600 and a segment's size, its space
 * reserved. HG_ERR_NOT_FOUND: there is none. */
hg_status hgi_shm_attach(const struct hgi_shm_file *shm, int *fd, struct hg_error *err);

/* Make the file, whole. *fd < 0 on HG_OK: somebody else was faster; attach. */
hg_status hgi_shm_create(const struct hgi_shm_file *shm, const struct hgi_segment *content, int *fd,
                         struct hg_error *err);

/* Remove the name, if it is still that of this file, whose segment is retired. HG_ERR_TIMEOUT: somebody
 * else is at it, and was not through after patience_ns. */
hg_status hgi_shm_unlink(const struct hgi_shm_file *shm, int fd, int64_t patience_ns,
                         struct hg_error *err);

/* The number of this process's time namespace; 0: the system has none. */
uint64_t hgi_time_namespace(void);

#endif
