/*
 * echo.c - the least a FastCGI program can do, in the handlers' layout.
 *
 * The same processes, threads and socket as syncline-fcgi, by the same
 * settings, and an answer of the size of a status: what libfcgi behind nginx
 * gives at most on this machine.
 */
#include <fcgiapp.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char answer[] =
    "Status: 200\r\nContent-Type: application/json\r\n\r\n"
    "{\"success\":true,\"status\":\"idle\",\"padding\":\""
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}";

static void *
serve(void *arg)
{
	FCGX_Request rq;

	FCGX_InitRequest(&rq, *(int *)arg, 0);
	while (FCGX_Accept_r(&rq) == 0) {
		char body[4096];

		while (FCGX_GetStr(body, sizeof body, rq.in) > 0)
			;
		FCGX_PutStr(answer, sizeof answer - 1, rq.out);
		FCGX_Finish_r(&rq);
	}
	return NULL;
}

static int
setting(const char *name, int fallback)
{
	const char *text = getenv(name);

	return text && *text != '\0' ? atoi(text) : fallback;
}

static void
child(int fd, int threads)
{
	pthread_t t;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	FCGX_Init();
	for (int i = 1; i < threads; i++)
		pthread_create(&t, NULL, serve, &fd);
	serve(&fd);
	_exit(0);
}

int
main(void)
{
	const char *path = getenv("SYNCLINE_FCGI_SOCKET");
	int fd;

	if (!path)
		return 2;
	FCGX_Init();
	fd = FCGX_OpenSocket(path, 1024);
	if (fd < 0)
		return 1;
	chmod(path, 0666);
	for (int i = 0; i < setting("SYNCLINE_FCGI_PROCESSES", 2); i++) {
		if (fork() == 0)
			child(fd, setting("SYNCLINE_FCGI_THREADS", 32));
	}
	while (wait(NULL) > 0)
		;
	return 0;
}
