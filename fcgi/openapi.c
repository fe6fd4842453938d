/* openapi.c - hands out the contract that this very build keeps. */
#include "fcgi/openapi.h"
#include "fcgi/resources.h"

#include <string.h>

void
openapi_show(struct req *rq, struct reply *rp)
{
	char *text = strdup(openapi_text);

	if (!text) {
		reply_err(rp, rq, ERR_NOMEM);
		return;
	}
	rp->status = 200;
	rp->raw = text;
	rp->content_type = "application/json; charset=utf-8";
}
