// SPDX-License-Identifier: MIT
/*
 * Writers in place, which look for sealed memory before they write, on traffic
 * that has none: like idle.c, on a kernel with and on one without CONFIG_IOLITE.
 * With the null cipher nothing is done to a packet but what ESP itself does.
 *
 *	inplace
 *
 * Prints a line for each measured section as idle.c does; the association of
 * ESP in UDP with SPI 0x100 at 127.0.0.1:4500 must be there.
 */
#include <arpa/inet.h>
#include <err.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "mark.h"

#ifndef TCP_ULP
#define TCP_ULP			31
#endif
#ifndef SOL_TLS
#define SOL_TLS			282
#endif
#ifndef UDP_ENCAP_ESPINUDP
#define UDP_ENCAP_ESPINUDP	2
#endif

#define KIB	1024
#define ROUNDS	16
#define BURST	8

static char buf[32 * KIB], seen[32 * KIB];

static struct sockaddr_in address(int port)
{
	return (struct sockaddr_in) {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

static void report(const char *path)
{
	printf("%s lo %d\n", path, BURST);
}

/* Whoever sends has them received and deciphered before send(2) returns. */
static void receive_esp(const char *name, int out, size_t size)
{
	static uint32_t seq;
	uint32_t header[2] = { htonl(0x100) };
	int i;

	/* no padding, and nothing in it, which nobody takes */
	buf[size - 2] = 0;
	buf[size - 1] = IPPROTO_NONE;
	mark_begin();
	for (i = 0; i < BURST; i++) {
		header[1] = htonl(++seq);
		memcpy(buf, header, sizeof(header));
		if (send(out, buf, size, 0) != (ssize_t)size)
			err(1, "%s", name);
	}
	mark_end();
	report(name);
}

static int esp_socket(void)
{
	struct sockaddr_in to = address(4500);
	int encap = UDP_ENCAP_ESPINUDP;
	int in = socket(AF_INET, SOCK_DGRAM, 0), out = socket(AF_INET, SOCK_DGRAM, 0);

	if (in < 0 || bind(in, (void *)&to, sizeof(to)) ||
	    setsockopt(in, IPPROTO_UDP, UDP_ENCAP, &encap, sizeof(encap)) ||
	    connect(out, (void *)&to, sizeof(to)))
		err(1, "ESP in UDP");
	return out;
}

static void tls_sockets(int sock[2])
{
	struct tls12_crypto_info_aes_gcm_128 key = {
		.info.version = TLS_1_2_VERSION,
		.info.cipher_type = TLS_CIPHER_AES_GCM_128,
		.key = "sixteen bytes...",
	};
	struct sockaddr_in addr = address(4501);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	sock[0] = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(listener, (void *)&addr, sizeof(addr)) || listen(listener, 1) ||
	    connect(sock[0], (void *)&addr, sizeof(addr)))
		err(1, "a connection");
	sock[1] = accept(listener, NULL, NULL);
	if (setsockopt(sock[0], IPPROTO_TCP, TCP_ULP, "tls", 4) ||
	    setsockopt(sock[1], IPPROTO_TCP, TCP_ULP, "tls", 4) ||
	    setsockopt(sock[0], SOL_TLS, TLS_TX, &key, sizeof(key)) ||
	    setsockopt(sock[1], SOL_TLS, TLS_RX, &key, sizeof(key)))
		err(1, "kTLS");
}

/* One record each */
static void through_tls(const int sock[2])
{
	int i;

	mark_begin();
	for (i = 0; i < BURST; i++)
		if (send(sock[0], buf, 16 * KIB, 0) != 16 * KIB ||
		    recv(sock[1], seen, 16 * KIB, MSG_WAITALL) != 16 * KIB)
			err(1, "kTLS");
	mark_end();
	if (memcmp(buf, seen, 16 * KIB))
		errx(1, "kTLS changed the data");
	report("tls-16K");
}

int main(void)
{
	int round, esp = esp_socket(), tls[2];

	tls_sockets(tls);
	for (round = 0; round < ROUNDS; round++) {
		receive_esp("esp-1K", esp, KIB);
		/* too much for an skb without frags */
		receive_esp("esp-32K", esp, sizeof(buf));
		through_tls(tls);
	}
	return 0;
}
