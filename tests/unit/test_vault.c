/* test_vault.c - what is sealed opens with its key, in its context, whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "shared/log.h"
#include "shared/vault.h"

#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEY_HEX_A                                                              \
	"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define KEY_A "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define KEY_B "QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8="
#define KEY_URL "__79_Pv6-fj39vX08_Lx8O_u7ezr6uno5-bl5OPi4eA"
#define ZEROS "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

static char dir[64], key_path[128];

static const struct vault_context ctx = {
	.user = "user-1",
	.connection = "connection-1",
	.field = "refresh_token",
};

static const char secret[] = "Atzr|a-refresh-token";

static void
key_file(const void *bytes, size_t len, mode_t mode)
{
	FILE *f;

	unlink(key_path);
	f = fopen(key_path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(key_path, mode), 0);
}

static struct vault *
vault_with(const char *text)
{
	struct vault *v = NULL;
	char why[256];

	key_file(text, strlen(text), 0600);
	if (vault_open(key_path, &v, why, sizeof why))
		fail_msg("%s: %s", text, why);
	return v;
}

static void
seal(const struct vault *v, struct vault_bytes *ret)
{
	assert_int_equal(
	    vault_seal(v, &ctx, secret, strlen(secret), ret), ERR_OK);
}

static bool
opens(const struct vault *v, const struct vault_context *c,
    const struct vault_bytes *sealed)
{
	CLEANUP(vault_bytes_wipe) struct vault_bytes plain = { 0 };
	enum err err = vault_unseal(v, c, sealed->data, sealed->len, &plain);

	if (err) {
		assert_int_equal(err, ERR_CRYPTO);
		assert_null(plain.data);
		return false;
	}
	assert_int_equal(plain.len, strlen(secret));
	assert_string_equal((char *)plain.data, secret);
	return true;
}

static int
world_up(void **state)
{
	(void)state;
	log_setup("test_vault", LOG_WARN, false);
	assert_true(sodium_init() >= 0);
	snprintf(dir, sizeof dir, "/tmp/test_vault.XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(key_path, sizeof key_path, "%s/key", dir);
	return 0;
}

static int
world_down(void **state)
{
	(void)state;
	unlink(key_path);
	return rmdir(dir);
}

static void
test_what_is_sealed_opens(void **state)
{
	static const size_t lens[] = { 0, 1, 15, 16, 17, 4096,
		VAULT_PLAIN_MAX };
	struct vault *v = vault_with("k1:" KEY_A "\n");
	unsigned char *plain = malloc(VAULT_PLAIN_MAX + 1);

	(void)state;
	randombytes_buf(plain, VAULT_PLAIN_MAX + 1);
	for (unsigned i = 0; i < COUNT_OF(lens); i++) {
		struct vault_bytes sealed, opened;

		assert_int_equal(
		    vault_seal(v, &ctx, plain, lens[i], &sealed), ERR_OK);
		assert_int_equal(
		    vault_unseal(v, &ctx, sealed.data, sealed.len, &opened),
		    ERR_OK);
		assert_int_equal(opened.len, lens[i]);
		assert_memory_equal(opened.data, plain, lens[i]);
		assert_int_equal(opened.data[opened.len], '\0');
		vault_bytes_wipe(&sealed);
		vault_bytes_wipe(&opened);
		assert_null(opened.data);
		assert_int_equal(opened.len, 0);
		vault_bytes_wipe(&opened); /* twice is fine */
	}
	free(plain);
	vault_close(v);
}

static void
test_the_form_is_what_the_file_says(void **state)
{
	struct vault *v = vault_with("k1:" KEY_A);
	struct vault_bytes a, b;
	size_t head = 2 + 2, nonce = 24, tag = 16;

	(void)state;
	seal(v, &a);
	seal(v, &b);
	assert_int_equal(a.len, head + nonce + strlen(secret) + tag);
	assert_memory_equal(a.data, "\x01\x02k1", head);
	assert_memory_not_equal(a.data + head, b.data + head, nonce);
	assert_memory_not_equal(
	    a.data + head + nonce, b.data + head + nonce, strlen(secret));
	assert_null(memmem(a.data, a.len, secret, 8));
	vault_bytes_wipe(&a);
	vault_bytes_wipe(&b);
	vault_close(v);
}

/* Sealed by an implementation of its own: what is stored must stay readable. */
static void
test_bytes_of_another_implementation_open(void **state)
{
	static const char kept[] =
	    "01026b31"
	    "606162636465666768696a6b6c6d6e6f7071727374757677"
	    "f4adcb542a69795a46718f4a72182eca5d95fe42"
	    "be8d8793ae74e8f101cd5fe112029c46";
	struct vault *v = vault_with("k1:" KEY_A);
	unsigned char bytes[128];
	struct vault_bytes sealed = { .data = bytes };

	(void)state;
	assert_int_equal(sodium_hex2bin(bytes, sizeof bytes, kept, strlen(kept),
			     NULL, &sealed.len, NULL),
	    0);
	assert_true(opens(v, &ctx, &sealed));
	vault_close(v);
}

