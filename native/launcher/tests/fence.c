// In the place of a lister: what a helper meets that has no filter of its own yet. "WHAT ERRNO" in lines, 0 where it succeeded, to the one
// connection of its listener. No file but /dev/null has a name in its root, so these alone can tell its fence from its other walls.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

enum { LISTENER = 3, FIRST_LAYER = 4 };

static int outcome(int result) { return result < 0 ? errno : 0; }

int main(void) {
  int channel = accept(LISTENER, 0, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(7007), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  struct termios terminal;
  char byte;
  int null = open("/dev/null", O_RDWR);
  dprintf(channel, "null %d\n", outcome(null));
  dprintf(channel, "layer %d\n", outcome(pread(FIRST_LAYER, &byte, 1, 0)));
  dprintf(channel, "device %d\n", outcome(ioctl(null, TCGETS, &terminal)));
  dprintf(channel, "listen %d\n", outcome(bind(socket(AF_INET, SOCK_STREAM, 0), (void *)&address, sizeof address)));
  dprintf(channel, "connect %d\n", outcome(connect(socket(AF_INET, SOCK_STREAM, 0), (void *)&address, sizeof address)));
  return 0;
}
