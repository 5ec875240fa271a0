// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests: who writes in place to skbs and scatterlists leaves sealed memory alone,
 * though nothing above it says that it is shared.
 *
 * Each writer is driven twice: once against sealed memory, whose bytes must stay, and
 * once against the same memory unsealed, whose bytes must change.  Else the first
 * would show nothing.
 */
#include <crypto/aead.h>
#include <crypto/authenc.h>
#include <crypto/skcipher.h>
#include <kunit/test.h>
#include <linux/delay.h>
#include <linux/iolite.h>
#include <linux/iolite_inplace.h>
#include <linux/mm.h>
#include <linux/rtnetlink.h>
#include <linux/scatterlist.h>
#include <linux/skbuff.h>
#include <linux/skmsg.h>
#include <linux/uaccess.h>

#include "iolite.h"

#define SIZE	256		/* bytes of the sealed page that writers are given */
#define OFFSET	512		/* where they are in it */

struct inplace_test {
	struct folio *folio;
	long refused;		/* so far */
};

static int inplace_test_init(struct kunit *test)
{
	struct inplace_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, t);
	t->folio = folio_alloc(GFP_KERNEL, 1);
	KUNIT_ASSERT_NOT_NULL(test, t->folio);
	memset(folio_address(t->folio), 'p', folio_size(t->folio));
	folio_set_sealed(t->folio);
	t->refused = iolite_stat_read(IOLITE_STAT_INPLACE_REFUSED);
	test->priv = t;
	return 0;
}

static void inplace_test_exit(struct kunit *test)
{
	struct inplace_test *t = test->priv;

	if (t && t->folio)
		folio_put(t->folio);
}

static bool changed(struct inplace_test *t)
{
	return memchr_inv(folio_address(t->folio), 'p', folio_size(t->folio));
}

/* The bytes are there and the event is counted; then the memory is unsealed. */
static void expect_refused(struct kunit *test)
{
	struct inplace_test *t = test->priv;

	KUNIT_EXPECT_FALSE(test, changed(t));
	KUNIT_EXPECT_GT(test, iolite_stat_read(IOLITE_STAT_INPLACE_REFUSED), t->refused);
	folio_clear_sealed(t->folio);
}

/* What a path that has lost SKBFL_SHARED_FRAG hands on: nobody's clone, one frag */
static struct sk_buff *skb_without_flag(struct kunit *test)
{
	struct inplace_test *t = test->priv;
	struct sk_buff *skb = alloc_skb(128, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, skb);
	skb_put_zero(skb, 16);
	folio_get(t->folio);
	skb_add_rx_frag(skb, 0, folio_page(t->folio, 0), OFFSET, SIZE, SIZE);
	return skb;
}

/* ESP input decides by this whether to decrypt in place, if there is no flag. */
static void expect_seen(struct kunit *test, struct sk_buff *skb)
{
	struct inplace_test *t = test->priv;

	KUNIT_EXPECT_TRUE(test, iolite_skb_sealed(skb, _THIS_IP_));
	expect_refused(test);
	KUNIT_EXPECT_FALSE(test, iolite_skb_sealed(skb, _THIS_IP_));
	KUNIT_EXPECT_FALSE(test, changed(t));
	kfree_skb(skb);
}

/* A datagram socket had not marked the packet (CVE-2026-43284). */
static void sealed_frag_is_seen_without_the_flag(struct kunit *test)
{
	expect_seen(test, skb_without_flag(test));
}

/* A copy of the packet, as netfilter's TEE makes one, had lost the mark (CVE-2026-43503). */
static void sealed_frag_is_seen_in_a_copy(struct kunit *test)
{
	struct sk_buff *skb = skb_without_flag(test);
	struct sk_buff *copy = __pskb_copy_fclone(skb, 0, GFP_KERNEL, false);

	kfree_skb(skb);
	KUNIT_ASSERT_NOT_NULL(test, copy);
	expect_seen(test, copy);
}

