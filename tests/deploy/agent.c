// The agent with one fault: asked for FAULT it exits with CODE, or hangs if that is negative.
#include <string.h>
#include <unistd.h>

int main(int count, char **arguments)
{
    if (count > 1 && strcmp(arguments[1], FAULT) == 0) {
        while (CODE < 0)
            pause();
        return CODE;
    }
    arguments[0] = "/opt/linkbeat";
    execv(arguments[0], arguments);
    return 127;
}
