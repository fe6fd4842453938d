/* token.c - scrambles a page position into an opaque token and back. */
#include "token.h"

#include "draw.h"
#include "room.h"

/* nonce, check, page, and a zero: a length that leaves base64 a padding */
enum { SEALED_BYTES = 16 + sizeof(struct page) + 1 };

static uint64_t
page_sum(const struct page *pg, uint64_t nonce)
{
	uint64_t h = draw_mix(nonce ^ ROOM_TOKEN);

	h = draw_mix(h + pg->op);
	h = draw_mix(h + pg->seller);
	h = draw_mix(h + pg->asked);
	h = draw_mix(h + (uint64_t)pg->issued_ms);
	h = draw_mix(h + (uint64_t)pg->bound);
	h = draw_mix(h + (uint64_t)pg->at);
	return draw_mix(h + pg->self);
}

static void
scramble(unsigned char bytes[SEALED_BYTES])
{
	struct draw d;

	memcpy(&d.state, bytes, sizeof(d.state));
	for (int i = sizeof(d.state); i < SEALED_BYTES; i++)
		bytes[i] ^= (unsigned char)draw_next(&d);
}

void
token_write(struct buf *b, const struct page *pg, uint64_t nonce)
{
	unsigned char bytes[SEALED_BYTES];
	size_t start = b->len;
	uint64_t check;

	for (;;) {
		b->len = start;
		nonce = draw_mix(nonce + ROOM_TOKEN);
		check = page_sum(pg, nonce);
		memset(bytes, 0, sizeof(bytes));
		memcpy(bytes, &nonce, 8);
		memcpy(bytes + 8, &check, 8);
		memcpy(bytes + 16, pg, sizeof(*pg));
		scramble(bytes);
		buf_base64(b, bytes, sizeof(bytes));
		if (memchr(b->p + start, '+', b->len - start) != NULL &&
		    memchr(b->p + start, '/', b->len - start) != NULL)
			return;
	}
}

bool
token_read(const char *s, struct page *ret)
{
	unsigned char bytes[SEALED_BYTES];
	uint64_t nonce, check;
	struct page pg;

	if (base64_read(s, bytes, sizeof(bytes)) != SEALED_BYTES)
		return false;
	scramble(bytes);
	memcpy(&nonce, bytes, 8);
	memcpy(&check, bytes + 8, 8);
	memcpy(&pg, bytes + 16, sizeof(pg));
	if (check != page_sum(&pg, nonce) || bytes[SEALED_BYTES - 1] != 0)
		return false;
	*ret = pg;
	return true;
}