/* Coalescing in the receive queue, below ESP in TCP, lost it (CVE-2026-46300). */
static void sealed_frag_is_seen_when_coalesced(struct kunit *test)
{
	struct sk_buff *from = skb_without_flag(test);
	struct sk_buff *to = alloc_skb(128, GFP_KERNEL);
	bool stolen;
	int delta;

	KUNIT_ASSERT_NOT_NULL(test, to);
	skb_put_zero(to, 16);
	skb_pull(from, 16);
	KUNIT_ASSERT_TRUE(test, skb_try_coalesce(to, from, &stolen, &delta));
	kfree_skb_partial(from, stolen);
	expect_seen(test, to);
}

static void stored_bits_do_not_reach_a_sealed_frag(struct kunit *test)
{
	struct inplace_test *t = test->priv;
	struct sk_buff *skb = skb_without_flag(test);

	KUNIT_EXPECT_EQ(test, skb_store_bits(skb, 0, "linear", 6), 0);
	KUNIT_EXPECT_EQ(test, skb_store_bits(skb, 20, "frag", 4), -EFAULT);
	expect_refused(test);
	KUNIT_EXPECT_EQ(test, skb_store_bits(skb, 20, "frag", 4), 0);
	KUNIT_EXPECT_TRUE(test, changed(t));
	kfree_skb(skb);
}

/* Netfilter, bpf, traffic control and tunnels make their part linear first. */
static void what_was_made_writable_is_a_copy(struct kunit *test)
{
	struct inplace_test *t = test->priv;
	struct sk_buff *skb = skb_without_flag(test);

	KUNIT_ASSERT_EQ(test, skb_ensure_writable(skb, 16 + SIZE / 2), 0);
	memset(skb->data, 'x', 16 + SIZE / 2);
	KUNIT_EXPECT_FALSE(test, changed(t));
	kfree_skb(skb);
}

/* As do AH, MACsec, TIPC, WireGuard, OpenVPN, and ESP unless it is sure */
static void cowed_data_is_a_copy(struct kunit *test)
{
	struct inplace_test *t = test->priv;
	struct sk_buff *skb = skb_without_flag(test);
	struct sk_buff *trailer;
	struct scatterlist sg[2];
	u8 junk[SIZE];

	memset(junk, 'x', SIZE);
	KUNIT_ASSERT_EQ(test, skb_cow_data(skb, 16, &trailer), 1);
	sg_init_table(sg, ARRAY_SIZE(sg));
	KUNIT_ASSERT_EQ(test, skb_to_sgvec(skb, sg, 16, SIZE), 1);
	sg_copy_from_buffer(sg, 1, junk, SIZE);
	KUNIT_EXPECT_FALSE(test, changed(t));
	kfree_skb(skb);
}

/* BPF programs write to what they are shown of a socket's message. */
static void bpf_is_not_shown_a_sealed_message(struct kunit *test)
{
	struct inplace_test *t = test->priv;
	struct sk_msg *msg = kunit_kzalloc(test, sizeof(*msg), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, msg);
	sk_msg_init(msg);
	sk_msg_page_add(msg, folio_page(t->folio, 0), SIZE, OFFSET);
	__clear_bit(0, msg->sg.copy);
	sk_msg_compute_data_pointers(msg);
	KUNIT_EXPECT_NULL(test, msg->data);
	expect_refused(test);
	sk_msg_compute_data_pointers(msg);
	KUNIT_EXPECT_PTR_EQ(test, msg->data, folio_address(t->folio) + OFFSET);
	folio_put(t->folio);
}

/*
 * RxRPC decrypted packets in place, through the scatterlist of an skb that was not cloned
 * (CVE-2026-43500).
 */
