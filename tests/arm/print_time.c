/* The control of wall_clock.c: what a library's time() says, which has the time_t of the C library. */
#undef _TIME_BITS
#undef _FILE_OFFSET_BITS
#include <stdio.h>
#include <time.h>

int main(void) {
  printf("%lld\n", (long long)time(NULL));
  return 0;
}
