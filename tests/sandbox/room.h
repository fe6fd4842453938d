/* room.h - the rooms the model draws in: equal seeds, unrelated numbers. */
#ifndef SANDBOX_ROOM_H
#define SANDBOX_ROOM_H

enum room {
	ROOM_ARRIVAL = 1,
	ROOM_NUMBER,
	ROOM_ORDER,
	ROOM_LINE,
	ROOM_SLOT,
	ROOM_PRODUCT,
	ROOM_TITLE,
	ROOM_TXN,
	ROOM_TXN_ID,
	ROOM_GROUP,
	ROOM_STOCK,
	ROOM_FNSKU,
	ROOM_FAULT,
	ROOM_TOKEN,
};

#endif