static void
test_another_context_does_not_open(void **state)
{
	static const struct vault_context others[] = {
		{ "user-2", "connection-1", "refresh_token" },
		{ "user-1", "connection-2", "refresh_token" },
		{ "user-1", "connection-1", "access_token" },
		{ "connection-1", "user-1", "refresh_token" },
		/* the same letters, cut elsewhere */
		{ "user-1connection-1", "r", "efresh_token" },
		{ "user-", "1connection-1", "refresh_token" },
		{ "user-1", "connection-1refresh", "_token" },
		{ "USER-1", "connection-1", "refresh_token" },
		{ "user-1 ", "connection-1", "refresh_token" },
	};
	struct vault *v = vault_with(KEY_A);
	struct vault_bytes sealed;

	(void)state;
	seal(v, &sealed);
	assert_true(opens(v, &ctx, &sealed));
	for (unsigned i = 0; i < COUNT_OF(others); i++)
		assert_false(opens(v, &others[i], &sealed));
	vault_bytes_wipe(&sealed);
	vault_close(v);
}

static void
test_a_context_must_be_whole(void **state)
{
	char longest[VAULT_CONTEXT_MAX + 2];
	const struct vault_context bad[] = {
		{ NULL, "c", "f" },
		{ "u", NULL, "f" },
		{ "u", "c", NULL },
		{ "", "c", "f" },
		{ "u", "", "f" },
		{ "u", "c", "" },
		{ longest, "c", "f" },
		{ "u", longest, "f" },
		{ "u", "c", longest },
	};
	const struct vault_context good = { longest + 1, longest + 1,
		longest + 1 };
	struct vault *v = vault_with(KEY_A);
	struct vault_bytes sealed, out = { 0 };

	(void)state;
	memset(longest, 'x', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	assert_int_equal(vault_seal(v, &good, "x", 1, &sealed), ERR_OK);
	for (unsigned i = 0; i < COUNT_OF(bad); i++) {
		assert_int_equal(
		    vault_seal(v, &bad[i], "x", 1, &out), ERR_INVAL);
		assert_int_equal(
		    vault_unseal(v, &bad[i], sealed.data, sealed.len, &out),
		    ERR_INVAL);
	}
	assert_null(out.data);
	vault_bytes_wipe(&sealed);
	vault_close(v);
}

static void
test_every_byte_and_every_length_counts(void **state)
{
	struct vault *v = vault_with("k1:" KEY_A "\nk2:" KEY_B);
	struct vault_bytes sealed, cut;

	(void)state;
	seal(v, &sealed);
	for (size_t i = 0; i < sealed.len; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			sealed.data[i] ^= (unsigned char)(1u << bit);
			assert_false(opens(v, &ctx, &sealed));
			sealed.data[i] ^= (unsigned char)(1u << bit);
		}
	}
	for (size_t len = 0; len < sealed.len; len++) {
		/* a copy of that very size, so that a sanitizer sees more */
		cut.data = malloc(len ? len : 1);
		cut.len = len;
		memcpy(cut.data, sealed.data, len);
		assert_false(opens(v, &ctx, &cut));
		vault_bytes_wipe(&cut);
	}
	cut.data = calloc(1, sealed.len + 1);
	cut.len = sealed.len + 1;
	memcpy(cut.data, sealed.data, sealed.len);
	assert_false(opens(v, &ctx, &cut));
	vault_bytes_wipe(&cut);
	assert_true(opens(v, &ctx, &sealed));
	vault_bytes_wipe(&sealed);
	vault_close(v);
}

static void
test_too_much_is_refused(void **state)
{
	struct vault *v = vault_with(KEY_A);
	unsigned char *plain = calloc(1, VAULT_PLAIN_MAX + 1);
	struct vault_bytes out = { 0 };

	(void)state;
	assert_int_equal(vault_seal(v, &ctx, plain, VAULT_PLAIN_MAX + 1, &out),
	    ERR_TOO_LARGE);
	assert_null(out.data);
	free(plain);
	vault_close(v);
}

static void
test_another_key_does_not_open(void **state)
{
	struct vault *a = vault_with("1:" KEY_A), *b = vault_with("1:" KEY_B);
	struct vault *c = vault_with("2:" KEY_A);
	struct vault_bytes sealed;

	(void)state;
	seal(a, &sealed);
	assert_true(opens(a, &ctx, &sealed));
	assert_false(opens(b, &ctx, &sealed)); /* the same id */
	assert_false(opens(c, &ctx, &sealed)); /* the same key */
	vault_bytes_wipe(&sealed);
	vault_close(a);
	vault_close(b);
	vault_close(c);
}

