// SPDX-License-Identifier: GPL-2.0
/*
 * I1, against the kernel: what writes in place to memory that came to it by an skb, a
 * pipe or a socket leaves sealed memory alone, also where every flag is lost that says
 * that the memory is shared.
 *
 * In the debug kernel the flags are lost on demand, in /sys/kernel/debug/iolite. There
 * each case is run a third time with writing allowed: then the bytes must change, or the
 * case does not get as far as the writer and shows nothing.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/if_alg.h>
#include <linux/udp.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "iolite_util.h"
#include "iolite_fs.h"

#define SIZE		8192
#define BODY		4096	/* of the file, in packets; a multiple of a cipher's block */
#define KNOBS		"/sys/kernel/debug/iolite/"
#define PORT		4500

#ifndef SOL_ALG
#define SOL_ALG		279
#endif

FIXTURE(inplace) {
	struct ring r;
	int file, pool;
	char *data, *seen;
	long refused;
};

FIXTURE_VARIANT(inplace) {
	bool lose, allow;
};

FIXTURE_VARIANT_ADD(inplace, flags_kept) { };
FIXTURE_VARIANT_ADD(inplace, flags_lost) { .lose = true };
FIXTURE_VARIANT_ADD(inplace, flags_lost_and_writing_allowed) { .lose = true, .allow = true };

static int set_knobs(bool lose, bool allow)
{
	int ret = write_file(KNOBS "allow_inplace", allow ? "1" : "0");

	return ret ? ret : write_file(KNOBS "lose_shared_flags", lose ? "1" : "0");
}

FIXTURE_SETUP(inplace)
{
	OPEN_RING(&self->r, 8);
	if (variant->lose && access(KNOBS "lose_shared_flags", W_OK)) {
		mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
		if (access(KNOBS "lose_shared_flags", W_OK))
			SKIP(return, "flags are lost with CONFIG_IOLITE_FAULT_INJECTION only");
	}
	self->data = xmalloc(SIZE);
	self->seen = xmalloc(SIZE);
	fill_pattern(self->data, SIZE, 1);
	self->pool = pool_create(&self->r, 0);
	ASSERT_LE(0, self->pool);
	self->file = fs_file(FS_TMPFS, 0, NULL);
	ASSERT_LE(0, self->file);
	ASSERT_EQ(SIZE, write_full(self->file, self->data, SIZE));
	/* Slot 0 keeps all of it sealed and held. */
	ASSERT_EQ(SIZE, op_read(&self->r, 0, self->file, 0, SIZE));
	self->refused = stat_get("inplace_refused");
}

FIXTURE_TEARDOWN(inplace)
{
	if (!access(KNOBS "lose_shared_flags", W_OK))
		set_knobs(false, false);
	close(self->file);
	close(self->pool);
	ring_close(&self->r);
	free(self->data);
	free(self->seen);
}

/* With losing, the writer must have got as far as to be refused, or to write. */
#define EXPECT_KEPT(now, is_case) do {						\
	if (variant->lose)							\
		ASSERT_EQ(0, set_knobs(false, false));				\
	if (variant->allow) {							\
		EXPECT_NE(0, memcmp(self->data, now, BODY))			\
			TH_LOG("the case never gets to the writer");		\
	} else {								\
		EXPECT_SAME(self->data, now, BODY);				\
		EXPECT_EQ(variant->lose && (is_case),				\
			  stat_get("inplace_refused") > self->refused);		\
	}									\
} while (0)

#define LOSE_FLAGS()								\
	do {									\
		if (variant->lose)						\
			ASSERT_EQ(0, set_knobs(true, variant->allow));		\
	} while (0)

/* ---- pipes: a write is merged into the last buffer ---- */

TEST_F(inplace, write_to_a_pipe_does_not_go_on_in_a_spliced_page)
{
	off_t from = 0;
	int p[2];

	ASSERT_EQ(0, pipe(p));
	ASSERT_EQ(10, splice(self->file, &from, p[1], NULL, 10, 0));
	LOSE_FLAGS();
	EXPECT_EQ(16, write(p[1], "0123456789abcdef", 16));
	ASSERT_EQ(SIZE, pread_full(self->file, self->seen, SIZE, 0));
	EXPECT_KEPT(self->seen, true);
	close(p[0]);
	close(p[1]);
}

