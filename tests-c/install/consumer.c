/* The smallest program that builds against an installed libmos: it uses each
 * header and links a function of each, without a trace or a configuration. */
#include <mos_api.h>
#include <mos_ext.h>
#include <mtcp_util.h>

#include <stdio.h>

int main(void)
{
    struct mtcp_conf conf;
    const char *version = mos_version();
    int core = GetRSSCPUCore(htonl(0xc0000201), htonl(0xc6336450), htons(40000), htons(80), 4);

    printf("libmos %s, core %d\n", version, core);
    if (core < 0 || core > 3 || version == NULL || version[0] == '\0')
        return 1;
    if (XXH32("", 0, 0) != 0x02cc5d05)
        return 1;
    if (EventToString(MOS_EPOLLIN) == NULL)
        return 1;
    /* Before mtcp_init() there is a configuration to read, or an error: no crash. */
    mtcp_getconf(&conf);
    return 0;
}