static void
test_keys_rotate(void **state)
{
	struct vault *old = vault_with(KEY_A);
	struct vault *both =
	    vault_with("# made in May\n\n2:" KEY_B "\r\n  1:" KEY_A "  \n");
	struct vault *new = vault_with("2:" KEY_B);
	struct vault_bytes before, after;
	char id[VAULT_ID_MAX + 1];

	(void)state;
	seal(old, &before);
	seal(both, &after);
	assert_int_equal(vault_key_id(before.data, before.len, id), ERR_OK);
	assert_string_equal(id, "1");
	assert_int_equal(vault_key_id(after.data, after.len, id), ERR_OK);
	assert_string_equal(id, "2");

	assert_true(opens(both, &ctx, &before));
	assert_true(opens(both, &ctx, &after));
	assert_true(vault_is_current(old, before.data, before.len));
	assert_false(vault_is_current(both, before.data, before.len));
	assert_true(vault_is_current(both, after.data, after.len));
	assert_false(opens(old, &ctx, &after));
	assert_false(opens(new, &ctx, &before));
	assert_true(opens(new, &ctx, &after));

	assert_int_equal(vault_key_id("x", 1, id), ERR_CRYPTO);
	assert_false(vault_is_current(both, "x", 1));
	vault_bytes_wipe(&before);
	vault_bytes_wipe(&after);
	vault_close(old);
	vault_close(both);
	vault_close(new);
}

static void
test_all_forms_of_one_key_are_one(void **state)
{
	static const char *const forms[] = { KEY_A, KEY_A "\n",
		"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", KEY_HEX_A,
		KEY_HEX_A "\n", "1:" KEY_A, "1:" KEY_HEX_A,
		"\n# the key\n1:" KEY_A "\n\n" };
	unsigned char raw[32];
	struct vault_bytes sealed;
	struct vault *v;
	char why[128];

	(void)state;
	for (unsigned i = 0; i < sizeof raw; i++)
		raw[i] = (unsigned char)i;
	key_file(raw, sizeof raw, 0400);
	assert_int_equal(vault_open(key_path, &v, why, sizeof why), ERR_OK);
	seal(v, &sealed);
	vault_close(v);
	for (unsigned i = 0; i < COUNT_OF(forms); i++) {
		v = vault_with(forms[i]);
		if (!opens(v, &ctx, &sealed))
			fail_msg("%s", forms[i]);
		vault_close(v);
	}
	vault_bytes_wipe(&sealed);
	vault_close(vault_with(KEY_URL));
}

static void
test_key_files_that_are_refused(void **state)
{
	static const struct {
		const char *text;
		const char *fragment;
	} cases[] = {
		{ "", "holds no key" },
		{ "\n\n# nothing\n", "holds no key" },
		{ "short", "line 1: not 32 bytes" },
		{ "1:" KEY_A "\n2:QUFB\n", "line 2: not 32 bytes" },
		{ "1:" KEY_A "x", "line 1: not 32 bytes" },
		{ "1:" KEY_A " " KEY_B, "line 1: not 32 bytes" },
		{ "1: " KEY_A, "line 1: not 32 bytes" },
		{ KEY_HEX_A "00", "line 1: not 32 bytes" },
		/* 16 bytes in hexadecimal look like 32 raw bytes */
		{ "000102030405060708090a0b0c0d0e0f", "not 32 bytes" },
		{ ":" KEY_A, "line 1: a key's id" },
		{ "a b:" KEY_A, "line 1: a key's id" },
		{ "k\xc3\xa9:" KEY_A, "line 1: a key's id" },
		{ "123456789012345678901234567890123:" KEY_A, "a key's id" },
		{ "1:" KEY_A "\n1:" KEY_B, "line 2: two keys have one id" },
		{ KEY_A "\n2:" KEY_B, "each needs an id" },
		{ "2:" KEY_B "\n" KEY_A, "each needs an id" },
		{ "1:" ZEROS, "all zeros" },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT_OF(cases); i++) {
		struct vault *v = NULL;
		char why[256] = "";

		key_file(cases[i].text, strlen(cases[i].text), 0600);
		assert_int_equal(
		    vault_open(key_path, &v, why, sizeof why), ERR_INVAL);
		if (!strstr(why, cases[i].fragment))
			fail_msg("%s: %s", cases[i].text, why);
		assert_null(strstr(why, "AAEC"));
		assert_null(v);
	}
}