static void cipher_in_place_on_an_skb_is_refused(struct kunit *test)
{
	struct inplace_test *t = test->priv;
	struct crypto_sync_skcipher *tfm = crypto_alloc_sync_skcipher("cbc(aes)", 0, 0);
	static const u8 key[16] = { 1 };
	struct scatterlist sg[2];
	struct sk_buff *skb;
	u8 iv[16] = { 2 };
	int i;

	if (IS_ERR(tfm))
		kunit_skip(test, "no cbc(aes)");
	skb = skb_without_flag(test);
	sg_init_table(sg, ARRAY_SIZE(sg));
	KUNIT_EXPECT_EQ(test, skb_to_sgvec(skb, sg, 16, SIZE), 1);
	KUNIT_EXPECT_EQ(test, crypto_sync_skcipher_setkey(tfm, key, sizeof(key)), 0);
	for (i = 0; i < 2; i++) {
		SYNC_SKCIPHER_REQUEST_ON_STACK(req, tfm);

		skcipher_request_set_sync_tfm(req, tfm);
		skcipher_request_set_callback(req, 0, NULL, NULL);
		skcipher_request_set_crypt(req, sg, sg, SIZE, iv);
		KUNIT_EXPECT_EQ(test, crypto_skcipher_decrypt(req), i ? 0 : -EPERM);
		if (!i)
			expect_refused(test);
	}
	KUNIT_EXPECT_TRUE(test, changed(t));
	kfree_skb(skb);
	crypto_free_sync_skcipher(tfm);
}

static int set_authenc_key(struct crypto_aead *tfm)
{
	struct {
		struct rtattr rta;
		struct crypto_authenc_key_param param;
		u8 auth[32], enc[16];
	} __packed key = {
		.rta = { .rta_len = RTA_LENGTH(sizeof(key.param)),
			 .rta_type = CRYPTO_AUTHENC_KEYA_PARAM },
		.param.enckeylen = cpu_to_be32(sizeof(key.enc)),
	};

	return crypto_aead_setkey(tfm, (u8 *)&key, sizeof(key));
}

/*
 * AF_ALG chained pages that were spliced into the socket to the end of the destination,
 * and authencesn() keeps four bytes there while it works (CVE-2026-31431).
 */
static void aead_with_sealed_page_behind_its_output_is_refused(struct kunit *test)
{
	struct inplace_test *t = test->priv;
	struct crypto_aead *tfm = crypto_alloc_aead("authencesn(hmac(sha256),cbc(aes))", 0,
						    CRYPTO_ALG_ASYNC);
	const unsigned int ad = 8, text = 64, tag = 4;
	struct aead_request *req;
	struct scatterlist sg[2];
	u8 iv[16] = { };
	u8 *out;

	if (IS_ERR(tfm))
		kunit_skip(test, "no authencesn()");
	out = kunit_kzalloc(test, ad + text, GFP_KERNEL);
	req = aead_request_alloc(tfm, GFP_KERNEL);
	if (!out || !req || set_authenc_key(tfm) || crypto_aead_setauthsize(tfm, tag)) {
		KUNIT_FAIL(test, "no request");
		goto free;
	}
	sg_init_table(sg, 2);
	sg_set_buf(&sg[0], out, ad + text);
	sg_set_page(&sg[1], folio_page(t->folio, 0), tag, OFFSET);
	aead_request_set_callback(req, 0, NULL, NULL);
	aead_request_set_crypt(req, sg, sg, text + tag, iv);
	aead_request_set_ad(req, ad);
	KUNIT_EXPECT_EQ(test, crypto_aead_decrypt(req), -EPERM);
	expect_refused(test);
	KUNIT_EXPECT_EQ(test, crypto_aead_decrypt(req), -EBADMSG);
	KUNIT_EXPECT_TRUE(test, changed(t));
free:
	aead_request_free(req);
	crypto_free_aead(tfm);
}

