// SPDX-License-Identifier: MIT
/*
 * The operations of aggregate.c on absl::Cord, a rope in user space: for scale.
 * Prints what aggregate.c prints, with 0 requests in a system call.
 *
 * A Cord has no cursor: what comes next to seek is to find the place in it.
 */
#include <cstdio>
#include <string>

#include <absl/strings/cord.h>

#include "mark.h"

namespace {

constexpr size_t kSlice = 1024;		// a Cord copies shorter ones
constexpr int kBatch = 64;
constexpr int kRounds = 4;

absl::Cord Build(unsigned slices)
{
	static const std::string bytes(kSlice, 'x');
	absl::Cord kept;
	absl::Cord power = absl::MakeCordFromExternal(bytes, [] {});

	for (; slices; slices >>= 1) {
		if (slices & 1)
			kept.Append(power);
		if (slices > 1)
			power.Append(absl::Cord(power));
	}
	return kept;
}

template <typename F>
void Measure(const char *name, unsigned slices, F f)
{
	mark_begin();
	for (int i = 0; i < kBatch; i++)
		f(i);
	mark_end();
	std::printf("%s %u %d 0\n", name, slices, kBatch);
}

char found;

void Round(unsigned slices, const absl::Cord &kept)
{
	const size_t middle = slices / 2 * kSlice + kSlice / 2;
	static absl::Cord copies[kBatch], tails[kBatch], held[2 * kBatch];

	Measure("dup", slices, [&](int i) { copies[i] = kept; });
	Measure("seek", slices, [&](int i) { found = copies[i][middle]; });
	Measure("split", slices, [&](int i) {
		tails[i] = copies[i].Subcord(middle, copies[i].size() - middle);
		copies[i].RemoveSuffix(copies[i].size() - middle);
	});
	for (int i = 0; i < kBatch; i++) {	// so that nothing that concat meets is its own
		held[2 * i] = copies[i];
		held[2 * i + 1] = tails[i];
	}
	Measure("concat", slices, [&](int i) { copies[i].Append(tails[i]); });
	for (auto &tail : tails)
		tail.Clear();
	for (auto &other : held)
		other.Clear();
	Measure("truncate", slices, [&](int i) {
		copies[i].RemoveSuffix(copies[i].size() - middle);
	});
	Measure("free", slices, [&](int i) { copies[i].Clear(); });
}

}  // namespace

int main()
{
	for (unsigned slices : { 1u, 16u, 256u, 4096u, 65536u, 1000000u }) {
		absl::Cord kept = Build(slices);

		for (int round = 0; round < kRounds; round++)
			Round(slices, kept);
	}
	return 0;
}
