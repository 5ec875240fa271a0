/* SPDX-License-Identifier: MIT */
/*
 * What a sender in the guest and the sink agree on.
 *
 * The first connection to the sink is for control.  On it the sender sends
 * struct wire_msg, and gets struct wire_answer for each: to WIRE_OPEN once it has
 * made all its connections, to WIRE_ROUND once all bytes have come, and to
 * WIRE_CLOSE once the connections are closed.
 */
#ifndef WIRE_H
#define WIRE_H

#include <stddef.h>
#include <stdint.h>

#define WIRE_PORT	9100

enum wire_kind {
	WIRE_OPEN,
	WIRE_ROUND,
	WIRE_CLOSE,
};

enum wire_how {
	WIRE_PROMPT,		/* read what comes, as it comes */
	WIRE_PATIENT,		/* read when all has come, or a megabyte of it */
	WIRE_VERIFY,		/* compare, and do not just count */
};

struct wire_msg {
	uint32_t	kind;
	uint32_t	connections;	/* OPEN */
	uint32_t	header;		/* OPEN: bytes in front of each body */
	uint32_t	how;		/* OPEN: enum wire_how */
	uint64_t	size;		/* OPEN: bytes of a body */
	uint64_t	responses;	/* ROUND: on each connection */
};

#define WIRE_OK	UINT64_MAX

struct wire_answer {
	uint64_t	wrong;		/* ROUND: offset of the first wrong byte, or WIRE_OK */
};

/* Byte @i of the file of @size bytes; no two pages are alike (splitmix64) */
static inline uint8_t wire_byte(uint64_t size, uint64_t i)
{
	uint64_t z = (i / 8 + (size << 32)) * 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return (uint8_t)((z ^ (z >> 31)) >> (i % 8 * 8));
}

/* Byte @i of a response: a header and the file */
static inline uint8_t wire_response(uint32_t header, uint64_t size, uint64_t i)
{
	return i < header ? (uint8_t)('A' + i % 26) : wire_byte(size, i - header);
}

#endif
