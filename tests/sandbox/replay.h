/* replay.h - Amazon's published examples, served as they are. */
#ifndef SANDBOX_REPLAY_H
#define SANDBOX_REPLAY_H

struct replay;

/* replay_open reads the file; NULL: *ret_why says why (static text). */
struct replay *replay_open(const char *path, const char **ret_why);
void replay_close(struct replay *r);

#endif
