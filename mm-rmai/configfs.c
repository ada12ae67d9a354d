// SPDX-License-Identifier: GPL-2.0
/*
 * /sys/kernel/config/rmai/: the configuration of this node, and going online.
 *
 *	rmai/{node_id,cluster,window_start,window_size,pool_bytes,online,
 *	      loss_tmo_ms,heartbeat_ms,dead_ms,on_loss,quarantine_ms,
 *	      cache_bytes,lease_ms,holdoff_us}
 *	rmai/nodes/<id>/		(configfs_node.c)
 *
 * Locks: configfs' own (su_mutex, frag_sem), then rmai_config_lock, then
 * whatever rmai_node_online() and rmai_node_offline() take.
 */
#define pr_fmt(fmt) "rmai: " fmt

#include <linux/cleanup.h>
#include <linux/configfs.h>
#include <linux/ctype.h>
#include <linux/kstrtox.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/string.h>
#include <uapi/linux/rmai.h>

#include "cache.h"
#include "config.h"
#include "configfs.h"
#include "space.h"

/* The longest value: an IPv6 address with the name of an interface */
#define RMAI_MAX_TMO_MS	(24 * 60 * 60 * 1000U)
#define RMAI_MIN_BEAT_MS 10

struct rmai_config rmai_config = {
	.cluster	= "rmai",
	.window_start	= RMAI_DEFAULT_WINDOW_START,
	.window_size	= RMAI_DEFAULT_WINDOW_SIZE,
	.loss_tmo_ms	= RMAI_DEFAULT_LOSS_TMO_MS,
	.heartbeat_ms	= RMAI_DEFAULT_HEARTBEAT_MS,
	.dead_ms	= RMAI_DEFAULT_DEAD_MS,
	.on_loss	= RMAI_ON_LOSS_BLOCK,
	.quarantine_ms	= RMAI_DEFAULT_QUARANTINE_MS,
	.lease_ms	= RMAI_DEFAULT_LEASE_MS,
	.holdoff_us	= RMAI_DEFAULT_HOLDOFF_US,
};

/* Guards rmai_config, and is held around going online and offline */
DEFINE_MUTEX(rmai_config_lock);

/*
 * pool_bytes as it was written, 0 for "choose". While online,
 * rmai_config.pool_bytes is what was chosen.
 */
static u64 rmai_pool_wanted;

/**
 * rmai_value() - the value written, without white space around it
 * @name: of the attribute, for messages
 * @page: what was written
 * @val: RMAI_VALUE_MAX bytes of room
 *
 * Return: 0; -EINVAL: there is none, or it is too long to be one.
 */
int rmai_value(const char *name, const char *page, char *val)
{
	size_t len;

	page = skip_spaces(page);
	len = strlen(page);
	while (len && isspace(page[len - 1]))
		len--;
	if (!len || len >= RMAI_VALUE_MAX) {
		pr_warn_ratelimited("%s: %s value\n", name,
				    len ? "too long a" : "no");
		return -EINVAL;
	}
	memcpy(val, page, len);
	val[len] = '\0';
	return 0;
}

/**
 * rmai_frozen() - may a setting that is frozen while online be changed?
 * @name: of the attribute, for messages
 *
 * Context: rmai_config_lock is held.
 * Return: 0; -EBUSY: no.
 */
int rmai_frozen(const char *name)
{
	lockdep_assert_held(&rmai_config_lock);
	if (!rmai_node_is_online())
		return 0;
	pr_warn_ratelimited("%s is frozen while the node is online; write 0 to online first\n",
			    name);
	return -EBUSY;
}

/*
 * Unlike memparse(), this sees overflow and what follows the number.
 * "E" is a digit of a hexadecimal number, so it is no suffix here.
 */
static int rmai_parse_bytes(const char *name, char *val, u64 *bytes)
{
	static const char suffixes[] = "KMGTP";
	size_t len = strlen(val);
	const char *s = strchr(suffixes, toupper(val[len - 1]));
	unsigned int shift = 0;
	u64 n;
	int err;

	if (s && *s) {
		shift = 10 * (s - suffixes + 1);
		val[len - 1] = '\0';
	}
	err = kstrtoull(val, 0, &n);
	if (!err && check_shl_overflow(n, shift, bytes))
		err = -ERANGE;
	if (err)
		pr_warn_ratelimited("%s: a number of bytes is wanted, with K, M, G, T or P after it if you like\n",
				    name);
	return err;
}

/* Numbers that may change at any time; readers use READ_ONCE() */