/* How often the kernel has told since @kmsg was positioned; -1 if without a path */
static int times_told(int kmsg)
{
	char line[8192];
	int told = 0, paths = 0;
	ssize_t len;

	while ((len = read(kmsg, line, sizeof(line) - 1)) > 0) {
		line[len] = 0;
		if (strstr(line, "iolite: kept "))
			told++;
		if (strstr(line, "anon_pipe_write"))
			paths++;
	}
	return paths > told ? told : -1;
}

TEST_F(inplace, who_writes_in_place_is_told_of_once_with_the_path)
{
	int kmsg, p[2], i;

	if (!variant->lose || variant->allow)
		SKIP(return, "nothing is refused");
	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	if (kmsg < 0 || write_file("/sys/kernel/debug/clear_warn_once", "1"))
		SKIP(return, "needs /dev/kmsg, and to have it told again");
	lseek(kmsg, 0, SEEK_END);
	for (i = 0; i < 2; i++) {
		off_t from = 0;

		ASSERT_EQ(0, pipe(p));
		ASSERT_EQ(10, splice(self->file, &from, p[1], NULL, 10, 0));
		LOSE_FLAGS();
		EXPECT_EQ(16, write(p[1], "0123456789abcdef", 16));
		ASSERT_EQ(0, set_knobs(false, false));
		close(p[0]);
		close(p[1]);
	}
	EXPECT_EQ(1, times_told(kmsg));
	EXPECT_EQ(self->refused + 2, stat_get("inplace_refused"));
	close(kmsg);
}

/* ---- ESP in UDP ---- */

struct esp {
	uint32_t	spi, seq;
	uint8_t		iv[16];
};

#define PACKET	((int)(sizeof(struct esp) + BODY))

/* No authentication: then nothing comes before decryption. */
#define IP_XFRM_STATE								\
	"ip xfrm state add src 127.0.0.1 dst 127.0.0.1 proto esp spi 0x100 "	\
	"mode transport encap espinudp 4500 4500 0.0.0.0 "			\
	"enc 'cbc(aes)' 0x000102030405060708090a0b0c0d0e0f"

/*
 * CVE-2026-43284, and, as the flag is lost where ESP looks at it, CVE-2026-46300 and
 * CVE-2026-43503. Returns NULL or what is missing.
 */
static const char *esp_setup(int *in, int *out)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons(PORT),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int encap = UDP_ENCAP_ESPINUDP;

	if (unshare(CLONE_NEWNET) || system("ip link set lo up"))
		return "a network namespace";
	if (system(IP_XFRM_STATE))
		return "ESP with cbc(aes), and digest_null";
	*in = socket(AF_INET, SOCK_DGRAM, 0);
	*out = socket(AF_INET, SOCK_DGRAM, 0);
	if (bind(*in, (void *)&to, sizeof(to)) ||
	    setsockopt(*in, IPPROTO_UDP, UDP_ENCAP, &encap, sizeof(encap)))
		return "ESP in UDP";
	/* The association knows its peer's port. */
	if (setsockopt(*out, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)) ||
	    connect(*out, (void *)&to, sizeof(to)))
		return "a connected UDP socket";
	return NULL;
}

static int esp_send(struct ring *r, int pool, int out, unsigned int body)
{
	struct esp esp = { .spi = htonl(0x100), .seq = htonl(1) };
	int ret;

	ret = op_alloc(r, 2, pool, &esp, sizeof(esp));
	if (ret < 0)
		return ret;
	ret = op_edit(r, 2, IOLITE_EDIT_CONCAT, body, 0, 0);
	if (ret < 0)
		return ret;
	ret = op_write(r, 2, out, 0, 0);
	usleep(100000);		/* until loopback has delivered it */
	return ret;
}

TEST_F(inplace, esp_does_not_decrypt_in_a_file)
{
	const char *missing;
	int in = -1, out = -1;

	missing = esp_setup(&in, &out);
	if (missing)
		SKIP(return, "needs %s", missing);
	ASSERT_EQ(BODY, op_read(&self->r, 1, self->file, 0, BODY));
	LOSE_FLAGS();
	ASSERT_EQ(PACKET, esp_send(&self->r, self->pool, out, 1));
	ASSERT_EQ(SIZE, pread_full(self->file, self->seen, SIZE, 0));
	EXPECT_KEPT(self->seen, true);
	close(in);
	close(out);
}