/* The crypto API asks for no more than what it may write to. */
static void aead_may_read_a_sealed_page(struct kunit *test)
{
	struct inplace_test *t = test->priv;
	struct crypto_aead *tfm = crypto_alloc_aead("gcm(aes)", 0, CRYPTO_ALG_ASYNC);
	static const u8 key[16] = { 1 };
	struct scatterlist src, dst;
	struct aead_request *req;
	u8 iv[12] = { };
	u8 *out;

	if (IS_ERR(tfm))
		kunit_skip(test, "no gcm(aes)");
	out = kunit_kzalloc(test, SIZE + 16, GFP_KERNEL);
	req = aead_request_alloc(tfm, GFP_KERNEL);
	if (!out || !req || crypto_aead_setkey(tfm, key, sizeof(key))) {
		KUNIT_FAIL(test, "no request");
		goto free;
	}
	sg_init_table(&src, 1);
	sg_set_page(&src, folio_page(t->folio, 0), SIZE, OFFSET);
	sg_init_one(&dst, out, SIZE + 16);
	aead_request_set_callback(req, 0, NULL, NULL);
	aead_request_set_crypt(req, &src, &dst, SIZE, iv);
	aead_request_set_ad(req, 0);
	KUNIT_EXPECT_EQ(test, crypto_aead_encrypt(req), 0);
	KUNIT_EXPECT_FALSE(test, changed(t));
	KUNIT_EXPECT_EQ(test, iolite_stat_read(IOLITE_STAT_INPLACE_REFUSED), t->refused);
free:
	aead_request_free(req);
	crypto_free_aead(tfm);
}

/* A page in the middle of a large folio, behind one that may be written to */
static void scatterlist_is_looked_at_to_its_last_page(struct kunit *test)
{
	struct inplace_test *t = test->priv;
	u8 *own = kunit_kzalloc(test, 64, GFP_KERNEL);
	struct scatterlist sg[2];

	KUNIT_ASSERT_NOT_NULL(test, own);
	sg_init_table(sg, 2);
	sg_set_buf(&sg[0], own, 64);
	sg_set_page(&sg[1], folio_page(t->folio, 1), 64, 0);
	KUNIT_EXPECT_FALSE(test, iolite_sg_sealed(sg, 64, _THIS_IP_));
	KUNIT_EXPECT_TRUE(test, iolite_sg_sealed(sg, 65, _THIS_IP_));
	KUNIT_EXPECT_TRUE(test, iolite_sg_sealed(sg, 1000, _THIS_IP_));
	expect_refused(test);
	KUNIT_EXPECT_FALSE(test, iolite_sg_sealed(sg, 1000, _THIS_IP_));
}

static bool store_faults(struct folio *folio)
{
	return copy_to_kernel_nofault(folio_address(folio) + OFFSET, "stray", 5);
}

static struct iolite_buf *large_buf(struct kunit *test, struct iolite_pool *pool)
{
	struct iolite_buf *buf = iolite_pool_buf(pool, PMD_SIZE, false);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, buf);
	KUNIT_ASSERT_EQ(test, buf->len, PMD_SIZE);
	memset(folio_address(buf->folio), 'p', PMD_SIZE);
	return buf;
}

/* With iolite.hardened=1: read-only until it is used again, or leaves the pool */
static void stray_store_to_a_large_sealed_buffer_faults(struct kunit *test)
{
	struct inplace_test *t = test->priv;
	long before = iolite_stat_read(IOLITE_STAT_READONLY_PAGES);
	struct iolite_buf *buf, *other;
	struct iolite_pool *pool;
	struct folio *folio;
	int i;

	if (!iolite_hardened)
		kunit_skip(test, "not booted with iolite.hardened=1");
	KUNIT_ASSERT_EQ(test, iolite_pool_create(current_user(), 0, 0, &pool), 0);
	other = large_buf(test, pool);
	buf = large_buf(test, pool);
	folio = buf->folio;
	iolite_pool_seal(folio);
	KUNIT_EXPECT_TRUE(test, store_faults(folio));
	KUNIT_EXPECT_NULL(test, memchr_inv(folio_address(folio), 'p', PMD_SIZE));
	KUNIT_EXPECT_EQ(test, iolite_stat_read(IOLITE_STAT_READONLY_PAGES) - before,
			PMD_SIZE / PAGE_SIZE);
	KUNIT_EXPECT_FALSE(test, store_faults(other->folio));
	KUNIT_EXPECT_FALSE(test, store_faults(t->folio));

	/* While an skb holds it, too; then it is used again. */
	folio_get(folio);
	iolite_buf_put(buf);
	KUNIT_EXPECT_TRUE(test, store_faults(folio));
	folio_put(folio);
	buf = large_buf(test, pool);
	KUNIT_EXPECT_PTR_EQ(test, buf->folio, folio);
	KUNIT_EXPECT_FALSE(test, store_faults(folio));

	/* An skb that has it when the pool goes holds it, and nobody may write to it. */
	iolite_pool_seal(folio);
	KUNIT_EXPECT_TRUE(test, store_faults(folio));
	folio_get(folio);
	iolite_buf_put(buf);
	iolite_buf_put(other);
	iolite_pool_put(pool);
	KUNIT_EXPECT_TRUE(test, store_faults(folio));
	KUNIT_EXPECT_EQ(test, iolite_stat_read(IOLITE_STAT_READONLY_PAGES) - before,
			PMD_SIZE / PAGE_SIZE);
	folio_put(folio);
	for (i = 0; i < 300 && iolite_stat_read(IOLITE_STAT_READONLY_PAGES) != before; i++)
		msleep(20);
	KUNIT_EXPECT_EQ(test, iolite_stat_read(IOLITE_STAT_READONLY_PAGES), before);
}

