/* Calls through the library, as a user makes them. Its attempts are counted by its own statistics. */
#include "tools/stress/load.h"

hg_status hgi_caller_pool(struct hgi_caller *caller, const struct hgi_command *command,
                          redisReply **reply, bool *unknown)
{
    struct hg_error err = HG_ERROR_INIT;
    struct hg_call_options options = HG_CALL_OPTIONS_INIT;
    struct hgi_command mine = *command;
    hg_status status = hg_command_argv(caller->load->pool, &options, reply, &err, mine.argc,
                                       mine.argv, mine.length);
    *unknown = status != HG_OK && err.attempt > 0 && err.outcome == HG_OUTCOME_UNKNOWN;
    return status == HG_IGNORED ? HG_ERR_UNAVAILABLE : status;
}
