// The agent with one fault: asked for FAULT it takes PAUSE seconds and exits with CODE, or goes on if that is negative.
#include <string.h>
#include <unistd.h>

int main(int count, char **arguments)
{
    if (count > 1 && strcmp(arguments[1], FAULT) == 0) {
        sleep(PAUSE);
        if (CODE >= 0)
            return CODE;
    }
    arguments[0] = "/opt/linkbeat";
    execv(arguments[0], arguments);
    return 127;
}
