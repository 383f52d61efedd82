// First program of a guest that has been taken over: speaks the agent's protocol (proto/agent.proto) until it is to execute something, and
// then does to its host what the first argument says.
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef unsigned char byte;
static int channel = -1;
static char block[1 << 20];

static void say(const void *data, size_t length) {
  for (const char *at = data; length > 0;) {
    ssize_t count = write(channel, at, length);
    if (count > 0) at += count, length -= count;
    else usleep(1000);
  }
}

static void frame(const void *message, byte length) {
  byte header[] = {0, 0, 0, length};
  say(header, 4);
  say(message, length);
}

#define FRAME(...) ({ const byte message[] = {__VA_ARGS__}; frame(message, sizeof message); })
#define HELLO FRAME(0x0a, 5, 0x08, 1, 0x12, 1, '0')
#define READY FRAME(0x3a, 0)
#define STARTED FRAME(0x12, 2, 0x08, 1)
#define INPUT_CREDIT FRAME(0x22, 4, 0x08, 1, 0x10, 0)
#define EXITED FRAME(0x2a, 4, 0x08, 1, 0x10, 0)

static void hear(void *data, size_t length) {
  for (char *at = data; length > 0;) {
    ssize_t count = read(channel, at, length);
    if (count > 0) at += count, length -= count;
    else usleep(1000);
  }
}

static int by_name(const void *one, const void *other) { return strcmp(*(char *const *)one, *(char *const *)other); }

static void load_modules(void) {
  char *paths[64], path[512];
  int count = 0;
  DIR *folder = opendir("/modules");
  for (struct dirent *entry; folder && count < 64 && (entry = readdir(folder));) {
    if (entry->d_name[0] == '.') continue;
    snprintf(path, sizeof path, "/modules/%s", entry->d_name);
    paths[count++] = strdup(path);
  }
  qsort(paths, count, sizeof *paths, by_name);
  for (int i = 0; i < count; i++) syscall(SYS_finit_module, open(paths[i], O_RDONLY), "", 0);
}

static void open_channel(void) {
  while (channel < 0) {
    usleep(2000);
    DIR *ports = opendir("/sys/class/virtio-ports");
    for (struct dirent *entry; ports && channel < 0 && (entry = readdir(ports));) {
      char path[512];
      snprintf(path, sizeof path, "/dev/%s", entry->d_name);
      if (strncmp(entry->d_name, "vport", 5) == 0) channel = open(path, O_RDWR);
    }
    if (ports) closedir(ports);
  }
}

// The host may have put another file behind a disk than was there when the kernel looked.
static void look_again(char disk) {
  char path[] = "/sys/block/sd?/device/rescan";
  path[13] = disk;
  write(open(path, O_WRONLY), "1", 1);
}

// Every disk but the first, which is its own: also past what the kernel in here believes of them.
static void write_layers(void) {
  for (char disk = 'b'; disk <= 'h'; disk++) {
    char path[] = "/dev/sd?";
    path[7] = disk;
    look_again(disk);
    int descriptor = open(path, O_RDONLY), writable = 0;
    ioctl(descriptor, BLKROSET, &writable);
    close(descriptor);
    descriptor = open(path, O_RDWR | O_SYNC);
    unsigned long long everything[2] = {0, 1 << 20};
    for (off_t at = 0; at < 64 << 10; at += 4096) pwrite(descriptor, block, 4096, at);
    fsync(descriptor);
    ioctl(descriptor, BLKDISCARD, everything);
    ioctl(descriptor, BLKZEROOUT, everything);
  }
}

static void fill_scratch(void) {
  look_again('a');
  int descriptor = open("/dev/sda", O_RDWR);
  while (write(descriptor, block, sizeof block) > 0);
  fsync(descriptor);
}

// Frames of one byte of output each, in order and without end.
static void crumble(void) {
  for (unsigned long at = 0;; at++) {
    byte offset[5] = {at | 0x80, at >> 7 | 0x80, at >> 14 | 0x80, at >> 21 | 0x80, at >> 28 & 0x7f};
    FRAME(0x1a, 13, 0x08, 1, 0x10, 1, 0x18, offset[0], offset[1], offset[2], offset[3], offset[4], 0x22, 1, 'x');
  }
}

static void sysrq(const char *key) { write(open("/proc/sysrq-trigger", O_WRONLY), key, 1); }

// What a terminal would obey, and a line that looks like another's.
static void say_on_console(void) {
  const char *words = "\033]0;owned\007\033[2J{\"level\":\"error\"}\r\n";
  int console = open("/dev/console", O_WRONLY);
  for (int i = 0; i < 100; i++) write(console, words, strlen(words));
}

static void attack(const char *what) {
  if (!strcmp(what, "write-layers")) write_layers(), EXITED;
  if (!strcmp(what, "fill-scratch")) fill_scratch(), EXITED;
  if (!strcmp(what, "stranger")) FRAME(0x2a, 4, 0x08, 77, 0x10, 0);
  if (!strcmp(what, "ready-unasked")) READY;
  if (!strcmp(what, "gap")) FRAME(0x1a, 9, 0x08, 1, 0x10, 1, 0x18, 99, 0x22, 1, 'x');
  if (!strcmp(what, "garbage")) FRAME(0xff, 0xff, 0xff, 0xff);
  if (!strcmp(what, "oversize")) say("\x7f\xff\xff\xff", 4);
  if (!strcmp(what, "half")) say("\0\0\0\x64half", 8);
  if (!strcmp(what, "flood")) for (;;) INPUT_CREDIT;
  if (!strcmp(what, "crumbs")) crumble();
  if (!strcmp(what, "zeros")) for (;;) say(block, sizeof block);
  if (!strcmp(what, "spin")) for (;;);
  if (!strcmp(what, "reboot")) reboot(RB_AUTOBOOT);
  if (!strcmp(what, "halt")) reboot(RB_HALT_SYSTEM);
  if (!strcmp(what, "power-off")) reboot(RB_POWER_OFF);
  if (!strcmp(what, "console")) say_on_console(), EXITED;
  if (!strcmp(what, "panic")) sysrq("c");
  if (!strcmp(what, "sysrq")) sysrq("b");
  if (!strcmp(what, "exit")) _exit(0);
  if (!strcmp(what, "memory")) for (;;) memset(malloc(sizeof block), 1, sizeof block);
  for (;;) pause();
}

// Of Exec's fields only args (2), a string of less than 128 bytes, comes so early.
static void execute(const byte *exec, int length) {
  char what[128] = "";
  for (int at = 0; at + 2 < length; at += 2 + (exec[at] == 0x12 ? exec[at + 1] : 0))
    if (exec[at] == 0x12) {
      memcpy(what, exec + at + 2, exec[at + 1]);
      break;
    }
  STARTED;
  attack(what);
}

int main(void) {
  mount("dev", "/dev", "devtmpfs", 0, 0);
  mount("proc", "/proc", "proc", 0, 0);
  mount("sys", "/sys", "sysfs", 0, 0);
  memset(block, 0, sizeof block);
  load_modules();
  open_channel();
  HELLO;
  for (;;) {
    byte header[4];
    hear(header, 4);
    int length = header[1] << 16 | header[2] << 8 | header[3];
    hear(block, length);
    byte kind = block[0];
    int start = 2;
    while (start <= length && (byte)block[start - 1] & 0x80) start++;
    if (kind == 0x0a || kind == 0x32 || kind == 0x3a) READY;
    if (kind == 0x12) execute((byte *)block + start, length - start);
  }
}
