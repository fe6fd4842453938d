/* track.c - takes a page's usage events and forgets them: 204 to everybody,
 * as the older frontend reloads for ever on anything else. */
#include "fcgi/resources.h"

void
metrics_track(struct req *rq, struct reply *rp)
{
	(void)rq;
	reply_empty(rp);
}
