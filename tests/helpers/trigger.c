/* Requests a heartbeat for each line of standard input.
 *
 * linkbeat greets every helper on its Unix socket with a line that carries an eventfd. From then on,
 * each write of 8 bytes to the eventfd is a trigger, as long as the connection is open. There is no
 * answer to wait for. When the agent ends, the connection ends too, and the helper connects again
 * to get a new eventfd.
 */
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct helper {
    int agent;   /* the connection; the eventfd works as long as it is open */
    int eventfd;
};

/* Connects to the agent and receives an eventfd; returns 0, or -1 after an error. */
static int connect_agent(struct helper *helper, const char *path)
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
    int agent = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (agent < 0)
        return -1;
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(address.sun_path, path);
    if (connect(agent, (struct sockaddr *)&address, sizeof address) < 0)
        return -1;
    if (recvmsg(agent, &message, MSG_CMSG_CLOEXEC) < 0)
        return -1;
    header = CMSG_FIRSTHDR(&message);
    if (header == NULL || header->cmsg_type != SCM_RIGHTS) {
        errno = EBUSY; /* sixteen helpers have an eventfd already */
        return -1;
    }
    helper->agent = agent;
    memcpy(&helper->eventfd, CMSG_DATA(header), sizeof helper->eventfd);
    return 0;
}

/* Whether the agent has closed the connection: it sends nothing after its greeting. */
static int has_gone(const struct helper *helper)
{
    struct pollfd agent = { .fd = helper->agent, .events = POLLIN };

    return poll(&agent, 1, 0) != 0;
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "/run/linkbeat/trigger.sock";
    const uint64_t one = 1;
    struct helper helper;
    char line[256];

    if (connect_agent(&helper, path) < 0) {
        perror(path);
        return 1;
    }
    while (fgets(line, sizeof line, stdin) != NULL) {
        if (has_gone(&helper)) {
            close(helper.agent);
            close(helper.eventfd);
            if (connect_agent(&helper, path) < 0) {
                perror(path);
                return 1;
            }
        }
        if (write(helper.eventfd, &one, sizeof one) != sizeof one)
            return 1;
    }
    return 0;
}
