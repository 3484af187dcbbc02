// meter.h as a C11 program uses it.
#include "tests/source/libmeter_c.h"

#include <meter.h>
#include <stddef.h>

int count_in_c(const char* directory, const char* event, const char* subscription, unsigned long units) {
  meter_t* meter = meter_open(directory);
  if (meter == NULL) return -1;
  meter_counter_t* counter = meter_counter(meter, event, subscription);
  if (counter != NULL) meter_add(counter, units);
  meter_close(meter);
  return counter != NULL ? 0 : -1;
}
