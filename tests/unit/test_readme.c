/* test_readme.c - the README names every setting, with its default. */
#include "shared/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *
read_whole(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = calloc(1, 1 << 20);

	assert_non_null(f);
	assert_non_null(text);
	assert_true(fread(text, 1, (1 << 20) - 1, f) > 0);
	fclose(f);
	return text;
}

static void
test_every_setting_stands_in_the_readme(void **state)
{
	char *readme = read_whole("README.md");
	size_t n;
	const struct setting_def *t = settings_table(&n);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		char row[400];

		snprintf(row, sizeof row, "| `%s` | %s%s%s | %s |", t[i].name,
		    *t[i].fallback ? "`" : "", t[i].fallback,
		    *t[i].fallback ? "`" : "", t[i].help);
		if (!strstr(readme, row))
			fail_msg("README.md lacks the row:\n%s", row);
	}
	free(readme);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_setting_stands_in_the_readme),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
