// SPDX-License-Identifier: MIT
/* HTTP dates; strftime() and strptime() depend on the locale. */
#include "date.h"

#include <stdio.h>
#include <string.h>

static const char days[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
static const char months[12][4] = {
	"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"
};

void date_format(time_t when, char to[DATE_SIZE])
{
	struct tm tm;

	/* a year that the format cannot hold comes only from a file's odd mtime */
	if (!gmtime_r(&when, &tm) || tm.tm_year < -1900 || tm.tm_year > 9999 - 1900) {
		when = 0;
		gmtime_r(&when, &tm);
	}
	snprintf(to, DATE_SIZE, "%s, %02u %s %04u %02u:%02u:%02u GMT", days[tm.tm_wday],
		 (unsigned int)tm.tm_mday % 100, months[tm.tm_mon],
		 (unsigned int)(tm.tm_year + 1900) % 10000, (unsigned int)tm.tm_hour % 100,
		 (unsigned int)tm.tm_min % 100, (unsigned int)tm.tm_sec % 100);
}

static int month_number(const char *name)
{
	for (int i = 0; i < 12; i++)
		if (!strcmp(name, months[i]))
			return i;
	return -1;
}

bool date_parse(const char *s, size_t len, time_t now, time_t *when)
{
	struct tm tm = { 0 };
	char text[64], month[4];
	int end = -1;

	if (len >= sizeof(text) || memchr(s, 0, len))
		return false;
	memcpy(text, s, len);
	text[len] = 0;

	if (sscanf(text, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d GMT%n", &tm.tm_mday, month,
		   &tm.tm_year, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &end) == 6 && end > 0) {
		tm.tm_year -= 1900;
	} else if (sscanf(text, "%*9[A-Za-z], %2d-%3[A-Za-z]-%2d %2d:%2d:%2d GMT%n", &tm.tm_mday,
			  month, &tm.tm_year, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &end) == 6 &&
		   end > 0) {
		struct tm today;

		gmtime_r(&now, &today);
		tm.tm_year += today.tm_year - today.tm_year % 100;
		if (tm.tm_year > today.tm_year + 50)
			tm.tm_year -= 100;
	} else if (sscanf(text, "%*3[A-Za-z] %3[A-Za-z] %2d %2d:%2d:%2d %4d%n", month, &tm.tm_mday,
			  &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &tm.tm_year, &end) == 6 && end > 0) {
		tm.tm_year -= 1900;
	} else {
		return false;
	}
	tm.tm_mon = month_number(month);
	if (text[end] || tm.tm_mon < 0 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour < 0 ||
	    tm.tm_hour > 23 || tm.tm_min < 0 || tm.tm_min > 59 || tm.tm_sec < 0 || tm.tm_sec > 60)
		return false;
	*when = timegm(&tm);
	return true;
}