TEST_F(inplace, esp_does_not_decrypt_in_pool_memory)
{
	const char *missing;
	int in = -1, out = -1;

	missing = esp_setup(&in, &out);
	if (missing)
		SKIP(return, "needs %s", missing);
	ASSERT_EQ(BODY, op_alloc(&self->r, 1, self->pool, self->data, BODY));
	LOSE_FLAGS();
	ASSERT_EQ(PACKET, esp_send(&self->r, self->pool, out, 1));
	if (variant->lose)
		ASSERT_EQ(0, set_knobs(false, false));
	ASSERT_EQ(BODY, agg_bytes(&self->r, 1, self->seen, BODY));
	EXPECT_KEPT(self->seen, true);
	close(in);
	close(out);
}

/* ---- AF_ALG: CVE-2026-31431 ---- */

static int alg_open(void)
{
	struct sockaddr_alg sa = {
		.salg_family = AF_ALG,
		.salg_type = "aead",
		.salg_name = "authencesn(hmac(sha256),cbc(aes))",
	};
	struct {
		uint16_t len, type;
		uint32_t enckeylen;
		uint8_t keys[32 + 16];
	} key = { .len = 8, .type = 1, .enckeylen = htonl(16) };
	int tfm = socket(AF_ALG, SOCK_SEQPACKET, 0), op = -1;

	/* Since that CVE, this cipher is for who insists. */
	write_file("/proc/sys/crypto/af_alg_restrict", "0");
	if (tfm >= 0 && !bind(tfm, (void *)&sa, sizeof(sa)) &&
	    !setsockopt(tfm, SOL_ALG, ALG_SET_KEY, &key, sizeof(key)) &&
	    !setsockopt(tfm, SOL_ALG, ALG_SET_AEAD_AUTHSIZE, NULL, 4))
		op = accept(tfm, NULL, 0);
	close(tfm);
	write_file("/proc/sys/crypto/af_alg_restrict", "1");
	return op;
}