/* A device's descriptor has 16 bits for a length, and skbs of BIG TCP are larger. */
static void frag_is_no_longer_than_a_descriptor_can_say(struct kunit *test)
{
	const size_t len = 4 * SZ_64K;
	struct folio *folio = folio_alloc(GFP_KERNEL, get_order(len));
	struct sk_buff *skb = alloc_skb(128, GFP_KERNEL);
	struct bio_vec bvecs[2];
	struct iov_iter iter;
	size_t sum = 0;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, folio);
	KUNIT_ASSERT_NOT_NULL(test, skb);
	/* the second goes on where the first one ends */
	bvec_set_folio(&bvecs[0], folio, 100, 0);
	bvec_set_folio(&bvecs[1], folio, len - 100, 100);
	iov_iter_bvec(&iter, ITER_SOURCE, bvecs, 2, len);
	KUNIT_EXPECT_EQ(test, skb_splice_from_iter(skb, &iter, len), (ssize_t)len);
	for (i = 0; i < skb_shinfo(skb)->nr_frags; i++) {
		const skb_frag_t *frag = &skb_shinfo(skb)->frags[i];

		KUNIT_EXPECT_LE(test, skb_frag_size(frag), max_t(size_t, U16_MAX, PAGE_SIZE));
		KUNIT_EXPECT_PTR_EQ(test, skb_frag_address(frag), folio_address(folio) + sum);
		sum += skb_frag_size(frag);
	}
	KUNIT_EXPECT_EQ(test, sum, len);
	kfree_skb(skb);
	folio_put(folio);
}

static struct kunit_case inplace_test_cases[] = {
	KUNIT_CASE(sealed_frag_is_seen_without_the_flag),
	KUNIT_CASE(sealed_frag_is_seen_in_a_copy),
	KUNIT_CASE(sealed_frag_is_seen_when_coalesced),
	KUNIT_CASE(stored_bits_do_not_reach_a_sealed_frag),
	KUNIT_CASE(what_was_made_writable_is_a_copy),
	KUNIT_CASE(cowed_data_is_a_copy),
	KUNIT_CASE(bpf_is_not_shown_a_sealed_message),
	KUNIT_CASE(cipher_in_place_on_an_skb_is_refused),
	KUNIT_CASE(aead_with_sealed_page_behind_its_output_is_refused),
	KUNIT_CASE(aead_may_read_a_sealed_page),
	KUNIT_CASE(scatterlist_is_looked_at_to_its_last_page),
	KUNIT_CASE(stray_store_to_a_large_sealed_buffer_faults),
	KUNIT_CASE(frag_is_no_longer_than_a_descriptor_can_say),
	{ }
};

static struct kunit_suite inplace_test_suite = {
	.name = "iolite_inplace",
	.init = inplace_test_init,
	.exit = inplace_test_exit,
	.test_cases = inplace_test_cases,
};

kunit_test_suite(inplace_test_suite);
