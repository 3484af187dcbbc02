// The first program of the emulated machine: loads the modules that its disk and network need, gives the network card its
// address, and goes on with the disk's own init. Statically linked; /modules names the files, in order.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static void die(const char *what) {
  perror(what);
  sync();
  reboot(RB_POWER_OFF);
  _exit(1);
}

static void load_modules(void) {
  FILE *list = fopen("/modules", "r");
  char path[256];
  if (list == NULL) die("/modules");
  while (fscanf(list, "%255s", path) == 1) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    // Of several ways to compute the same some are of processors that this one is not.
    if (file < 0 || (syscall(SYS_finit_module, file, "", 0) != 0 && errno != ENODEV)) die(path);
    close(file);
  }
  fclose(list);
}

// As qemu's own network has it: 10.0.2.15, and the host is 10.0.2.2.
static void set_address(void) {
  struct ifreq request = {.ifr_name = "eth0"};
  struct sockaddr_in *address = (struct sockaddr_in *)&request.ifr_addr;
  int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  address->sin_family = AF_INET;
  inet_aton("10.0.2.15", &address->sin_addr);
  if (ioctl(control, SIOCSIFADDR, &request) != 0) die("SIOCSIFADDR");
  inet_aton("255.255.255.0", &address->sin_addr);
  if (ioctl(control, SIOCSIFNETMASK, &request) != 0) die("SIOCSIFNETMASK");
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (ioctl(control, SIOCSIFFLAGS, &request) != 0) die("SIOCSIFFLAGS");
  close(control);
}

int main(void) {
  mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
  load_modules();
  set_address();
  // Nothing is saved but what is asked for (commit=300), as in volume.py: what is there after a cut was synced.
  if (mount("/dev/vda", "/root", "ext4", 0, "commit=300") != 0) die("/dev/vda");
  if (mount("/dev", "/root/dev", NULL, MS_MOVE, NULL) != 0) die("/root/dev");
  if (chdir("/root") != 0 || mount(".", "/", NULL, MS_MOVE, NULL) != 0 || chroot(".") != 0 || chdir("/") != 0) die("/root");
  execl("/sbin/init", "/sbin/init", (char *)NULL);
  die("/sbin/init");
}