static int rmai_parse_ms(const char *name, const char *page, unsigned int min,
			 unsigned int *ms)
{
	char val[RMAI_VALUE_MAX];
	int err;

	err = rmai_value(name, page, val);
	if (err)
		return err;
	err = kstrtouint(val, 0, ms);
	if (!err && (*ms < min || *ms > RMAI_MAX_TMO_MS))
		err = -EINVAL;
	if (err)
		pr_warn_ratelimited("%s: '%s' is not a number of milliseconds from %u to %u\n",
				    name, val, min, RMAI_MAX_TMO_MS);
	return err;
}

static ssize_t rmai_ms_store(const char *name, unsigned int *field,
			     unsigned int min, const char *page, size_t len)
{
	unsigned int ms, beat, dead;
	int err;

	err = rmai_parse_ms(name, page, min, &ms);
	if (err)
		return err;
	guard(mutex)(&rmai_config_lock);
	beat = field == &rmai_config.heartbeat_ms ? ms : rmai_config.heartbeat_ms;
	dead = field == &rmai_config.dead_ms ? ms : rmai_config.dead_ms;
	if (dead <= beat) {
		pr_warn_ratelimited("dead_ms (%u) must be more than heartbeat_ms (%u), or live peers would be given up\n",
				    dead, beat);
		return -EINVAL;
	}
	WRITE_ONCE(*field, ms);
	return len;
}

#define RMAI_MS_OPS(_name, _min)					\
static unsigned int *rmai_##_name##_field(void)				\
{									\
	return &rmai_config._name;					\
}									\
									\