static void
test_key_files_have_limits(void **state)
{
	char text[9000] = "";
	struct vault *v = NULL;
	char why[256];

	(void)state;
	for (unsigned i = 0; i <= VAULT_KEYS_MAX; i++)
		snprintf(text + strlen(text), 80, "k%u:" KEY_A "\n", i);
	key_file(text, strlen(text), 0600);
	assert_int_equal(vault_open(key_path, &v, why, sizeof why), ERR_INVAL);
	assert_non_null(strstr(why, "more than 16 keys"));

	memset(text, '#', sizeof text);
	key_file(text, sizeof text, 0600);
	assert_int_equal(vault_open(key_path, &v, why, sizeof why), ERR_INVAL);
	assert_non_null(strstr(why, "at most"));
}

static void
test_a_key_file_is_its_owners_alone(void **state)
{
	static const mode_t modes[] = { 0640, 0604, 0610, 0601, 0620, 0644,
		0666 };

	(void)state;
	for (unsigned i = 0; i < COUNT_OF(modes); i++) {
		struct vault *v = NULL;
		char why[256] = "";

		key_file(KEY_A, strlen(KEY_A), modes[i]);
		assert_int_equal(
		    vault_open(key_path, &v, why, sizeof why), ERR_INVAL);
		assert_non_null(strstr(why, "chmod 600"));
	}
}

static void
test_no_key_file(void **state)
{
	struct vault *v = NULL;
	char why[256];

	(void)state;
	assert_int_equal(vault_open("", &v, why, sizeof why), ERR_INVAL);
	assert_string_equal(why, "SYNCLINE_VAULT_KEY_FILE is not set");
	assert_int_equal(vault_open(NULL, &v, why, sizeof why), ERR_INVAL);
	unlink(key_path);
	assert_int_equal(vault_open(key_path, &v, why, sizeof why), ERR_IO);
	assert_non_null(strstr(why, key_path));
	assert_int_equal(vault_open(dir, &v, why, sizeof why), ERR_INVAL);
	assert_int_equal(mkfifo(key_path, 0600), 0);
	assert_int_equal(vault_open(key_path, &v, why, sizeof why), ERR_INVAL);
	vault_close(NULL);
}

/* In a child: the limit holds for the whole process and for good. */
static void
test_it_works_where_memory_cannot_be_locked(void **state)
{
	pid_t pid;
	int status;

	(void)state;
	key_file(KEY_A, strlen(KEY_A), 0600);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		const struct rlimit none = { .rlim_cur = 0 };
		struct vault_bytes sealed;
		struct vault *v;
		char why[128];
		bool ok;

		/* root may lock whatever the limit says */
		ok = setrlimit(RLIMIT_MEMLOCK, &none) == 0 &&
		    (geteuid() != 0 ||
			(chown(key_path, 65534, 65534) == 0 &&
			    chmod(dir, 0711) == 0 && setuid(65534) == 0)) &&
		    vault_open(key_path, &v, why, sizeof why) == ERR_OK &&
		    vault_seal(v, &ctx, secret, strlen(secret), &sealed) ==
			ERR_OK;
		_exit(ok ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void *
seal_often(void *arg)
{
	uintptr_t bad = 0;

	for (unsigned i = 0; i < 500; i++) {
		struct vault_bytes sealed;

		seal(arg, &sealed);
		bad += !opens(arg, &ctx, &sealed);
		vault_bytes_wipe(&sealed);
	}
	return (void *)bad;
}

static void
test_threads_share_a_vault(void **state)
{
	struct vault *v = vault_with(KEY_A);
	pthread_t threads[4];

	(void)state;
	for (unsigned i = 0; i < COUNT_OF(threads); i++)
		assert_int_equal(
		    pthread_create(&threads[i], NULL, seal_often, v), 0);
	for (unsigned i = 0; i < COUNT_OF(threads); i++) {
		void *bad;

		assert_int_equal(pthread_join(threads[i], &bad), 0);
		assert_null(bad);
	}
	vault_close(v);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_sealed_opens),
		cmocka_unit_test(test_the_form_is_what_the_file_says),
		cmocka_unit_test(test_bytes_of_another_implementation_open),
		cmocka_unit_test(test_another_context_does_not_open),
		cmocka_unit_test(test_a_context_must_be_whole),
		cmocka_unit_test(test_every_byte_and_every_length_counts),
		cmocka_unit_test(test_too_much_is_refused),
		cmocka_unit_test(test_another_key_does_not_open),
		cmocka_unit_test(test_keys_rotate),
		cmocka_unit_test(test_all_forms_of_one_key_are_one),
		cmocka_unit_test(test_key_files_that_are_refused),
		cmocka_unit_test(test_key_files_have_limits),
		cmocka_unit_test(test_a_key_file_is_its_owners_alone),
		cmocka_unit_test(test_no_key_file),
		cmocka_unit_test(test_it_works_where_memory_cannot_be_locked),
		cmocka_unit_test(test_threads_share_a_vault),
	};

	return cmocka_run_group_tests(tests, world_up, world_down);
}
