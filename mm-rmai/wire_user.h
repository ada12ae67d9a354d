/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What wire.c and vmr.c need of the kernel's headers, for user space, where they
 * are fuzzed. Compile with -std=gnu2x, with __packed defined on the command line
 * as in the kernel, and with -iquote include/ (not -I, which would find the
 * kernel's own linux/ headers).
 */
#ifndef _RMAI_WIRE_USER_H
#define _RMAI_WIRE_USER_H

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <linux/fcntl.h>
#include "wire.h"
#include "uapi/linux/rmai.h"

#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))
#define U64_MAX			UINT64_MAX

#define cpu_to_le16(v)		htole16(v)
#define cpu_to_le32(v)		htole32(v)
#define cpu_to_le64(v)		htole64(v)
#define le16_to_cpu(v)		le16toh(v)
#define le32_to_cpu(v)		le32toh(v)
#define le64_to_cpu(v)		le64toh(v)

static inline u64 min(u64 a, u64 b)
{
	return a < b ? a : b;
}

static inline bool is_power_of_2(unsigned long n)
{
	return n && !(n & (n - 1));
}

static inline u64 div64_u64(u64 dividend, u64 divisor)
{
	return dividend / divisor;
}

static inline u64 div64_u64_rem(u64 dividend, u64 divisor, u64 *remainder)
{
	*remainder = dividend % divisor;
	return dividend / divisor;
}

#endif /* _RMAI_WIRE_USER_H */
