/* Rings for a heartbeat at each line of standard input.
 *
 * linkbeat greets every helper on its Unix socket with a line that carries an eventfd. From then on
 * one write of 8 bytes is a trigger: no answer to wait for, nothing to keep up but the connection.
 * When the agent goes, the connection ends; connect again for a new eventfd.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Connects to the agent; returns the eventfd it hands out, or -1. */
static int connect_agent(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    char greeting[64];
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr aligned;
    } control;
    struct iovec data = { .iov_base = greeting, .iov_len = sizeof greeting };
    struct msghdr message = {
        .msg_iov = &data,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof control.bytes,
    };
    struct cmsghdr *header;
    int eventfd;
    int agent = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (agent < 0 || strlen(path) >= sizeof address.sun_path)
        return -1;
    strcpy(address.sun_path, path);
    if (connect(agent, (struct sockaddr *)&address, sizeof address) < 0)
        return -1;
    if (recvmsg(agent, &message, MSG_CMSG_CLOEXEC) < 0)
        return -1;
    header = CMSG_FIRSTHDR(&message);
    if (header == NULL || header->cmsg_type != SCM_RIGHTS)
        return -1;
    memcpy(&eventfd, CMSG_DATA(header), sizeof eventfd);
    return eventfd; /* the connection stays open: the eventfd lives as long */
}

int main(int argc, char **argv)
{
    const uint64_t one = 1;
    char line[256];
    int eventfd = connect_agent(argc > 1 ? argv[1] : "/run/linkbeat/trigger.sock");

    if (eventfd < 0) {
        perror("linkbeat");
        return 1;
    }
    while (fgets(line, sizeof line, stdin) != NULL)
        if (write(eventfd, &one, sizeof one) != sizeof one)
            return 1;
    return 0;
}
