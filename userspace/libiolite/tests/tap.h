/* SPDX-License-Identifier: MIT */
/* Test Anything Protocol: one line a check, the plan at the end. */
#ifndef TAP_H
#define TAP_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static int tap_run, tap_failed;

__attribute__((format(printf, 2, 3), unused))
static int ok(int cond, const char *fmt, ...)
{
	va_list ap;

	printf("%sok %d - ", cond ? "" : "not ", ++tap_run);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
	tap_failed += !cond;
	return cond;
}

/* Compares numbers, results above all; says what was expected and what was seen. */
#define is(seen, expected, ...) do {						\
	long long tap_seen = (long long)(seen);					\
	long long tap_expected = (long long)(expected);				\
										\
	if (!ok(tap_seen == tap_expected, __VA_ARGS__))				\
		printf("# %s:%d: %s: expected %lld, saw %lld\n", __FILE__,	\
		       __LINE__, #seen, tap_expected, tap_seen);		\
} while (0)

__attribute__((unused))
static void skip(const char *why)
{
	printf("ok %d # SKIP %s\n", ++tap_run, why);
}

/* For what has to work before anything can be tested. */
#define must(cond) do {								\
	if (!(cond)) {								\
		printf("Bail out! %s:%d: %s\n", __FILE__, __LINE__, #cond);	\
		exit(1);							\
	}									\
} while (0)

__attribute__((unused))
static int done(void)
{
	printf("1..%d\n", tap_run);
	return tap_failed != 0;
}

#endif /* TAP_H */
