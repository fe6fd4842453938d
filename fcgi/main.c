/* main.c - reads the settings and hands over to the supervisor. */
#include "fcgi/supervisor.h"
#include "shared/log.h"
#include "shared/settings.h"
#include "shared/version.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
print_settings(void)
{
	size_t n;
	const struct setting_def *table = settings_table(&n);

	for (size_t i = 0; i < n; i++) {
		const char *value = getenv(table[i].name);

		if (!value || *value == '\0')
			value = table[i].fallback;
		else if (table[i].secret)
			value = "(set, not shown)";
		printf("%s=%s\n    %s\n", table[i].name, value, table[i].help);
	}
}

int
main(int argc, char **argv)
{
	struct settings s;
	enum log_level level;
	char why[256] = "";

	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		printf("syncline-fcgi %s\n", SYNCLINE_VERSION);
		return 0;
	}
	if (argc == 2 && strcmp(argv[1], "--settings") == 0) {
		print_settings();
		return 0;
	}
	if (argc > 1) {
		fprintf(stderr,
		    "usage: syncline-fcgi [--settings | --version]\n"
		    "Everything else is set in the environment.\n");
		return 2;
	}
	if (settings_load(&s, why, sizeof why) != ERR_OK) {
		fprintf(stderr, "syncline-fcgi: %s\n", why);
		return 2;
	}
	if (log_level_parse(s.log_level, &level) != ERR_OK) {
		fprintf(stderr,
		    "syncline-fcgi: SYNCLINE_LOG_LEVEL takes "
		    "error, warn, info or debug\n");
		return 2;
	}
	log_setup("fcgi", level, strcmp(s.log_form, "text") != 0);
	return supervise(&s);
}
