/* listen.c - binds beside the path and renames, so that nginx finds either
 * the old socket or the new one there, never none. */
#include "fcgi/listen.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 1024

static bool
somebody_listens(const struct sockaddr_un *at)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool yes;

	if (fd < 0)
		return false;
	/* EAGAIN: its queue is full, so it is there */
	yes = connect(fd, (const struct sockaddr *)at, sizeof *at) == 0 ||
	    errno == EAGAIN;
	close(fd);
	return yes;
}

static enum err
fail(enum err err, char *why, size_t size, const char *path, const char *what)
{
	snprintf(why, size, "%s: %s", path, what);
	return err;
}

enum err
listen_open(const char *path, int *ret_fd, char *why, size_t why_size)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct sockaddr_un beside = { .sun_family = AF_UNIX };
	struct stat st;
	int fd;

	if (strlen(path) == 0 || strlen(path) + 4 >= sizeof at.sun_path)
		return fail(ERR_INVAL, why, why_size, path,
		    "a socket's path has 1 to 103 bytes");
	strcpy(at.sun_path, path);
	snprintf(beside.sun_path, sizeof beside.sun_path, "%.103s.new", path);
	if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
		return fail(
		    ERR_INVAL, why, why_size, path, "it is not a socket");
	if (somebody_listens(&at))
		return fail(ERR_CONFLICT, why, why_size, path,
		    "another process listens there");
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fail(ERR_IO, why, why_size, path, strerror(errno));
	unlink(beside.sun_path);
	if (bind(fd, (const struct sockaddr *)&beside, sizeof beside) ||
	    chmod(beside.sun_path, 0660) || listen(fd, BACKLOG) ||
	    rename(beside.sun_path, path)) {
		enum err err =
		    fail(ERR_IO, why, why_size, path, strerror(errno));

		close(fd);
		return err;
	}
	*ret_fd = fd;
	return ERR_OK;
}