static ssize_t rmai_##_name##_show(struct config_item *item, char *page) \
{									\
	return sysfs_emit(page, "%u\n",					\
			  READ_ONCE(*rmai_##_name##_field()));		\
}									\
									\
static ssize_t rmai_##_name##_store(struct config_item *item,		\
				    const char *page, size_t len)	\
{									\
	return rmai_ms_store(#_name, rmai_##_name##_field(), _min, page, len); \
}

RMAI_MS_OPS(loss_tmo_ms, 1)
CONFIGFS_ATTR(rmai_, loss_tmo_ms);
RMAI_MS_OPS(heartbeat_ms, RMAI_MIN_BEAT_MS)
CONFIGFS_ATTR(rmai_, heartbeat_ms);
RMAI_MS_OPS(dead_ms, RMAI_MIN_BEAT_MS)
CONFIGFS_ATTR(rmai_, dead_ms);
RMAI_MS_OPS(quarantine_ms, 0)
CONFIGFS_ATTR(rmai_, quarantine_ms);

RMAI_MS_OPS(lease_ms, RMAI_MIN_BEAT_MS)
CONFIGFS_ATTR(rmai_, lease_ms);

static ssize_t rmai_holdoff_us_show(struct config_item *item, char *page)
{
	return sysfs_emit(page, "%u\n", READ_ONCE(rmai_config.holdoff_us));
}

static ssize_t rmai_holdoff_us_store(struct config_item *item, const char *page,
				     size_t len)
{
	char val[RMAI_VALUE_MAX];
	unsigned int us;
	int err;

	err = rmai_value("holdoff_us", page, val);
	if (err)
		return err;
	err = kstrtouint(val, 0, &us);
	if (!err && us > RMAI_MAX_HOLDOFF_US)
		err = -EINVAL;
	if (err) {
		pr_warn_ratelimited("holdoff_us: '%s' is not a number of microseconds from 0 to %u\n",
				    val, RMAI_MAX_HOLDOFF_US);
		return err;
	}
	WRITE_ONCE(rmai_config.holdoff_us, us);
	return len;
}
CONFIGFS_ATTR(rmai_, holdoff_us);

static const char * const rmai_on_loss_names[] = {
	[RMAI_ON_LOSS_BLOCK]	= "block",
	[RMAI_ON_LOSS_SIGBUS]	= "sigbus",
};

static ssize_t rmai_on_loss_show(struct config_item *item, char *page)
{
	return sysfs_emit(page, "%s\n",
			  rmai_on_loss_names[READ_ONCE(rmai_config.on_loss)]);
}

static ssize_t rmai_on_loss_store(struct config_item *item, const char *page,
				  size_t len)
{
	char val[RMAI_VALUE_MAX];
	unsigned int i;
	int err;

	err = rmai_value("on_loss", page, val);
	if (err)
		return err;
	for (i = RMAI_ON_LOSS_BLOCK; i <= RMAI_ON_LOSS_SIGBUS; i++) {
		if (strcmp(val, rmai_on_loss_names[i]))
			continue;
		guard(mutex)(&rmai_config_lock);
		WRITE_ONCE(rmai_config.on_loss, i);
		return len;
	}
	pr_warn_ratelimited("on_loss: '%s' is neither block nor sigbus\n", val);
	return -EINVAL;
}
CONFIGFS_ATTR(rmai_, on_loss);

/* What is frozen while online */

static ssize_t rmai_node_id_show(struct config_item *item, char *page)
{
	return sysfs_emit(page, "%u\n", READ_ONCE(rmai_config.node_id));
}

static ssize_t rmai_node_id_store(struct config_item *item, const char *page,
				  size_t len)
{
	char val[RMAI_VALUE_MAX];
	u16 id;
	int err;

	err = rmai_value("node_id", page, val);
	if (err)
		return err;
	err = kstrtou16(val, 10, &id);
	if (!err && (!id || id > RMAI_WIRE_NODES))
		err = -EINVAL;
	if (err) {
		pr_warn_ratelimited("node_id: '%s' is not a number from 1 to %u\n",
				    val, RMAI_WIRE_NODES);
		return err;
	}
	guard(mutex)(&rmai_config_lock);
	err = rmai_frozen("node_id");
	if (err)
		return err;
	WRITE_ONCE(rmai_config.node_id, id);
	return len;
}
CONFIGFS_ATTR(rmai_, node_id);

static ssize_t rmai_cluster_show(struct config_item *item, char *page)
{
	guard(mutex)(&rmai_config_lock);
	return sysfs_emit(page, "%s\n", rmai_config.cluster);
}

static ssize_t rmai_cluster_store(struct config_item *item, const char *page,
				  size_t len)
{
	char val[RMAI_VALUE_MAX];
	const char *c;
	int err;

	err = rmai_value("cluster", page, val);
	if (err)
		return err;
	/* It goes into messages and tables: printable, and one word */
	for (c = val; *c; c++)
		if (!isascii(*c) || !isgraph(*c))
			break;
	if (*c || strlen(val) > RMAI_WIRE_CLUSTER) {
		pr_warn_ratelimited("cluster: a name is 1 to %u printable characters without blanks\n",
				    RMAI_WIRE_CLUSTER);
		return -EINVAL;
	}
	guard(mutex)(&rmai_config_lock);
	err = rmai_frozen("cluster");
	if (err)
		return err;
	strscpy(rmai_config.cluster, val);
	return len;
}
CONFIGFS_ATTR(rmai_, cluster);

static int rmai_window_store(const char *name, const char *page, u64 *field)
{
	char val[RMAI_VALUE_MAX];
	u64 n, old;
	int err;

	err = rmai_value(name, page, val);
	if (!err)
		err = rmai_parse_bytes(name, val, &n);
	if (err)
		return err;
	guard(mutex)(&rmai_config_lock);
	err = rmai_frozen(name);
	if (err)
		return err;
	old = *field;
	*field = n;
	if (rmai_window_valid(rmai_config.window_start, rmai_config.window_size))
		return 0;
	pr_warn_ratelimited("%s: no window of %#llx bytes at %#llx: it must lie in user space and be cut into %u slices of whole huge pages (if both values change, try the other one first)\n",
			    name, rmai_config.window_size,
			    rmai_config.window_start, RMAI_WIRE_NODES);
	*field = old;
	return -EINVAL;
}

static ssize_t rmai_window_start_show(struct config_item *item, char *page)
{
	guard(mutex)(&rmai_config_lock);
	return sysfs_emit(page, "%#llx\n", rmai_config.window_start);
}

static ssize_t rmai_window_start_store(struct config_item *item,
				       const char *page, size_t len)
{
	return rmai_window_store("window_start", page,
				 &rmai_config.window_start) ?: len;
}
CONFIGFS_ATTR(rmai_, window_start);

static ssize_t rmai_window_size_show(struct config_item *item, char *page)
{
	guard(mutex)(&rmai_config_lock);
	return sysfs_emit(page, "%#llx\n", rmai_config.window_size);
}

static ssize_t rmai_window_size_store(struct config_item *item,
				      const char *page, size_t len)
{
	return rmai_window_store("window_size", page,
				 &rmai_config.window_size) ?: len;
}
CONFIGFS_ATTR(rmai_, window_size);

static ssize_t rmai_pool_bytes_show(struct config_item *item, char *page)
{
	guard(mutex)(&rmai_config_lock);
	return sysfs_emit(page, "%llu\n", rmai_config.pool_bytes);
}

static ssize_t rmai_pool_bytes_store(struct config_item *item,
				     const char *page, size_t len)
{
	u64 ram = (u64)totalram_pages() << PAGE_SHIFT, n;
	char val[RMAI_VALUE_MAX];
	int err;

	err = rmai_value("pool_bytes", page, val);
	if (!err)
		err = rmai_parse_bytes("pool_bytes", val, &n);
	if (err)
		return err;
	if (n > ram || (n && n < PAGE_SIZE)) {
		pr_warn_ratelimited("pool_bytes: %llu is not between a page and this node's %llu bytes of memory\n",
				    n, ram);
		return -EINVAL;
	}
	guard(mutex)(&rmai_config_lock);
	err = rmai_frozen("pool_bytes");
	if (err)
		return err;
	rmai_pool_wanted = round_down(n, PAGE_SIZE);
	rmai_config.pool_bytes = rmai_pool_wanted;
	return len;
}
CONFIGFS_ATTR(rmai_, pool_bytes);

static ssize_t rmai_cache_bytes_show(struct config_item *item, char *page)
{
	return sysfs_emit(page, "%llu\n", READ_ONCE(rmai_config.cache_bytes));
}

static ssize_t rmai_cache_bytes_store(struct config_item *item, const char *page,
				      size_t len)
{
	char val[RMAI_VALUE_MAX];
	u64 n;
	int err;

	err = rmai_value("cache_bytes", page, val);
	if (!err)
		err = rmai_parse_bytes("cache_bytes", val, &n);
	if (err)
		return err;
	if (n && n < PAGE_SIZE) {
		pr_warn_ratelimited("cache_bytes: %llu is less than a page\n", n);
		return -EINVAL;
	}
	WRITE_ONCE(rmai_config.cache_bytes, n);
	rmai_cache_ahead();
	return len;
}
CONFIGFS_ATTR(rmai_, cache_bytes);

/* online */

static struct configfs_subsystem rmai_subsys;

/* Does this kernel store regions, for this node or for one of transport loop? */
static bool rmai_stores(void)
{
	int i;

	for (i = 0; i < RMAI_WIRE_NODES; i++) {
		const struct rmai_node_config *nc = &rmai_config.nodes[i];

		if ((nc->role & RMAI_ROLE_MEMORY) && nc->id &&
		    (nc->loop || nc->id == rmai_config.node_id))
			return true;
	}
	return false;
}

/* A pool, where none was asked for: memory nodes leave a quarter to the system */
static u64 rmai_choose_pool(void)
{
	if (!rmai_stores())
		return 0;
	if (rmai_pool_wanted)
		return rmai_pool_wanted;
	return (u64)(totalram_pages() / 4 * 3) << PAGE_SHIFT;
}

static int rmai_go_online(void)
{
	int err;

	err = rmai_nodes_depend(&rmai_subsys);
	if (err)
		return err;
	rmai_config.pool_bytes = rmai_choose_pool();
	err = rmai_node_online(&rmai_config);
	if (err) {
		rmai_config.pool_bytes = rmai_pool_wanted;
		rmai_nodes_undepend();
	}
	return err;
}

static int rmai_go_offline(void)
{
	int err;

	err = rmai_node_offline();
	if (err)
		return err;
	rmai_config.pool_bytes = rmai_pool_wanted;
	rmai_nodes_undepend();
	return 0;
}

static ssize_t rmai_online_show(struct config_item *item, char *page)
{
	return sysfs_emit(page, "%d\n", rmai_node_is_online());
}

static ssize_t rmai_online_store(struct config_item *item, const char *page,
				 size_t len)
{
	bool online;
	int err;

	err = kstrtobool(page, &online);
	if (err) {
		pr_warn_ratelimited("online: neither 0 nor 1\n");
		return err;
	}
	guard(mutex)(&rmai_config_lock);
	if (online == rmai_node_is_online())
		return len;
	err = online ? rmai_go_online() : rmai_go_offline();
	return err ?: len;
}
CONFIGFS_ATTR(rmai_, online);

static struct configfs_attribute *rmai_attrs[] = {
	&rmai_attr_node_id,
	&rmai_attr_cluster,
	&rmai_attr_window_start,
	&rmai_attr_window_size,
	&rmai_attr_pool_bytes,
	&rmai_attr_loss_tmo_ms,
	&rmai_attr_heartbeat_ms,
	&rmai_attr_dead_ms,
	&rmai_attr_on_loss,
	&rmai_attr_quarantine_ms,
	&rmai_attr_cache_bytes,
	&rmai_attr_lease_ms,
	&rmai_attr_holdoff_us,
	&rmai_attr_online,
	NULL,
};

static const struct config_item_type rmai_type = {
	.ct_attrs	= rmai_attrs,
};

static struct configfs_subsystem rmai_subsys = {
	.su_group = {
		.cg_item = {
			.ci_namebuf	= "rmai",
			.ci_type	= &rmai_type,
		},
	},
};

/**
 * rmai_configfs_init() - make /sys/kernel/config/rmai/
 *
 * Context: process context at boot, when configfs is there.
 * Return: 0, or what configfs_register_subsystem() says (-ENOMEM).
 */
int __init rmai_configfs_init(void)
{
	config_group_init(&rmai_subsys.su_group);
	mutex_init(&rmai_subsys.su_mutex);
	rmai_nodes_init(&rmai_subsys.su_group);
	return configfs_register_subsystem(&rmai_subsys);
}
