#ifndef METERD_TESTS_LIBMETER_C_H
#define METERD_TESTS_LIBMETER_C_H

#ifdef __cplusplus
extern "C" {
#endif

int count_in_c(const char* directory, const char* event, const char* subscription, unsigned long units);

#ifdef __cplusplus
}
#endif

#endif