/* Eight bytes of associated data from memory; text and tag are to come */
static int alg_begin(int op)
{
	char control[CMSG_SPACE(4) + CMSG_SPACE(4 + 16) + CMSG_SPACE(4)] = { };
	struct iovec iov = { .iov_base = "\1\2\3\4\5\6\7\10", .iov_len = 8 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_ALG;
	c->cmsg_type = ALG_SET_OP;
	c->cmsg_len = CMSG_LEN(4);
	*(uint32_t *)CMSG_DATA(c) = ALG_OP_DECRYPT;
	c = CMSG_NXTHDR(&msg, c);
	c->cmsg_level = SOL_ALG;
	c->cmsg_type = ALG_SET_IV;
	c->cmsg_len = CMSG_LEN(4 + 16);
	((struct af_alg_iv *)CMSG_DATA(c))->ivlen = 16;
	c = CMSG_NXTHDR(&msg, c);
	c->cmsg_level = SOL_ALG;
	c->cmsg_type = ALG_SET_AEAD_ASSOCLEN;
	c->cmsg_len = CMSG_LEN(4);
	*(uint32_t *)CMSG_DATA(c) = 8;
	return sendmsg(op, &msg, MSG_MORE) == 8 ? 0 : -errno;
}

/* AF_ALG copies what it is sent since that CVE. It must stay so, or be refused. */
TEST_F(inplace, af_alg_does_not_write_to_what_it_was_sent)
{
	const int text = 64 + 4;
	off_t from = 0;
	int op, p[2];

	if (variant->allow)
		SKIP(return, "nothing to be allowed: AF_ALG copies");
	op = alg_open();
	if (op < 0)
		SKIP(return, "needs AF_ALG with authencesn()");
	ASSERT_EQ(0, pipe(p));
	LOSE_FLAGS();

	ASSERT_EQ(0, alg_begin(op));
	ASSERT_EQ(text, splice(self->file, &from, p[1], NULL, text, 0));
	ASSERT_EQ(text, splice(p[0], NULL, op, NULL, text, 0));
	EXPECT_EQ(-1, recv(op, self->seen, 8 + 64, 0));		/* -EBADMSG */

	ASSERT_EQ(0, alg_begin(op));
	ASSERT_EQ(text, op_read(&self->r, 1, self->file, 0, text));
	ASSERT_EQ(text, op_write(&self->r, 1, op, 0, 0));
	EXPECT_EQ(-1, recv(op, self->seen, 8 + 64, 0));

	ASSERT_EQ(SIZE, pread_full(self->file, self->seen, SIZE, 0));
	EXPECT_KEPT(self->seen, false);
	close(op);
	close(p[0]);
	close(p[1]);
}

/* ---- iolite.hardened=1: large buffers are read-only for the kernel as well ---- */

#define LARGE		(2 << 20)
#define LARGE_PAGES	(LARGE / 4096)

/* KUnit tests that stores fault. Here: that all goes on as if nothing was. */
static bool hardened(void)
{
	int fd = open("/sys/module/iolite/parameters/hardened", O_RDONLY);
	char is = 'N';
	bool ret = read(fd, &is, 1) == 1 && is == 'Y';

	close(fd);
	return ret;
}

TEST(large_buffers_are_read_only_for_the_kernel_until_they_are_used_again)
{
	long before = stat_get("readonly_pages");
	int pool, a = -1, b = -1, sent, i;
	char *data, *seen, *at;
	struct ring r;

	OPEN_RING(&r, 4);
	if (!hardened())
		SKIP(return, "not booted with iolite.hardened=1");
	ASSERT_EQ(0, ring_join(&r));
	pool = pool_create(&r, 0);
	ASSERT_LE(0, pool);
	data = xmalloc(LARGE);
	seen = xmalloc(LARGE);

	/* Filled by a copy, twice in the same memory */
	for (i = 0; i < 2; i++) {
		fill_pattern(data, LARGE, 10 + i);
		ASSERT_EQ(LARGE, op_alloc(&r, 0, pool, data, LARGE));
		EXPECT_EQ(before + LARGE_PAGES, stat_get("readonly_pages"));
		ASSERT_EQ(LARGE, agg_bytes_mapped(&r, 0, seen, LARGE));
		EXPECT_SAME(data, seen, LARGE);
		ASSERT_LE(0, op_free(&r, 0, 1));
	}
	/* Produced in place */
	ASSERT_LE(0, op_alloc_writable(&r, 0, pool, LARGE, &at));
	EXPECT_EQ(before, stat_get("readonly_pages"));
	memcpy(at, data, LARGE);
	ASSERT_LE(0, op_seal(&r, 0));
	EXPECT_EQ(before + LARGE_PAGES, stat_get("readonly_pages"));
	EXPECT_EQ(SIGSEGV, signal_of_write(at));

	/* A socket has it longer than the pool. */
	ASSERT_EQ(0, tcp_pair(&a, &b));
	sent = op_write(&r, 0, a, 0, MSG_DONTWAIT);
	ASSERT_LT(0, sent);
	close(pool);
	ring_close(&r);
	EXPECT_EQ(before, stat_wait("readonly_pages", before));
	shutdown(a, SHUT_WR);
	ASSERT_EQ(sent, read_full(b, seen, LARGE));
	EXPECT_SAME(data, seen, sent);
	close(a);
	close(b);
	free(data);
	free(seen);
}

/* In a page cache the memory is written to in place, once nobody holds it. */
TEST(large_buffers_can_be_written_to_when_they_belong_to_a_file)
{
	long before = stat_get("readonly_pages");
	int pool, given = 0;
	char *data, *seen;
	struct ring r;
	enum fs fs;

	OPEN_RING(&r, 4);
	if (!hardened())
		SKIP(return, "not booted with iolite.hardened=1");
	pool = pool_create(&r, 0);
	ASSERT_LE(0, pool);
	data = xmalloc(LARGE);
	seen = xmalloc(LARGE);
	for (fs = 0; fs < FS_USUAL; fs++) {
		int file;

		if (fs_missing(fs))
			continue;
		file = fs_file(fs, 0, NULL);
		ASSERT_LE(0, file);
		fill_pattern(data, LARGE, 20 + fs);
		ASSERT_EQ(LARGE, op_alloc(&r, 0, pool, data, LARGE));
		EXPECT_EQ(before + LARGE_PAGES, stat_get("readonly_pages"));
		ASSERT_EQ(LARGE, op_write(&r, 0, file, 0, 0));
		given += stat_get("readonly_pages") == before;
		ASSERT_LE(0, op_free(&r, 0, 1));
		memset(data + 4097, 'x', 100000);
		ASSERT_EQ(100000, pwrite(file, data + 4097, 100000, 4097));
		ASSERT_EQ(LARGE, pread_full(file, seen, LARGE, 0));
		EXPECT_SAME(data, seen, LARGE);
		close(file);
	}
	EXPECT_LT(0, given)
		TH_LOG("no file system took a large buffer as it is");
	close(pool);
	ring_close(&r);
	free(data);
	free(seen);
}

FS_HARNESS_MAIN
