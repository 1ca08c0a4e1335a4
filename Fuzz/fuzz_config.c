/* Any bytes as a configuration file; what follows a byte of value 1 is the
 * environment's MOS_NETDEV. What is accepted can be read back and set again. */
#include <string.h>

#include "check.h"
#include "run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *mark = size ? memchr(data, 1, size) : NULL;
    struct mtcp_conf conf, again;
    char *devices = NULL;
    int i, word;

    unsetenv("MOS_NETDEV");
    if (mark) {
        devices = strndup((const char *)mark + 1, (size_t)(data + size - mark - 1));
        setenv("MOS_NETDEV", devices, 1);
        free(devices);
        size = (size_t)(mark - data);
    }
    run_config_write((const char *)data, size);
    if (mtcp_init(run_config_path()) != 0)
        return 0;
    memset(&conf, 0xff, sizeof conf);
    CHECK(mtcp_getconf(&conf) == 0, "mtcp_getconf");
    CHECK(conf.num_cores >= 1 && conf.num_cores == __builtin_popcountll(conf.cpu_mask), "%d cores, mask %llx",
          conf.num_cores, (unsigned long long)conf.cpu_mask);
    CHECK(conf.max_concurrency > 0 && conf.rcvbuf_size > 0 && conf.sndbuf_size > 0, "a size of nothing");
    CHECK(conf.num_app >= 0 && conf.num_app <= MOS_APP, "%d applications", conf.num_app);
    for (i = 0; i < conf.num_app; i++) {
        CHECK(conf.app_argc[i] >= 0 && conf.app_argc[i] <= MOS_APP_ARGC, "%d words", conf.app_argc[i]);
        for (word = 0; word < conf.app_argc[i]; word++)
            CHECK(strlen(conf.app_argv[i][word]) <= 8192, "a long word");
    }
    CHECK(mtcp_setconf(&conf) == 0, "what was read is refused");
    memset(&again, 0xff, sizeof again);
    CHECK(mtcp_getconf(&again) == 0 && memcmp(&conf, &again, sizeof conf) == 0, "it reads otherwise now");
    CHECK(mtcp_destroy() == 0, "mtcp_destroy");
    return 0;
}
